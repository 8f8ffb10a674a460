"""Planted errors beside the formula: layouts, zeros, in-place writes, aliases, sizes, state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.gradcheck.planted import RIGHT, Planted, changed, fed, function, normal, scaled


def _as_if_contiguous(g: Tensor) -> Tensor:
    """Read the memory of a tensor row by row, whatever its strides: the classic kernel bug."""
    room = g.untyped_storage().nbytes() // g.element_size() - g.storage_offset()
    if room < g.numel():
        return g.as_strided((1,), (1,)).expand(g.shape) * 1.5
    steps = torch.empty(g.shape).stride()
    return g.as_strided(g.shape, steps)


def _kind(kind: str, name: str, operation: str, change, inputs=None) -> Planted:
    return Planted(name, kind, operation, changed(operation, change, inputs))


def _in_place(g: Tensor) -> Tensor:
    return g.mul_(1.0).add_(0.0) if not g.numel() else g.mul_(2.0).div(2.0)


def _write_input(backward):
    def wrapped(g: Tensor, x: Tensor) -> Any:
        found = backward(g, x)
        x.data.mul_(1.5)
        return found

    return wrapped


def _cached():
    memory: dict[tuple[int, ...], Tensor] = {}

    def backward(g: Tensor, x: Tensor) -> Tensor:
        return g * memory.setdefault(tuple(x.shape), x.cos())

    return function(torch.sin, backward), (normal(6, 5),)


def _growing():
    calls = [0]

    def backward(g: Tensor, x: Tensor) -> Tensor:
        calls[0] += 1
        return g * x.exp() * (1.0 + 0.01 * (calls[0] > 1))

    return function(torch.exp, backward), (normal(7),)


def _stale_closure():
    last: list[Tensor] = []

    def forward(x: Tensor) -> Tensor:
        if not last:
            last.append(x.detach().clone())
        return x.tanh()

    return function(forward, lambda g, x: g * (1 - last[0].tanh() ** 2)), (normal(5, 3),)


def _drifting_module():
    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(normal(4, 4).detach())

        def forward(self, x: Tensor) -> Tensor:
            wrong = lambda g, a, b: (g @ b.mT, 0.999 * (a.mT @ g))  # noqa: E731
            return function(torch.matmul, wrong)(x, self.weight)

    return Layer().double(), (normal(3, 4),)


def _needs_input_grad(only: int):
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            both = all(ctx.needs_input_grad)
            return g * b, g * a if both else g * a * 0.5 if only else g * b

    return Custom.apply, (normal(4, 5), normal(4, 5, seed=1))


def _by_identity():
    """Tell inputs apart by identity: wrong when one tensor is both."""

    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.same = a.data_ptr() == b.data_ptr()
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g * b, None if ctx.same else g * a

    return Custom.apply, (normal(4, 5), normal(4, 5, seed=1))


def _two_outputs(unused: str):
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(x)
            return x.sin(), x.exp()

        @staticmethod
        def backward(ctx, g, h):
            (x,) = ctx.saved_tensors
            if unused == "raises":
                return g * x.cos() + h * x.exp()
            if g is None or h is None:
                return torch.ones_like(x)
            return g * x.cos() + h * x.exp()

    return Custom.apply, (normal(3, 4),)


def _not_materialized():
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(x)
            return x.exp()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0].exp()

    return Custom.apply, (normal(3, 4),)


def _wrong_jvp():
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0].cos()

        @staticmethod
        def jvp(ctx, t):
            return t * ctx.saved_tensors[0].sin()

    return Custom.apply, (normal(3, 4),)


def _second(name: str, operation: str, backward) -> Planted:
    forward, _, inputs = RIGHT[operation]
    return Planted(name, "double backward", operation,
                   lambda: (function(forward, backward), inputs()), order=2)  # fmt: skip


def _above(size: int):
    return scaled(lambda r, g, *_: r if g.numel() <= size else r * 1.01)


def _tail(size: int):
    def by(r: Tensor, *_: Tensor) -> Tensor:
        flat = r.reshape(-1).clone()
        flat[size:] = 0
        return flat.reshape(r.shape)

    return scaled(by)


BEHAVIOURS = [
    *(_kind("non-contiguous cotangent", "reads its memory row by row", op, fed(_as_if_contiguous))
      for op in ("sin", "matmul", "cumsum")),
    _kind("non-contiguous cotangent", "refuses it", "tanh",
          fed(lambda g: g.view(-1).view(g.shape))),
    _kind("non-contiguous input", "reads its memory row by row", "cube",
          lambda b: lambda g, x: b(g, _as_if_contiguous(x))),
    _kind("expanded cotangent", "takes the first number for a stride of zero", "exp",
          fed(lambda g: g * 0.5 if g.stride() and g.stride()[-1] == 0 else g)),
    _kind("expanded cotangent", "writes into it", "mul",
          fed(lambda g: g.mul_(1.0) if 0 in g.stride() else g)),
    _kind("zero cotangent", "adds a bias", "matmul", scaled(lambda r, *_: r + 1e-9)),
    _kind("zero cotangent", "divides by its norm", "tanh",
          fed(lambda g: g * (g.norm() / g.norm()))),
    _kind("cotangent modified", "writes into it", "sin", fed(_in_place)),
    _kind("cotangent modified", "zeroes it afterwards", "cumsum",
          lambda b: lambda g, x: (b(g, x).clone(), g.zero_())[0]),
    _kind("input modified", "writes through .data", "exp", _write_input),
    _kind("input modified", "writes through .data", "cube", _write_input),
    Planted("by identity", "same tensor twice", "mul", _by_identity),
    _kind("scale of the cotangent", "clips", "sin", scaled(lambda r, *_: r.clamp(-100, 100))),
    _kind("scale of the cotangent", "loses small ones", "log",
          fed(lambda g: torch.where(g.abs() < 1e-6, 0.0, g))),
    _kind("empty input", "raises", "sum", lambda b: lambda g, x: b(g * g[0] / g[0], x)),
    _kind("empty input", "raises", "cumsum", lambda b: lambda g, x: b(g, x) + 0 * x.min()),
    _kind("0-d input", "raises", "sin", lambda b: lambda g, x: b(g, x) * len(x) / len(x)),
    _kind("0-d input", "half of it", "tanh",
          lambda b: lambda g, x: b(g, x) * (1.0 if x.dim() else 0.5)),
    _kind("tiny input", "epsilon of a millionth of a millionth", "norm",
          scaled(lambda r, g, x: g[..., None] * x / (x.norm(dim=-1, keepdim=True) + 1e-12))),
    _kind("tiny input", "treated as zero", "cube",
          scaled(lambda r, g, x: torch.where(x.abs() < 1e-6, 0.0, r))),
    _kind("huge input", "saturates", "mul", scaled(lambda r, g, a, b: g * b.clamp(-1e4, 1e4))),
    _kind("huge input", "treated as infinite", "log",
          scaled(lambda r, g, x: torch.where(x > 1e5, 0.0, r))),
    Planted("memory of the first call", "state", "sin", _cached),
    Planted("wrong from the second backward on", "state", "exp", _growing),
    Planted("input of the first call", "state", "tanh", _stale_closure),
    _kind("size", "one per cent beyond 2,000 elements", "sin", _above(2000)),
    _kind("size", "one per cent beyond 500 elements", "matmul", _above(500)),
    _kind("size", "all after the 1,024th zero", "exp", _tail(1024)),
    _kind("size", "all after the 256th zero", "softmax", _tail(256)),
    Planted("one input only, first", "tracked inputs", "mul", lambda: _needs_input_grad(0)),
    Planted("one input only, second", "tracked inputs", "mul", lambda: _needs_input_grad(1)),
    Planted("raises where one output is unused", "undefined cotangent", "sin and exp",
            lambda: _two_outputs("raises")),
    Planted("wrong where one output is unused", "undefined cotangent", "sin and exp",
            lambda: _two_outputs("ones")),
    Planted("raises on None", "undefined cotangent", "exp", _not_materialized),
    Planted("forward mode has another formula", "forward mode", "sin", _wrong_jvp),
    Planted("parameter's gradient 0.1 % too small", "module", "matmul", _drifting_module),
    _second("x taken as a constant", "cube", lambda g, x: g * 3 * x.detach() ** 2),
    _second("cotangent taken as a constant", "sin", lambda g, x: g.detach() * x.cos()),
    _second("saved result taken as a constant", "tanh",
            lambda g, x: g * (1 - x.detach().tanh() ** 2)),
    _second("computed outside the graph", "exp",
            lambda g, x: g * torch.from_numpy(x.detach().exp().numpy())),
    _second("one term a constant", "div", lambda g, a, b: (g / b, -g * a.detach() / b**2)),
    _kind("dtype", "returned in float32", "cumsum", scaled(lambda r, *_: r.float())),
    _kind("dtype", "computed in float32", "cumsum", scaled(lambda r, g, *_: g.float().flip(-1)
          .cumsum(-1).flip(-1).double())),
]  # fmt: skip
