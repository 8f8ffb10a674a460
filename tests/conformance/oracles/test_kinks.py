"""At a kink an engine may have any valid subgradient, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conformance.adapters.load import load_engine
from conformance.adapters.reference import ReferenceEngine
from conformance.notation import parse
from conformance.oracles.kinks import is_valid_at_a_kink
from conformance.random_check import KINK, RandomCheck
from conformance.verdict import Outcome

RELU = parse("""
    x = leaf([0.0, 1.0, -1.0], requires_grad=True)
    h = hook(x, action="double")
    y = relu(x)
    backward(y, gradient=[1.0, 1.0, 1.0])
    grad(x)
""")
TIE = parse("""
    x = leaf([1.0, 1.0, 0.5], requires_grad=True)
    y = amax(x, dim=0)
    backward(y)
    grad(x)
""")


class SlopeAtZero(ReferenceEngine):
    """Adds to the slope of relu at 0, which is 0 otherwise."""

    extra = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.name = f"slope-{self.extra}"  # one that is no oracle

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        result = super().apply(op, *tensors, **params)
        if op != "relu":
            return result
        (x,) = tensors
        slope = self.tensor(np.where(self.numpy(x) == 0, self.extra, 0.0))
        apart = super().apply("sub", x, self.detach(x))
        return super().apply("add", result, super().apply("mul", apart, slope))


class Half(SlopeAtZero):
    extra = 0.5


class Thrice(SlopeAtZero):
    extra = 3.0


@pytest.mark.parametrize(
    ("gradient", "valid"),
    [
        ([0.0, 2.0, 0.0], True),
        ([1.5, 2.0, 0.0], True),
        ([2.5, 2.0, 0.0], False),
        ([-0.5, 2.0, 0.0], False),
        ([0.5, 2.0, 0.1], False),
        ([0.5, 2.0], False),
    ],
)
def test_valid_is_what_lies_between_the_slopes_of_both_sides(
    gradient: list[float], valid: bool
) -> None:
    assert is_valid_at_a_kink(load_engine("torch"), RELU, 4, np.array(gradient)) is valid


@pytest.mark.parametrize(
    ("gradient", "valid"),
    [([0.5, 0.5, 0.0], True), ([1.0, 0.0, 0.0], True), ([0.0, 0.5, 0.5], False)],
)
def test_of_a_tie_either_may_have_the_gradient(gradient: list[float], valid: bool) -> None:
    assert is_valid_at_a_kink(load_engine("reference"), TIE, 3, np.array(gradient)) is valid


def test_without_a_kink_nothing_is_excused() -> None:
    smooth = parse(
        "x = leaf([0.0], requires_grad=True)\ny = sin(x)\nbackward(y, gradient=[1.0])\ngrad(x)"
    )
    assert not is_valid_at_a_kink(load_engine("torch"), smooth, 3, np.array([1.0]))


@pytest.mark.parametrize(
    ("engine", "outcome"), [(Half, Outcome.INCONCLUSIVE), (Thrice, Outcome.VIOLATED)]
)
def test_an_engine_is_blamed_at_a_kink_only_for_what_is_valid_nowhere(
    engine: type[ReferenceEngine], outcome: Outcome
) -> None:
    found = RandomCheck(engine()).check(RELU).finding
    assert found.outcome is outcome
    assert outcome is Outcome.VIOLATED or found.message == KINK
