"""Long vectors: a kink close to one of very many elements is no error, and hides none."""

from __future__ import annotations

import pytest
import torch

from conformance.gradient_check import Verdict, gradcheck
from conformance.gradient_check.line import LONG
from tests.conformance.gradient_check.test_gradcheck import function, normal

SIZE = LONG + 4096
BUDGET = 100 * SIZE
"""Enough to tell that a gradient is wrong, not to look for the place."""


def kinked(
    factor: float, element: float = 1.0, near: float = 2.0**-21
) -> tuple[object, torch.Tensor]:
    """Return |x - k| with kinks k at all distances, a few within the steps; and its input.

    factor: of the whole gradient; element: of that of the element next to a kink. near: distance of
    the nearest kinks, as a part of their numbers.
    """
    x = normal(SIZE).detach()
    distance = 0.1 + torch.rand(SIZE, generator=torch.Generator().manual_seed(1)).double()
    distance[::20_000] = near
    kinks = x * (1 + distance)
    share = torch.full((SIZE,), factor, dtype=torch.float64)
    share[20_000] *= element

    def backward(g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return g * (x - kinks).sign() * share

    return function(lambda x: (x - kinks).abs(), backward), x.requires_grad_()


def test_kinks_within_all_usual_steps_are_compared_apart() -> None:
    """Examined kink by kink, as short vectors are, this one takes a hundred calls."""
    fn, x = kinked(1.0, near=2.0**-28)
    result = gradcheck(fn, (x,), probes=False)  # type: ignore[arg-type]
    assert result.verdict is Verdict.PASS
    assert result.calls < 40


def test_kinks_within_the_steps_are_given_smaller_ones() -> None:
    fn, x = kinked(1.0)
    result = gradcheck(fn, (x,), probes=False)  # type: ignore[arg-type]
    assert result.verdict is Verdict.PASS
    assert result.calls < 20


@pytest.mark.parametrize(
    ("factor", "element", "near"),
    [
        (1 + 1e-6, 1.0, 2.0**-21),
        (1.0, 1.5, 2.0**-21),
        (1.0, -1.0, 2.0**-21),
        (1.0, 1.5, 2.0**-28),
        (1.0, -1.0, 2.0**-28),
    ],
)
def test_errors_beside_and_at_such_a_kink_are_found(
    factor: float, element: float, near: float
) -> None:
    """Beyond all usual steps, only the smaller ones tell a kink beside a point from one at it."""
    fn, x = kinked(factor, element, near)
    result = gradcheck(fn, (x,), probes=False, budget=BUDGET)  # type: ignore[arg-type]
    assert result.verdict is Verdict.FAIL
