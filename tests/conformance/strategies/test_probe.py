from __future__ import annotations

import numpy as np
import pytest

from conformance.adapters.base import TapeEngine
from conformance.adapters.load import load_engine
from conformance.catalogue import OPERATIONS
from conformance.errors import Unsupported
from conformance.execute import execute
from conformance.strategies import probe
from conformance.strategies.probe import facts_of, trials
from conformance.strategies.writes import WRITES


class FewOperations(TapeEngine):
    """Lists nothing; has two operations, and a third that is broken."""

    name = "few"
    version = "1"
    operations = None
    applied = 0

    def tensor(self, array, requires_grad=False):
        return array.copy()

    def numpy(self, tensor):
        return tensor

    def apply(self, op, *tensors, **params):
        type(self).applied += 1
        if op == "sin":
            return np.sin(*tensors)
        if op == "mul":
            return tensors[0] * (params["other"] if params else tensors[1])
        if op == "exp":
            raise RuntimeError("not today")
        raise Unsupported(op)

    def backward(self, tensor, gradient=None):
        pass

    def grad(self, tensor):
        return None


def test_every_operation_has_a_trial_that_pytorch_can_run() -> None:
    torch = load_engine("torch")
    assert set(trials()) == set(OPERATIONS) | set(WRITES)
    for name, program in trials().items():
        assert program.operations == (name,)
        assert all(event.refusal is None for event in execute(torch, program).events), name


def test_an_absent_operation_is_one_that_the_adapter_calls_unsupported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "_probed", {})
    facts = facts_of(FewOperations())
    in_place = set(WRITES) - set(OPERATIONS)  # without apply_ nobody can say, and it is no matter
    assert facts.operations == {"sin", "mul", "exp"} | in_place
    assert facts.capabilities >= {"backward", "grad"}


def test_an_engine_is_probed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_probed", {})
    first = facts_of(FewOperations())
    count = FewOperations.applied
    assert facts_of(FewOperations()) == first
    assert FewOperations.applied == count


def test_a_list_of_operations_is_taken_as_it_is() -> None:
    class Listed(FewOperations):
        operations = frozenset({"cos"})

        def apply(self, op, *tensors, **params):
            raise AssertionError("an engine that lists its operations is not probed")

    assert facts_of(Listed()).operations == {"cos"}
