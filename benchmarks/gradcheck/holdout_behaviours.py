"""The second catalogue, continued: backwards that are right only under some circumstances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gradcheck.holdout_formulas import FORMULA_SLIPS, by_autograd, slip
from benchmarks.gradcheck.planted import Planted, function, normal, positive


def custom(backward: Callable[..., Any], forward: Callable[..., Any], **more: Any) -> Any:
    """Return the apply of a Function of forward(ctx, …) and backward(ctx, …)."""
    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    members |= {name: staticmethod(value) for name, value in more.items()}
    return type("Custom", (torch.autograd.Function,), members).apply


def _keep(ctx: Any, *tensors: Tensor) -> None:
    ctx.save_for_backward(*tensors)


class _Shared:
    """Attributes of a class where those of the call were meant."""

    x: Tensor


def _saved_on_the_class() -> Any:
    def forward(_: Any, x: Tensor) -> Tensor:
        _Shared.x = x.detach().clone()
        return x.sigmoid()

    def backward(_: Any, g: Tensor) -> Tensor:
        y = _Shared.x.sigmoid()
        return g * y * (1 - y)

    return custom(backward, forward), (normal(4, 3),)


def _popped() -> Any:
    stack: list[Tensor] = []

    def forward(_: Any, x: Tensor) -> Tensor:
        stack.append(x.detach().clone())
        return x.erf()

    def backward(_: Any, g: Tensor) -> Tensor:
        return g * 2 / torch.pi**0.5 * (-(stack.pop() ** 2)).exp()

    return custom(backward, forward), (normal(5),)


def _freed() -> Any:
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.x = x.detach().clone()
        return x.cosh()

    def backward(ctx: Any, g: Tensor) -> Tensor:
        x, ctx.x = ctx.x, None
        return g * x.sinh()

    return custom(backward, forward), (normal(5),)


def _accumulated() -> Any:
    """Adds into one buffer that it hands out every time."""

    def forward(ctx: Any, x: Tensor) -> Tensor:
        _keep(ctx, x)
        ctx.buffer = torch.zeros_like(x)
        return x.atan()

    def backward(ctx: Any, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return ctx.buffer.add_(g / (1 + x * x)).clone()

    return custom(backward, forward), (normal(6),)


def _fresh_mask() -> Any:
    def forward(_: Any, x: Tensor) -> Tensor:
        return x * (torch.rand_like(x) > 0.5) * 2

    def backward(_: Any, g: Tensor) -> Tensor:
        return g * (torch.rand_like(g) > 0.5) * 2

    return custom(backward, forward), (normal(30),)


def _mask_unscaled() -> Any:
    def forward(ctx: Any, x: Tensor) -> Tensor:
        mask = torch.rand_like(x) > 0.25
        _keep(ctx, mask)
        return x * mask / 0.75

    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * ctx.saved_tensors[0]

    return custom(backward, forward), (normal(30),)


def _saved_after_write() -> Any:
    def forward(ctx: Any, x: Tensor) -> Tensor:
        work = x.clone()
        _keep(ctx, work)
        return work.mul_(work).sum()

    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * 2 * ctx.saved_tensors[0]

    return custom(backward, forward), (normal(6),)


def _half_inside() -> Any:
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        _keep(ctx, a, b)
        return a @ b

    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = ctx.saved_tensors
        return (g.bfloat16() @ b.mT.bfloat16()).to(a.dtype), a.mT @ g

    return custom(backward, forward), tuple(
        normal(6, 6, seed=s).detach().float().requires_grad_() for s in (0, 1)
    )


def _buffer_module() -> Any:
    class Scale(torch.nn.Module):
        """Its backward moves a buffer that its forward uses."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("gain", torch.ones((), dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            def backward(g: Tensor, y: Tensor) -> Tensor:
                found = g * self.gain * y.cos()
                self.gain.mul_(1.5)
                return found

            return function(torch.sin, backward)(x) * 1.0

    return Scale(), (normal(5),)


def _double_bias() -> Any:
    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(normal(4, 3, seed=5).detach())
            self.bias = torch.nn.Parameter(normal(4, seed=6).detach())

        def forward(self, x: Tensor) -> Tensor:
            linear = function(F.linear, lambda g, a, w, b: (g @ w, g.mT @ a, 2 * g.sum(0)))
            return linear(x, self.weight, self.bias)

    return Layer(), (normal(5, 3),)


def _only_first_needed() -> Any:
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        _keep(ctx, a, b)
        return torch.hypot(a, b)

    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None
        r = torch.hypot(a, b)
        return g * a / r, g * b / r

    return custom(backward, forward), (normal(6), normal(6, seed=1))


def _second_none() -> Any:
    def forward(ctx: Any, x: Tensor) -> Any:
        ctx.set_materialize_grads(False)
        _keep(ctx, x)
        return x.sinh(), x * x

    def backward(ctx: Any, g: Tensor | None, h: Tensor | None) -> Tensor:
        (x,) = ctx.saved_tensors
        g = torch.zeros_like(x) if g is None else g
        return g * x.cosh() + (2 * x if h is None else 2 * x * h)

    return custom(backward, forward), (normal(6),)


def _jvp_of_one() -> Any:
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        _keep(ctx, a, b)
        ctx.save_for_forward(a, b)
        return a * b

    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = ctx.saved_tensors
        return g * b, g * a

    def jvp(ctx: Any, s: Tensor, _: Tensor) -> Tensor:
        return s * ctx.saved_tensors[1]

    return custom(backward, forward, jvp=jvp), (normal(6), normal(6, seed=1))


def _order_two(name: str, operation: str, forward: Any, backward: Any, *inputs: Tensor) -> Planted:
    return Planted(name, "second order", operation,
                   lambda: (function(forward, backward), inputs), order=2)  # fmt: skip


