"""Each planted error of behaviour is found by the default call, and named by its cause."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from conformance import gradcheck
from tests.conformance.gradient_check.test_gradcheck import function, normal


def by_memory(g: Tensor) -> Tensor:
    """Read row by row whatever the strides are."""
    return torch.from_numpy(
        __import__("numpy").lib.stride_tricks.as_strided(
            g.detach().numpy(), g.shape, [8 * n for n in torch.empty(g.shape).stride()]
        ).copy()
    )  # fmt: skip


def remembered() -> Any:
    first: list[Tensor] = []

    def backward(g: Tensor, x: Tensor) -> Tensor:
        first.append(x.detach().clone())
        return g * first[0].cos() * (1.0 + 0.1 * (len(first) > 1))

    return backward


PLANTED: dict[str, tuple[str, Any, Any]] = {
    "non-contiguous cotangent": ("sin", torch.sin, lambda g, x: by_memory(g) * x.cos()),
    "repeated backward": ("sin", torch.sin, remembered()),
    "expanded cotangent": (
        "sin",
        torch.sin,
        lambda g, x: (g * 2 if 0 in g.stride() else g) * x.cos(),
    ),
    "scale of the cotangent": ("sin", torch.sin, lambda g, x: (g * x.cos()).clamp(-50, 50)),
    "zero cotangent": (
        "sin", torch.sin, lambda g, x: g * x.cos() + (1.0 if not g.any() else 0.0),
    ),
    "cotangent modified in place": ("sin", torch.sin, lambda g, x: g.mul_(x.cos()).clone()),
    "input modified in place": ("sin", torch.sin, lambda g, x: (g * x.cos(), x.data.add_(1))[0]),
    "0-d inputs": ("sin", torch.sin, lambda g, x: g * x.cos() * (1.0 if x.dim() else 0.5)),
    "empty inputs": ("sin", torch.sin, lambda g, x: g * x.cos() + 0 * x.max()),
    "tiny inputs": ("sin", torch.sin, lambda g, x: torch.where(x.abs() < 1e-6, 0.0, g * x.cos())),
    "huge inputs": ("exp", lambda x: x * x, lambda g, x: 2 * g * x.clamp(-1e4, 1e4)),
    "larger inputs": ("sin", torch.sin, lambda g, x: g * x.cos() * (1 + (x.numel() > 3000))),
}  # fmt: skip


@pytest.mark.parametrize("cause", PLANTED)
def test_a_planted_error_is_found_and_named(cause: str) -> None:
    _, forward, backward = PLANTED[cause]
    result = gradcheck(function(forward, backward), (normal(6, 5),))
    assert result.verdict == "fail"
    assert result.failures[0].cause == cause, result


def test_a_cotangent_that_is_given_another_size_was_modified() -> None:
    def backward(g: Tensor, x: Tensor) -> Tensor:
        gradient = g * x.cos()
        g.resize_(3)
        return gradient

    result = gradcheck(function(torch.sin, backward), (normal(4),))
    assert result.failures[0].cause == "cotangent modified in place", result


def test_one_printed_sentence_tells_of_a_wrong_non_contiguous_path() -> None:
    wrong = function(torch.sin, lambda g, x: by_memory(g) * x.cos())
    first = str(gradcheck(wrong, (normal(6, 5),))).splitlines()[0]
    assert "non-contiguous cotangent" in first
    assert "input 0[" in first


def test_one_tracked_input_and_one_tensor_twice() -> None:
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
            ctx.same = a is b or a.data_ptr() == b.data_ptr()
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            a, b = ctx.saved_tensors
            second = g * a if ctx.needs_input_grad[0] else g * b
            return g * b, None if ctx.same else second

    result = gradcheck(Custom, (normal(3), normal(3, seed=1)))
    assert {d.cause for d in result.failures} == {"one tracked input", "same tensor twice"}


@pytest.mark.parametrize("cause", ["non-contiguous input", "scale of the cotangent"])
def test_a_path_for_all_inputs_tracked_at_once_is_asked_about(cause: str) -> None:
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            a, b = ctx.saved_tensors
            small = g.numel() > 0 and 0 < float(g.abs().max()) < 1e-6
            odd = small if cause == "scale of the cotangent" else not a.is_contiguous()
            factor = 2.0 if odd and all(ctx.needs_input_grad) else 1.0
            return g * b * factor, g * a

    result = gradcheck(Custom, (normal(6, 5), normal(6, 5, seed=1)))
    assert [d.cause for d in result.failures] == [cause], result


def test_an_unused_output_is_told() -> None:
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Any:
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(x)
            return x.sin(), x.exp()

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * x.cos() + h * x.exp()

    result = gradcheck(Custom, (normal(3),))
    assert result.failures[0].cause == "undefined cotangent"


def test_forward_mode_is_held_against_the_slopes() -> None:
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return g * ctx.saved_tensors[0].cos()

        @staticmethod
        def jvp(ctx: Any, t: Tensor) -> Tensor:
            return t * ctx.saved_tensors[0].sin()

    result = gradcheck(Custom, (normal(3),))
    assert [d.cause for d in result.failures] == ["forward mode"]


def test_probes_can_be_left_out() -> None:
    _, forward, backward = PLANTED["0-d inputs"]
    result = gradcheck(function(forward, backward), (normal(6, 5),), probes=False)
    assert (result.verdict, result.probes) == ("pass", ())


def test_larger_inputs_have_no_ties_that_the_input_has_not() -> None:
    seen: list[torch.Tensor] = []

    def sorted_values(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach().clone())
        return x.sort().values

    x = torch.randperm(9, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    assert gradcheck(sorted_values, (x,)).verdict == "pass"
    large = max(seen, key=torch.numel)
    assert large.numel() >= 4096
    assert large.unique().numel() == large.numel()
