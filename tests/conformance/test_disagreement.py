"""Two oracles must agree before torch or the reference engine is blamed for a gradient."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.adapters.load import load_engine
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


CHOLESKY = """
    x = leaf([[7.0, -0.5, -3.0], [-0.5, 2.5, -1.0], [-3.0, -1.0, 6.0]], requires_grad=True)
    y = cholesky(x)
    backward(y, gradient=[[7.0, 0.0, 0.0], [-0.5, 2.5, 0.0], [-3.0, -1.0, 6.0]])
    grad(x)
"""


class Steep(TorchEngine):
    """Gives one operation twice its gradient."""

    def __init__(self, name: str, steep: str = "sin") -> None:
        super().__init__()
        self.name, self.steep = name, steep

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        result = super().apply(op, *tensors, **params)
        return 2 * result - result.detach() if op == self.steep else result


def test_finite_differences_look_through_hooks_that_give_back_what_was_saved() -> None:
    finding = judge(Steep("torch-steep"), parse(SAVED))
    assert finding.outcome is Outcome.VIOLATED
    assert finding.cause == "silently-wrong/grad/value/sin"


def test_functions_of_symmetric_matrices_are_followed_along_such_matrices() -> None:
    finding = judge(load_engine("reference"), parse(CHOLESKY), oracles=("finite_difference",))
    assert finding.outcome is Outcome.HOLDS
    finding = judge(Steep("steep", "cholesky"), parse(CHOLESKY), oracles=("finite_difference",))
    assert finding.outcome is Outcome.VIOLATED


class OneTriangle(TorchEngine):
    """Reads the lower triangle only, and gives the gradient to that."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "cholesky":
            tensors = (tensors[0].tril() + tensors[0].tril(-1).mT,)
        return super().apply(op, *tensors, **params)


def test_to_which_triangle_such_a_function_gives_its_gradient_convicts_nobody() -> None:
    engine = OneTriangle()
    engine.name = "one-triangle"
    assert judge(engine, parse(CHOLESKY)).outcome is Outcome.INCONCLUSIVE
    assert judge(Steep("steep", "cholesky"), parse(CHOLESKY)).outcome is Outcome.VIOLATED


def test_one_oracle_alone_convicts_neither_torch_nor_the_reference_engine() -> None:
    finding = judge(Steep("torch-steep"), parse(DOUBLED))
    assert finding.outcome is Outcome.INCONCLUSIVE
    reason = "reference contradicts, and no second oracle applies"
    assert finding.message == f"{DISAGREEMENT}: {reason}"
    assert judge(Steep("steep"), parse(DOUBLED)).outcome is Outcome.VIOLATED


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
