"""Two oracles must agree before torch or the reference engine is blamed for a gradient."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.adapters.torch_engine import TorchEngine
from conformance.compare.difference import DISAGREEMENT, is_grave
from conformance.fuzzing import Fuzz
from conformance.judge import judge
from conformance.notation import parse
from conformance.verdict import Outcome, Status

SAVED = """
    x = leaf([0.5, 1.0], requires_grad=True)
    with saved_tensors_hooks(pack="copy"):
        y = sin(x)
    backward(y, gradient=[1.0, 2.0])
    grad(x)
"""
DOUBLED = """
    x = leaf([0.5, 1.0], requires_grad=True)
    y = sin(x)
    hook(y, action="double")
    backward(y, gradient=[1.0, 2.0])
    grad(x)
"""


class SteepSine(TorchEngine):
    """Gives the sine twice its gradient."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        result = super().apply(op, *tensors, **params)
        return 2 * result - result.detach() if op == "sin" else result


def test_finite_differences_look_through_hooks_that_give_back_what_was_saved() -> None:
    finding = judge(SteepSine("torch-steep"), parse(SAVED))
    assert finding.outcome is Outcome.VIOLATED
    assert finding.cause == "silently-wrong/grad/value/sin"


def test_one_oracle_alone_convicts_neither_torch_nor_the_reference_engine() -> None:
    finding = judge(SteepSine("torch-steep"), parse(DOUBLED))
    assert finding.outcome is Outcome.INCONCLUSIVE
    reason = "reference contradicts, and no second oracle applies"
    assert finding.message == f"{DISAGREEMENT}: {reason}"
    assert judge(SteepSine("steep"), parse(DOUBLED)).outcome is Outcome.VIOLATED


@pytest.mark.parametrize(
    ("doubt", "status"),
    [
        (f"{DISAGREEMENT}: a contradicts, but finite differences side with b", Status.INCONCLUSIVE),
        ("error of the harness: LookupError: an index is off", Status.INCONCLUSIVE),
        ("one rounding changes the result by more than half of its digits", Status.HOLDS),
    ],
)
def test_random_programs_hold_only_where_no_doubt_is_grave(doubt: str, status: Status) -> None:
    fuzz = Fuzz("torch", 10)
    fuzz.outcomes[Outcome.HOLDS], fuzz.outcomes[Outcome.INCONCLUSIVE] = 9, 1
    fuzz.doubts[doubt] = 1
    result = fuzz.result()
    assert (result.status, result.inconclusive) == (status, 1)
    assert list(fuzz.grave) == [doubt] * is_grave(doubt)
    assert doubt in result.note
