"""Right gradients where checkers stumble: kinks, ties, edges, precision, chance, condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gradcheck.planted import function, normal, positive


@dataclass(frozen=True)
class Correct:
    """A right function. inconclusive: the true reason for which nothing can be said, if any."""

    kind: str
    name: str
    function: Callable[..., Any]
    inputs: tuple[Tensor, ...]
    inconclusive: str = ""


def at(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype).requires_grad_()


def low(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.detach().to(dtype).requires_grad_()


def hilbert(n: int) -> Tensor:
    i = torch.arange(n, dtype=torch.float64)
    return (1 / (i[:, None] + i + 1)).requires_grad_()


def only(dtype: torch.dtype, body: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Refuse any dtype but one."""

    def wrapped(*tensors: Tensor) -> Tensor:
        if tensors[0].dtype != dtype:
            raise TypeError(f"{dtype} only")
        return body(*tensors)

    return wrapped


KINKS = [
    Correct("kink", "relu at 0", torch.relu, (at(0, 1, -1, 0),)),
    Correct("kink", "abs at 0", torch.abs, (at(0, 1, -1),)),
    Correct("kink", "hardtanh at both ends", F.hardtanh, (at(-1, 1, 0.3),)),
    Correct("kink", "relu6 at 0 and 6", F.relu6, (at(0, 6, 3),)),
    Correct("kink", "leaky relu at 0", F.leaky_relu, (at(0, 2, -2),)),
    Correct("kink", "prelu at 0", F.prelu, (at(0, 2, -2), at(0.25))),
    Correct("kink", "elu at 0", F.elu, (at(0, 1, -1),)),
    Correct("kink", "hardswish at -3 and 3", F.hardswish, (at(-3, 3, 1),)),
    Correct("kink", "clamp at its bounds", lambda x: x.clamp(-1, 1), (at(-1, 1, 0.5),)),
    Correct("kink", "huber at its delta", lambda x: F.huber_loss(x, torch.zeros_like(x),
            reduction="none"), (at(1, -1, 0.5),)),
    Correct("kink", "smooth l1 at beta and 0", lambda x: F.smooth_l1_loss(x, torch.zeros_like(x)),
            (at(1, 0, -1),)),
    Correct("kink", "l1 loss at equality", lambda x: F.l1_loss(x, torch.zeros_like(x)),
            (at(0, 0, 2),)),
    Correct("kink", "sum of many relus at 0", lambda x: torch.relu(x).sum(),
            (torch.zeros(20, dtype=torch.float64).requires_grad_(),)),
    Correct("kink", "difference of relus at 0", lambda x: torch.relu(x[0]) - torch.relu(x[1]),
            (at(0, 0),)),
    Correct("kink", "norm at 0", torch.linalg.vector_norm, (at(0, 0, 0),)),
    Correct("kink", "hinge loss at its corner", lambda x: F.hinge_embedding_loss(
        x, -torch.ones_like(x)), (at(1, 0.5, 2),)),
    Correct("kink", "relu network, a unit at 0", lambda x: torch.relu(x * torch.tensor(
        [1.0, -1.0, 2.0], dtype=torch.float64)).sum() ** 2, (at(0, -1, 1),)),
    Correct("kink", "close to one: relu at 1e-9", torch.relu, (at(1e-9, -1e-9, 1),)),
]  # fmt: skip
TIES = [
    Correct("tie", "amax of equals", torch.amax, (at(1, 2, 2, 0),)),
    Correct("tie", "amax of all equals", torch.amax, (torch.zeros(9).double().requires_grad_(),)),
    Correct("tie", "max, one taken", torch.max, (at(3, 3, 1),)),
    Correct("tie", "max along a dimension", lambda x: x.max(0)[0], (at(3, 3, 1),)),
    Correct("tie", "maximum of equals", torch.maximum, (at(1, 2), at(1, 3))),
    Correct("tie", "sort with equals", lambda x: x.sort()[0], (at(2, 1, 2),)),
    Correct("tie", "median of equals", torch.median, (at(1, 1, 1, 2),)),
    Correct("tie", "max pool of a plateau", lambda x: F.max_pool1d(x[None], 2)[0],
            (at(1, 1, 2, 2),)),
    Correct("tie", "cummax with equals", lambda x: x.cummax(0)[0], (at(1, 2, 2, 1),)),
    Correct("tie", "minimum, nearly equal", torch.minimum, (at(1, 2), at(1 + 1e-12, 2))),
]  # fmt: skip
EDGES = [
    Correct("edge", "x^1.5 at 0", lambda x: x**1.5, (at(0, 1),)),
    Correct("edge", "xlogy at 0", torch.xlogy, (at(0, 1), at(2, 3))),
    Correct("edge", "sqrt at 0", torch.sqrt, (at(0, 4),), "slope grows without bound"),
    Correct("edge", "acos at 1", torch.acos, (at(1, 0.5),), "slope grows without bound"),
    Correct("edge", "floor at an integer", torch.floor, (at(1, 0.5),), "jumps"),
    Correct("edge", "sign at 0", torch.sign, (at(0, 1),), "jumps"),
    Correct("edge", "log at 0", torch.log, (at(0, 1),), "undefined"),
    Correct("edge", "round between integers", torch.round, (at(0.3, 1.2),)),
    Correct("edge", "sqrt at 1e-300", torch.sqrt, (at(1e-300, 1),)),
    Correct("edge", "exp near overflow", torch.exp, (at(700, 1),)),
]
PRECISION = [
    Correct("float32", "sin", torch.sin, (low(normal(50), torch.float32),)),
    Correct("float32", "matmul", torch.matmul,
            (low(normal(8, 9), torch.float32), low(normal(9, 7), torch.float32))),
    Correct("float32", "layer norm", lambda x: F.layer_norm(x, (16,)),
            (low(normal(4, 16), torch.float32),)),
    Correct("float32", "convolution in float32 only", only(torch.float32, lambda x, w:
            F.conv1d(x, w)), (low(normal(2, 3, 9), torch.float32),
                              low(normal(4, 3, 3), torch.float32))),
    Correct("float32", "softmax in float32 only", only(torch.float32, lambda x: x.softmax(-1)),
            (low(normal(6, 7), torch.float32),)),
    Correct("float32", "a Function in float32 only", only(torch.float32, function(
        torch.sin, lambda g, x: g * x.cos())), (low(normal(100), torch.float32),)),
    Correct("float16", "tanh", torch.tanh, (low(normal(20), torch.float16),)),
    Correct("float16", "matmul in float16 only", only(torch.float16, torch.matmul),
            (low(normal(4, 4), torch.float16), low(normal(4, 4, seed=1), torch.float16))),
    Correct("bfloat16", "gelu", F.gelu, (low(normal(20), torch.bfloat16),)),
    Correct("float32", "casts to float32 inside", lambda x: x.float().exp().to(x.dtype),
            (normal(20),)),
]  # fmt: skip
RANDOM = [
    Correct("random", "dropout", F.dropout, (normal(40),)),
    Correct("random", "dropout of a layer", lambda x: F.dropout(torch.tanh(x), 0.3), (normal(40),)),
    Correct(
        "random", "noise from the generator", lambda x: x + torch.randn_like(x) * x, (normal(10),)
    ),
    Correct("random", "rrelu in training", lambda x: F.rrelu(x, training=True), (normal(30),)),
]
CONDITION = [
    Correct("condition", "solve with Hilbert 6", torch.linalg.solve, (hilbert(6), normal(6))),
    Correct(
        "condition",
        "solve with Hilbert 10",
        torch.linalg.solve,
        (hilbert(10), normal(10)),
        "rounding drowns",
    ),
    Correct("condition", "inverse of Hilbert 7", torch.linalg.inv, (hilbert(7),)),
    Correct(
        "condition",
        "log of a sum of exponentials",
        lambda x: torch.logsumexp(x, 0),
        (at(1000, 1000.5, 999),),
    ),
    Correct("condition", "cancellation", lambda x: (x + 1e8) - 1e8, (at(1, 2, 3),)),
    Correct("condition", "fast oscillation", lambda x: torch.sin(1e4 * x), (normal(5),)),
    Correct("condition", "very unequal inputs", torch.log, (at(1e-12, 1, 1e12),)),
    Correct("condition", "determinant near zero", torch.linalg.det, (hilbert(5),)),
    Correct("condition", "sum of squares of 1e-150", lambda x: (x * x).sum(), (at(1e-150, 1),)),
    Correct("smooth", "a function with a zero gradient", lambda x: x * 0 + 1, (positive(4),)),
]
CORRECT = [*KINKS, *TIES, *EDGES, *PRECISION, *RANDOM, *CONDITION]
