"""What importing the engine brings with it, and what it makes on demand."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conformance.adapters.load import load_engine
from reference_engine.ops.table import TABLE

#: packages and modules that few programs use
LATE = (
    "autograd.functional", "checkpoint", "func", "nn", "optim", "ops.printing",
    "serialization", "viz",
)  # fmt: skip


def in_a_new_process(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_what_few_programs_use_is_not_imported() -> None:
    loaded = set(in_a_new_process("import sys, reference_engine; print(*sys.modules)").split())
    assert not loaded & {"scipy", "torch", *(f"reference_engine.{name}" for name in LATE)}


def test_functions_made_on_demand_are_known_to_the_adapter() -> None:
    known = set(load_engine("reference").operations)
    assert {
        name for name in ("sin", "add", "mul", "exp", "sum", "matmul") if name not in known
    } == set()
    public = {name for name in TABLE if "." not in name and not name.startswith("_")}
    assert len(public & known) > 0.9 * len(public), sorted(public - known)


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("missing", ["", "reference_engine.tensor", "reference_engine.ops.unary"])
def test_the_collector_is_paused_for_the_import_alone(collects: bool, missing: str) -> None:
    found = in_a_new_process(
        "import gc, sys\n"
        f"gc.enable() if {collects} else gc.disable()\n"
        f"if {missing!r}: sys.modules[{missing!r}] = None\n"
        "try:\n    import reference_engine\n    print('imported')\n"
        "except ImportError:\n    print('failed')\n"
        "print(gc.isenabled(), gc.get_freeze_count())"
    )
    assert found.split() == ["failed" if missing else "imported", str(collects), "0"]


def test_objects_that_a_program_froze_stay_frozen() -> None:
    code = "import gc; gc.freeze(); import reference_engine; print(gc.get_freeze_count() > 0)"
    assert in_a_new_process(code) == "True\n"
