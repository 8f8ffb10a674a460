"""What importing the engine brings with it, and what it makes on demand."""

from __future__ import annotations

import subprocess
import sys

from conformance.adapters.load import load_engine
from reference_engine.ops.table import TABLE

#: packages and modules that few programs use
LATE = (
    "autograd.functional", "checkpoint", "func", "nn", "optim", "ops.printing",
    "serialization", "viz",
)  # fmt: skip


def test_what_few_programs_use_is_not_imported() -> None:
    code = "import sys, reference_engine; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(found.stdout.split())
    assert not loaded & {"scipy", "torch", *(f"reference_engine.{name}" for name in LATE)}


def test_functions_made_on_demand_are_known_to_the_adapter() -> None:
    known = set(load_engine("reference").operations)
    assert {
        name for name in ("sin", "add", "mul", "exp", "sum", "matmul") if name not in known
    } == set()
    public = {name for name in TABLE if "." not in name and not name.startswith("_")}
    assert len(public & known) > 0.9 * len(public), sorted(public - known)
