"""The shape of a planted error: a right operation, and one thing that its backward gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Backward = Callable[..., Any]
DOUBLE = {"dtype": torch.float64}


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, **DOUBLE).requires_grad_()


def positive(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator, **DOUBLE) + 0.5).requires_grad_()


@dataclass(frozen=True)
class Planted:
    """name, kind and operation of an error; make() returns the function and its inputs."""

    name: str
    kind: str
    operation: str
    make: Callable[[], tuple[Callable[..., Any], tuple[Tensor, ...]]]
    order: int = 1


def function(forward: Callable[..., Any], backward: Backward) -> Callable[..., Any]:
    """Return an autograd Function's apply: forward(*tensors), backward(g, *tensors)."""

    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Tensor) -> Any:
            ctx.save_for_backward(*tensors)
            return forward(*tensors)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            return backward(*gradients, *ctx.saved_tensors)

    return Custom.apply


RIGHT: dict[str, tuple[Callable[..., Any], Backward, Callable[[], tuple[Tensor, ...]]]] = {
    "sin": (torch.sin, lambda g, x: g * x.cos(), lambda: (normal(6, 5),)),
    "exp": (torch.exp, lambda g, x: g * x.exp(), lambda: (normal(40),)),
    "log": (torch.log, lambda g, x: g / x, lambda: (positive(4, 3),)),
    "tanh": (torch.tanh, lambda g, x: g * (1 - x.tanh() ** 2), lambda: (normal(7, 3),)),
    "cube": (lambda x: x**3, lambda g, x: g * 3 * x**2, lambda: (normal(5, 4),)),
    "mul": (
        torch.mul,
        lambda g, a, b: (g * b, g * a),
        lambda: (normal(4, 5), normal(4, 5, seed=1)),
    ),
    "div": (
        torch.div,
        lambda g, a, b: (g / b, -g * a / b**2),
        lambda: (normal(4, 5), positive(4, 5, seed=1)),
    ),
    "matmul": (
        torch.matmul,
        lambda g, a, b: (g @ b.mT, a.mT @ g),
        lambda: (normal(5, 4), normal(4, 6, seed=1)),
    ),
    "softmax": (
        lambda x: x.softmax(-1),
        lambda g, x: (lambda y: y * (g - (g * y).sum(-1, keepdim=True)))(x.softmax(-1)),
        lambda: (normal(5, 6),),
    ),
    "sum": (lambda x: x.sum(0), lambda g, x: g.expand_as(x), lambda: (normal(6, 5),)),
    "cumsum": (
        lambda x: x.cumsum(-1),
        lambda g, x: g.flip(-1).cumsum(-1).flip(-1),
        lambda: (normal(3, 8),),
    ),
    "relu": (torch.relu, lambda g, x: g * (x > 0), lambda: (normal(6, 6),)),
    "norm": (
        lambda x: x.norm(dim=-1),
        lambda g, x: g[..., None] * x / x.norm(dim=-1, keepdim=True),
        lambda: (normal(6, 4),),
    ),
    "square matmul": (
        torch.matmul,
        lambda g, a, b: (g @ b.mT, a.mT @ g),
        lambda: (normal(4, 4), normal(4, 4, seed=1)),
    ),
}
"""Right operations: forward, backward, inputs."""


def changed(
    operation: str, wrong: Callable[[Backward], Backward],
    inputs: Callable[[], tuple[Tensor, ...]] | None = None,
) -> Callable[[], tuple[Callable[..., Any], tuple[Tensor, ...]]]:  # fmt: skip
    """Return a maker of the operation whose backward is `wrong(right backward)`."""
    forward, backward, usual = RIGHT[operation]
    return lambda: (function(forward, wrong(backward)), (inputs or usual)())


def scaled(by: Callable[..., Any]) -> Callable[[Backward], Backward]:
    """Return what applies `by(gradient, g, *inputs)` to the first gradient of a backward."""

    def wrong(backward: Backward) -> Backward:
        def wrapped(g: Tensor, *inputs: Tensor) -> Any:
            found = backward(g, *inputs)
            if isinstance(found, tuple):
                return by(found[0], g, *inputs), *found[1:]
            return by(found, g, *inputs)

        return wrapped

    return wrong


def fed(change: Callable[[Tensor], Any]) -> Callable[[Backward], Backward]:
    """Return what changes the cotangent before a backward sees it."""
    return lambda backward: lambda g, *inputs: backward(change(g), *inputs)
