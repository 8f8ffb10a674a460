from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from conformance.adapters.reference import ReferenceEngine
from conformance.testing import ConformanceMachine

FEW = settings(max_examples=15, stateful_step_count=10, deadline=None, database=None)
UNSHRUNK = settings(FEW, max_examples=60, phases=[Phase.generate])


class DoublesSigns(ReferenceEngine):
    def apply(self, op, *tensors, **params):  # type: ignore[no-untyped-def]
        result = super().apply(op, *tensors, **params)
        return super().apply("mul", result, other=2.0) if op == "mul" else result


def test_the_machine_passes_on_the_reference_engine() -> None:
    class Machine(ConformanceMachine):
        engine = "reference"

    run_state_machine_as_test(Machine, settings=FEW)


def test_the_machine_shows_the_program_of_a_wrong_engine() -> None:
    class Machine(ConformanceMachine):
        engine = DoublesSigns()

    with pytest.raises(AssertionError, match=r"expected .*, observed") as failure:
        run_state_machine_as_test(Machine, settings=UNSHRUNK)
    assert "mul(" in str(failure.value)


def test_importing_the_module_imports_no_hypothesis() -> None:
    code = "import sys, conformance.testing; assert 'hypothesis' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
