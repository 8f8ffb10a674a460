"""Right functions that the operator database showed the checker to accuse, or to leave open."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from conformance import gradcheck
from tests.conformance.gradient_check.test_gradcheck import at, function, normal


@pytest.mark.parametrize("order", [2, -2, "nuc"])
def test_norms_of_singular_values_have_a_kink_at_zero_in_all_directions(order: Any) -> None:
    x = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    result = gradcheck(lambda x: torch.linalg.norm(x, ord=order), (x,))
    assert result.verdict == "pass", result


def test_a_kink_of_slopes_beyond_the_subdifferential_still_fails() -> None:
    wrong = function(lambda x: torch.linalg.norm(x), lambda g, x: g * 1.5 * torch.ones_like(x))
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(wrong, (x,)).verdict == "fail"


def test_a_backward_through_logarithms_is_not_linear_to_the_last_digit() -> None:
    def backward(g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return g.sign() * (((g.abs().log() + x) + 1e4) - 1e4).exp()

    result = gradcheck(function(torch.exp, backward), (normal(30),))
    assert result.verdict == "pass", result


def test_a_function_that_ends_at_its_inputs_is_judged_from_inside() -> None:
    def inside(x: torch.Tensor) -> torch.Tensor:
        if (x > 1).any():
            raise ValueError("expected numbers up to one")
        return x * x

    result = gradcheck(inside, (at(1.0, 0.5),))
    assert result.verdict == "pass", result
    wrong = function(inside, lambda g, x: g * x)
    assert gradcheck(wrong, (at(1.0, 0.5),)).verdict == "fail"


def test_a_function_of_the_memory_beside_its_inputs_cannot_be_judged() -> None:
    whole = normal(12).detach()

    def beside(x: torch.Tensor) -> torch.Tensor:
        return x.as_strided((4,), (1,), 5)

    result = gradcheck(beside, (whole[:6].requires_grad_(),))
    assert result.verdict == "inconclusive"
    assert "no copies" in result.reason


@pytest.mark.parametrize("digits", range(0, 12, 2))
def test_rounding_to_a_grid_has_the_gradient_zero(digits: int) -> None:
    for seed in range(3):
        x = normal(5, seed=seed)
        grid = gradcheck(lambda x: torch.floor(x * 10.0**digits) / 10.0**digits, (x,), seed=seed)
        assert grid.verdict == "pass", grid


def test_a_forgotten_input_is_no_grid() -> None:
    wrong = function(torch.mul, lambda g, a, b: (g * b, None))
    assert gradcheck(wrong, (normal(5), normal(5, seed=1))).verdict == "fail"
    alone = function(torch.sin, lambda g, x: 0 * g)
    assert gradcheck(alone, (normal(5),)).verdict == "fail"
    beside_much = function(lambda x: 1e6 + x, lambda g, x: 0 * g)
    assert gradcheck(beside_much, (normal(5),)).verdict == "fail"
