"""A second catalogue, written before the checker was run on it and not tuned to: wrong formulas.

Other operations and other slips than in `formulas`: those of reductions, gathers, layers, linear
algebra, complex numbers and branches, as they happen to people who write a backward by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gradcheck.planted import Planted, function, normal, positive


def slip(
    kind: str, name: str, operation: str, forward: Callable[..., Any],
    backward: Callable[..., Any], *inputs: Tensor,
) -> Planted:  # fmt: skip
    """Return a planted error: forward(*inputs), backward(g, *inputs)."""
    return Planted(name, kind, operation, lambda: (function(forward, backward), inputs))


def tracked(values: Any) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).requires_grad_()


def by_autograd(forward: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, ...]]:
    """Return the right backward of a forward, as PyTorch derives it."""

    def backward(g: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in inputs]
            return torch.autograd.grad(forward(*leaves), leaves, g)

    return backward


def complexes(*shape: int, seed: int = 0) -> Tensor:
    return torch.complex(normal(*shape, seed=seed).detach(),
                         normal(*shape, seed=seed + 50).detach()).requires_grad_()  # fmt: skip


INDEX = torch.tensor([0, 2, 2, 1, 2])
HERMITE = normal(4, 4, seed=3).detach()


def _layer_norm(g: Tensor, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scale = x.var(-1, unbiased=False, keepdim=True).rsqrt()
    return scale * (g - g.mean(-1, keepdim=True)) + 0 * centred


def _gelu_of_tanh(g: Tensor, x: Tensor) -> Tensor:
    """The slope of the approximation by tanh, for the exact function."""
    return by_autograd(lambda y: F.gelu(y, approximate="tanh"))(g, x)[0]


def _conv_unflipped(g: Tensor, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    right = by_autograd(lambda a, b: F.conv1d(a, b, padding=1))(g, x, w)
    return F.conv1d(g, w.transpose(0, 1), padding=1), right[1]


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v


def _attention_key(g: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
    dq, dk, dv = by_autograd(_attention)(g, q, k, v)
    return dq, dk * math.sqrt(q.shape[-1]), dv


def _cell(x: Tensor, h: Tensor, w: Tensor) -> Tensor:
    i, f = (torch.cat([x, h], -1) @ w).chunk(2, -1)
    return i.sigmoid() * x.tanh() + f.sigmoid() * h


def _cell_gates(g: Tensor, x: Tensor, h: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    dx, dh, _ = by_autograd(_cell)(g, x, h, w)
    joined = torch.cat([x, h], -1)
    i, f = (joined @ w).chunk(2, -1)
    gates = torch.cat([g * x.tanh() * i.sigmoid() * (1 - i.sigmoid()),
                       g * h * f.sigmoid() * (1 - i.sigmoid())], -1)  # fmt: skip
    return dx, dh, joined.mT @ gates


def _overwritten(g: Tensor, x: Tensor) -> Tensor:
    found = torch.zeros_like(x)
    found[INDEX] = g
    return found


def _pool_last(g: Tensor, x: Tensor) -> Tensor:
    """The gradient goes to the last of each window, not to its largest."""
    found = torch.zeros_like(x)
    found[..., 1::2] = g
    return found


def _cholesky(g: Tensor, a: Tensor) -> Tensor:
    lower = torch.linalg.cholesky(a)
    inverse = torch.linalg.inv(lower)
    middle = (lower.mT @ g).tril()  # the diagonal should be halved
    found = inverse.mT @ middle @ inverse
    return 0.5 * (found + found.mT)


def _lgamma(g: Tensor, x: Tensor) -> Tensor:
    """Stirling's series of digamma, cut off too early for small arguments."""
    return g * (x.log() - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6))


