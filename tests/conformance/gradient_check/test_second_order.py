"""Order 2: right functions are not accused, wrong double backwards are found."""

from __future__ import annotations

import pytest
import torch

from conformance import gradcheck
from tests.conformance.gradient_check.test_gradcheck import function, normal


def point(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).requires_grad_()


def hilbert(size: int) -> torch.Tensor:
    i = torch.arange(1, size + 1, dtype=torch.float64)
    return (1 / (i[:, None] + i - 1)).requires_grad_()


def test_a_gradient_that_jumps_is_in_doubt() -> None:
    result = gradcheck(torch.relu, (point(0.0, 1.0),), order=2)
    assert result.verdict == "inconclusive"
    assert "the gradient jumps there" in result.reason


@pytest.mark.parametrize("size", [4, 6, 7, 10])
def test_an_ill_conditioned_solve_is_not_accused(size: int) -> None:
    result = gradcheck(torch.linalg.solve, (hilbert(size), normal(size)), order=2)
    assert result.verdict != "fail"


def test_a_second_derivative_beyond_the_largest_number_is_right() -> None:
    result = gradcheck(torch.sqrt, (point(1e-300),), order=2, probes=False)
    assert result.verdict == "pass"
    assert "the derivative by input 0[0] is beyond the largest number" in result.notes


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x.tan()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):  # type: ignore[no-untyped-def]
        return g * (1 + ctx.saved_tensors[0].tan() ** 2)


def test_what_says_that_it_has_no_double_backward_is_not_wrong() -> None:
    for fn, inputs in ((Once.apply, (normal(5),)), (torch.cdist, (normal(3, 2), normal(4, 2)))):
        assert gradcheck(fn, inputs, probes=False).verdict == "pass"
        result = gradcheck(fn, inputs, order=2, probes=False)
        if fn is Once.apply:
            assert result.verdict == "inconclusive"
            assert "no double backward" in result.reason


def test_a_double_backward_that_raises_is_wrong() -> None:
    def backward(g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            raise RuntimeError("lost")
        return g * x.cos()

    result = gradcheck(function(torch.sin, backward), (normal(5),), order=2)
    assert (result.verdict, result.failures[0].cause) == ("fail", "order 2, double backward raises")


@pytest.mark.parametrize("size", [8, 9])
def test_complex_cotangents_lie_where_pytorch_can_read_them(size: int) -> None:
    assert gradcheck(torch.fft.rfft, (normal(size),), order=2).verdict == "pass"


def test_complex_inputs_behind_an_odd_number_of_real_ones_can_be_read() -> None:
    z = torch.view_as_complex(normal(4, 2).detach()).requires_grad_()
    assert gradcheck(lambda x, z: torch.fft.ifft(z * x.sum()), (normal(3), z)).verdict == "pass"
