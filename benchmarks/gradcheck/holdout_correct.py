"""Fresh right functions, written before the checker was run on them and not tuned to.

Four were mended because they were no right functions: two detached what their values depend on,
PyTorch's gradient of `hypot` at the origin is nan, which is no subgradient, and `eigvalsh` reads
one triangle of its input while its gradient is that of a symmetric one.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from benchmarks.gradcheck.correct import Correct, at, low, only
from benchmarks.gradcheck.planted import function, normal, positive


class _Polar(torch.autograd.Function):
    """Two outputs, one of them not differentiable, gradients possibly undefined."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        sign = x > 0
        ctx.mark_non_differentiable(sign)
        return x.abs(), sign

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, _: Any) -> Tensor | None:
        return None if g is None else g * ctx.saved_tensors[0].sign()


class _Once(torch.autograd.Function):
    """Computes outside the graph, and says so."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.tan()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return torch.from_numpy((g * (1 + ctx.saved_tensors[0].tan() ** 2)).numpy())


class _InPlace(torch.autograd.Function):
    """Writes its result over its input, and says so."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        result = x.exp_()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * ctx.saved_tensors[0]


def _symmetric(n: int) -> Tensor:
    a = normal(n, n, seed=4).detach()
    return (a + a.mT).requires_grad_()


def _written(x: Tensor) -> Tensor:
    y = x * 1.0
    y[1] = y[0] * 2
    y.mul_(x)
    return y


def _loop(x: Tensor) -> Tensor:
    while x.abs().max() > 0.01:
        x = x.sin() * 0.7
    return x


def _complex(*shape: int) -> Tensor:
    return torch.complex(normal(*shape).detach(), normal(*shape, seed=9).detach()).requires_grad_()


def _ctc(x: Tensor) -> Tensor:
    return F.ctc_loss(x.log_softmax(-1), torch.tensor([[1, 2, 1]]), (8,), (3,))


GRID = torch.stack(
    torch.meshgrid(torch.arange(3.0), torch.arange(3.0), indexing="ij"), -1
).reshape(-1, 2).double()  # fmt: skip
FRESH = [
    Correct("kink", "softshrink at its threshold", F.softshrink, (at(0.5, -0.5, 2, 0),)),
    Correct("kink", "threshold where it is continuous", lambda x: F.threshold(x, 0.0, 0.0),
            (at(0, 1, -1),)),
    Correct("kink", "distance of a point from itself", torch.dist, (at(1, 2), at(1, 2))),
    Correct("kink", "distances of coinciding points", lambda x, y: torch.cdist(x, y),
            (normal(4, 3), normal(4, 3))),
    Correct("kink", "triplet loss at its margin", lambda a, b: F.relu(a - b + 1.0),
            (at(1, 2, 0), at(2, 1, 4))),
    Correct("kink", "total variation of a constant", lambda x: x.diff().abs().sum(),
            (torch.ones(7).double().requires_grad_(),)),
    Correct("tie", "top two of equals", lambda x: x.topk(2)[0], (at(3, 3, 3, 1),)),
    Correct("tie", "quantile at equal values", lambda x: x.quantile(0.5), (at(1, 2, 2, 5),)),
    Correct("tie", "hausdorff of a grid", lambda x: torch.cdist(x, GRID + 1.0).amin(1).amax(),
            (GRID.clone().requires_grad_(),)),
    Correct("edge", "sinc at zero", torch.sinc, (at(0, 0.3, 1),)),
    Correct("edge", "entropy at zero", torch.special.entr, (at(0, 0.5),),
            "slope grows without bound"),
    Correct("edge", "atan2 on its cut", torch.atan2, (at(0, 1), at(-1, 1)), "jumps"),
    Correct("edge", "lgamma at 1e-8", torch.lgamma, (at(1e-8, 2.5),)),
    Correct("precision", "group norm in float32", lambda x: F.group_norm(x, 2),
            (low(normal(3, 4, 5), torch.float32),)),
    Correct("precision", "attention in float16 only", only(torch.float16, lambda q, k:
            (q @ k.mT).softmax(-1)), (low(normal(3, 4), torch.float16),
                                      low(normal(5, 4, seed=1), torch.float16)), "drowns"),
    Correct("precision", "cosine in bfloat16", torch.cos, (low(normal(30), torch.bfloat16),)),
    Correct("random", "dropout in a module", torch.nn.Sequential(
        torch.nn.Linear(5, 6), torch.nn.Dropout(0.4), torch.nn.Tanh()), (normal(4, 5).float(),)),
    Correct("random", "reparametrised sample",
            lambda m, s: m + s.exp() * torch.randn(m.shape, dtype=m.dtype), (normal(6),
                                                                            normal(6, seed=1))),
    Correct("state", "batch norm in training moves its averages",
            torch.nn.BatchNorm1d(4).double(), (normal(6, 4),)),
    Correct("module", "LSTM cell", torch.nn.LSTMCell(3, 4).double(), (normal(2, 3),)),
    Correct("calls", "checkpointed", lambda x: checkpoint(torch.sin, x * 2, use_reentrant=False),
            (normal(6),)),
    Correct("calls", "a count and a mask beside the result", _Polar.apply, (normal(7),)),
    Correct("calls", "differentiable once", _Once.apply, (normal(5),)),
    Correct("calls", "writes in place on a copy", lambda x: _InPlace.apply(x * 1.0), (normal(5),)),
    Correct("calls", "writes parts of a copy", _written, (normal(4, 3),)),
    Correct("calls", "a loop as long as the input asks", _loop, (normal(5),)),
    Correct("calls", "one input without effect", lambda a, b: a * 2 + 0 * b,
            (normal(4), normal(4, seed=1))),
    Correct("calls", "nested results", lambda x: {"a": x.sin(), "b": [x.cos(), (x * x,)]},
            (normal(4),)),
    Correct("calls", "repeated rows added", lambda x: x[[0, 1, 1, 0, 2]], (normal(4, 3),)),
    Correct("complex", "absolute value", torch.abs, (_complex(6),)),
    Correct("complex", "spectrum of a real signal", torch.fft.rfft, (normal(9),)),
    Correct("matrix", "eigenvalues", lambda x: torch.linalg.eigvalsh(x + x.mT), (_symmetric(5),)),
    Correct("matrix", "pseudoinverse", torch.linalg.pinv, (normal(5, 3),)),
    Correct("matrix", "condition number", torch.linalg.cond, (_symmetric(4),)),
    Correct("loss", "connectionist temporal classification", _ctc, (normal(8, 1, 5),)),
    Correct("condition", "logarithm of a tiny softmax", lambda x: x.softmax(-1).log(),
            (at(0, 30, -30),)),
    Correct("condition", "high polynomial", lambda x: (x - 1) ** 15, (positive(6),)),
    Correct("condition", "a Function through its own inverse", function(
        lambda x: x.exp().log(), lambda g, x: g * torch.ones_like(x)), (normal(6),)),
]  # fmt: skip