def _atan2(g: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    r = x * x + y * y
    return g * x.abs() / r, -g * y / r


def _spd(n: int) -> Tensor:
    a = normal(n, n, seed=8).detach()
    return (a @ a.mT + n * torch.eye(n, dtype=torch.float64)).requires_grad_()


FORMULA_SLIPS = [
    slip("reduction", "unbiased for biased", "var", lambda x: x.var(0, unbiased=False),
         lambda g, x: g * 2 * (x - x.mean(0)) / (x.shape[0] - 1), normal(6, 4)),
    slip("reduction", "product divided by the element", "prod", torch.prod,
         lambda g, x: g * x.prod() / x, tracked([1.5, 0.0, 2.0, -1.0])),
    slip("reduction", "weights along the other axis", "logsumexp", lambda x: x.logsumexp(1),
         lambda g, x: g[:, None] * x.softmax(0), normal(5, 5)),
    slip("reduction", "bias summed over the other axis", "linear bias", lambda x, b: x + b,
         lambda g, x, b: (g, g.sum(1)), normal(4, 4), normal(4, seed=1)),
    slip("reduction", "a scalar weight averaged, not summed", "scale", lambda x, w: x * w,
         lambda g, x, w: (g * w, (g * x).mean()), normal(3, 4), tracked(0.7)),
    slip("reduction", "mean over the batch, not over all elements", "mse loss",
         lambda x, y: F.mse_loss(x, y),
         lambda g, x, y: (g * 2 * (x - y) / x.shape[0], -g * 2 * (x - y) / x.numel()),
         normal(5, 3), normal(5, 3, seed=1)),
    slip("index", "repeated rows overwritten, not added", "index_select", lambda x: x[INDEX],
         _overwritten, normal(4, 3)),
    slip("index", "not put back in order", "sort", lambda x: x.sort()[0],
         lambda g, x: g, normal(9)),
    slip("index", "shifted the same way again", "roll", lambda x: x.roll(2, 0),
         lambda g, x: g.roll(2, 0), normal(7)),
    slip("index", "the first elements instead of the middle", "pad", lambda x: F.pad(x, (2, 1)),
         lambda g, x: g[..., : x.shape[-1]], normal(3, 5)),
    slip("index", "parts exchanged", "cat", lambda a, b: torch.cat([a, b]),
         lambda g, a, b: (g[len(a):], g[: len(a)]), normal(4), normal(4, seed=1)),
    slip("index", "one of two dimensions not flipped back", "flip", lambda x: x.flip(0, 1),
         lambda g, x: g.flip(0), normal(4, 3)),
    slip("index", "the last of the window", "max_pool1d",
         lambda x: F.max_pool1d(x, 2), _pool_last, normal(2, 3, 8)),
    slip("index", "one for the sum of the copies", "upsample",
         lambda x: x.repeat_interleave(2, -1), lambda g, x: g[..., ::2] * 2, normal(3, 4)),
    slip("layer", "mean's share alone", "layer_norm", lambda x: F.layer_norm(x, x.shape[-1:]),
         _layer_norm, normal(4, 8)),
    slip("layer", "slope of the approximation", "gelu", F.gelu, _gelu_of_tanh, normal(20)),
    slip("layer", "kernel not flipped", "conv1d", lambda x, w: F.conv1d(x, w, padding=1),
         _conv_unflipped, normal(2, 3, 6), normal(3, 3, 3, seed=1)),
    slip("layer", "key without the scale", "attention", _attention, _attention_key,
         normal(3, 4), normal(5, 4, seed=1), normal(5, 2, seed=2)),
    slip("layer", "slope of the other gate", "gated cell", _cell, _cell_gates,
         normal(3, 4), normal(3, 4, seed=1), normal(8, 8, seed=2)),
    slip("layer", "second norm forgotten", "cosine_similarity",
         lambda a, b: F.cosine_similarity(a, b, -1),
         lambda g, a, b: (by_autograd(lambda p, q: F.cosine_similarity(p, q, -1))(g, a, b)[0],
                          g[..., None] * a / (a.norm(dim=-1) * b.norm(dim=-1))[..., None]),
         normal(3, 5), normal(3, 5, seed=1)),
    slip("matrix", "diagonal not halved", "cholesky", torch.linalg.cholesky, _cholesky, _spd(4)),
    slip("matrix", "not transposed", "inv", torch.linalg.inv,
         lambda g, a: -torch.linalg.inv(a) @ g @ torch.linalg.inv(a), _spd(4).detach()
         .add(HERMITE).requires_grad_()),
    slip("matrix", "ones everywhere", "trace", torch.trace,
         lambda g, a: g.expand_as(a), normal(4, 4)),
    slip("matrix", "inverse not transposed", "det", torch.linalg.det,
         lambda g, a: g * torch.linalg.det(a) * torch.linalg.inv(a), normal(4, 4)),
    slip("matrix", "matrix taken as symmetric", "solve", torch.linalg.solve,
         lambda g, a, b: (by_autograd(torch.linalg.solve)(g, a, b)[0], torch.linalg.solve(a, g)),
         normal(4, 4).detach().add(4 * torch.eye(4)).requires_grad_(), normal(4, seed=1)),
    slip("complex", "derivative not conjugated", "exp", torch.exp,
         lambda g, z: g * z.exp(), complexes(5)),
    slip("complex", "phase conjugated", "abs", torch.abs,
         lambda g, z: g * z.conj() / z.abs(), complexes(5)),
    slip("complex", "length forgotten", "fft", torch.fft.fft,
         lambda g, z: torch.fft.ifft(g), complexes(6)),
    slip("accuracy", "constant of 1.128379", "erf", torch.erf,
         lambda g, x: g * 1.128379 * (-x * x).exp(), normal(20)),
    slip("accuracy", "series cut off", "lgamma", torch.lgamma, _lgamma,
         tracked([3.0, 4.5, 6.0, 9.0])),
    slip("accuracy", "step of 1e-5 in the backward", "sigmoid", torch.sigmoid,
         lambda g, x: g * ((x + 1e-5).sigmoid() - x.sigmoid()) / 1e-5, normal(12)),
    slip("accuracy", "fixed point of 2^-24", "softsign", F.softsign,
         lambda g, x: (g / (1 + x.abs()) ** 2 * 2**24).round() / 2**24, normal(12)),
    slip("branch", "wrong in two quadrants", "atan2", torch.atan2, _atan2,
         normal(8), normal(8, seed=1)),
    slip("branch", "open on one side", "clamp", lambda x: x.clamp(-0.5, 0.5),
         lambda g, x: g * (x < 0.5), normal(12)),
    slip("branch", "both branches get it", "where",
         lambda a, b: torch.where(a.detach() > 0, a, b), lambda g, a, b: (g * (a > 0), g),
         normal(8), normal(8, seed=1)),
    slip("branch", "logarithm of base two", "pow", torch.pow,
         lambda g, x, y: (g * y * x ** (y - 1), g * x**y * x.log2()),
         positive(6), normal(6, seed=1)),
]  # fmt: skip