def _outside(g: Tensor, x: Tensor) -> Tensor:
    with torch.no_grad():
        slope = torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))
    return g * slope


def _transposed_if_strided(g: Tensor) -> Tensor:
    return g if g.is_contiguous() else g.mT


def _blocks_of_eight(g: Tensor, x: Tensor) -> Tensor:
    """Whole blocks of eight once there are more than 64."""
    found = (g / x).reshape(-1).clone()
    if found.numel() > 64:
        found[found.numel() // 8 * 8 :] = 0
    return found.reshape(x.shape)


def _overflowing(g: Tensor, x: Tensor) -> Tensor:
    e = (-x).exp()
    return g * e / (1 + e) ** 2


def _made(kind: str, name: str, operation: str, make: Callable[[], Any]) -> Planted:
    return Planted(name, kind, operation, make)


BEHAVIOUR_SLIPS = [
    _made("state", "saved on the class", "sigmoid", _saved_on_the_class),
    _made("state", "popped from a list", "erf", _popped),
    _made("state", "set free by the first backward", "cosh", _freed),
    _made("state", "adds into its own buffer", "atan", _accumulated),
    _made("state", "moves a buffer of its module", "scale module", _buffer_module),
    _made("random", "draws another mask backward", "dropout", _fresh_mask),
    _made("random", "mask not scaled", "dropout", _mask_unscaled),
    slip("random", "noise of a thousandth", "asinh", torch.asinh,
         lambda g, x: g / (1 + x * x).sqrt() * (1 + 1e-3 * torch.randn_like(x)), normal(8)),
    _made("memory", "saved after the write", "sum of squares", _saved_after_write),
    slip("memory", "strided taken as transposed", "square", torch.square,
         lambda g, x: 2 * x * _transposed_if_strided(g), normal(5, 5)),
    slip("memory", "input flattened by stride", "log1p", torch.log1p,
         lambda g, x: g / (1 + x.as_strided(x.shape, torch.empty(x.shape).stride())),
         positive(4, 5)),
    slip("memory", "writes into an expanded cotangent", "mean", lambda x: x.mean(0),
         lambda g, x: g.div_(x.shape[0]).expand_as(x).clone(), normal(6, 4)),
    slip("cotangent", "negative ones dropped", "leaky relu", lambda x: F.leaky_relu(x, 0.1),
         lambda g, x: g.clamp(min=0) * torch.where(x > 0, 1.0, 0.1), normal(10)),
    slip("cotangent", "clipped by norm", "tan", torch.tan,
         lambda g, x: g / (g.norm() / 1e3).clamp(min=1.0) * (1 + x.tan() ** 2), positive(6)),
    slip("cotangent", "signs alone of small ones", "sinc", torch.sinc,
         lambda g, x: torch.where(g.abs() < 1e-5, g.sign() * 1e-5, g)
         * by_autograd(torch.sinc)(torch.ones_like(x), x)[0], positive(6)),
    slip("cotangent", "normalised to its largest", "cos", torch.cos,
         lambda g, x: -x.sin() * (g / g.abs().max()) * g.abs().max(), normal(7)),
    _made("precision", "bfloat16 inside", "matmul in float32", _half_inside),
    slip("magnitude", "overflows for negative inputs", "sigmoid", torch.sigmoid,
         _overflowing, normal(9)),
    slip("magnitude", "zero below 1e-4", "sinc-like", lambda x: x * x.abs().sqrt(),
         lambda g, x: torch.where(x.abs() < 1e-4, 0.0, g * 1.5 * x.abs().sqrt()), normal(9)),
    slip("magnitude", "epsilon of 1e-15", "rms norm",
         lambda x: x * (x * x).mean(-1, keepdim=True).rsqrt(),
         lambda g, x: by_autograd(lambda y: y * ((y * y).mean(-1, keepdim=True) + 1e-15)
                                  .rsqrt())(g, x)[0], normal(4, 6)),
    slip("magnitude", "linear above a threshold", "softplus", F.softplus,
         lambda g, x: g * torch.where(x > 20, 0.5, x.sigmoid()), normal(9)),
    slip("size", "tail of incomplete blocks lost", "log", torch.log, _blocks_of_eight,
         positive(5, 7)),
    slip("size", "32 rows at most", "row sums", lambda x: x.sum(1),
         lambda g, x: torch.where(torch.arange(len(x)) < 32, g, 0.0)[:, None].expand_as(x),
         normal(6, 5)),
    slip("size", "asks a scalar for its length", "centring", lambda x: x - x.mean(0),
         lambda g, x: g - g.sum(0) / len(x),
         normal(5, 3)),
    _made("tracked inputs", "none where the first is constant", "hypot", _only_first_needed),
    _made("undefined cotangent", "None taken for ones", "sinh and square", _second_none),
    _made("forward mode", "one of two terms", "mul", _jvp_of_one),
    _made("module", "bias twice", "linear", _double_bias),
    slip("dtype", "complex for a real input", "square of real",
         lambda x: x * x, lambda g, x: (2 * x * g).to(torch.complex128), normal(5)),
    _order_two("weight a constant", "silu", F.silu, _outside, normal(6)),
    _order_two("cotangent cut off", "bilinear", lambda a, b: a @ b,
               lambda g, a, b: (g @ b.mT, a.mT @ g.detach()), normal(3, 4), normal(4, 2, seed=1)),
    _order_two("a factor of its own", "exp", torch.exp,
               lambda g, x: g * function(torch.exp, lambda h, y: 2 * h * y.exp())(x), normal(6)),
]  # fmt: skip
HOLDOUT = [*FORMULA_SLIPS, *BEHAVIOUR_SLIPS]
