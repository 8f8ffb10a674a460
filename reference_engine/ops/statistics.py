"""Order statistics, running extremes, and sums that leave out nan."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY
from reference_engine.ops.dims import axis
from reference_engine.ops.opdef import composite, nondiff, own
from reference_engine.ops.reduction import (
    ONE_DIM,
    is_complex,
    put_along,
    reducing,
    take_along,
    ties,
)
from reference_engine.ops.scan import argsort, back_to_front, recurrence, shifted

# without nan --------------------------------------------------------------------------------------
composite("nansum", lambda F, x, dim=None, keepdim=False, *, dtype=None: F.sum(
    F.where(F.isnan(x), 0, x), dim=dim, keepdim=keepdim, dtype=dtype), complex=False,
    samples=ONE_DIM)  # fmt: skip
composite("nanmean", lambda F, x, dim=None, keepdim=False, *, dtype=None: F.nansum(
    x, dim=dim, keepdim=keepdim, dtype=dtype) / F.sum(F.logical_not(F.isnan(x)), dim=dim,
                                                       keepdim=keepdim), complex=False,
    samples=ONE_DIM)  # fmt: skip


def _with_mean(name: str) -> Any:
    def forward(F: Any, x: Any, dim: Any = None, unbiased: bool | None = None,
                keepdim: bool = False, *, correction: float | None = None) -> Any:  # fmt: skip
        mean_dim = None if isinstance(dim, bool) else dim
        spread = getattr(F, name)(x, dim=dim, unbiased=unbiased, keepdim=keepdim,
                                  correction=correction)  # fmt: skip
        return spread, F.mean(x, dim=mean_dim, keepdim=keepdim)

    return forward


composite("var_mean", _with_mean("var"), methods=(), samples=ONE_DIM)
composite("std_mean", _with_mean("std"), methods=(), samples=ONE_DIM)
composite("aminmax", lambda F, x, *, dim=None, keepdim=False: tuple(
    getattr(F, f"a{which}")(x, dim=() if dim is None else dim, keepdim=keepdim)
    for which in ("min", "max")), complex=False, samples=ONE_DIM)  # fmt: skip


# by rank ------------------------------------------------------------------------------------------
def _rank(xp: Any, x: Any, where: int, rank: int | str) -> Any:
    """The place in ascending order, nan last, of what is asked for: an array of kept dimension."""
    if isinstance(rank, int):
        return rank - 1
    n = x.shape[where]
    numbers = xp.sum(xp.astype(~xp.isnan(x), xp.int64), axis=where, keepdims=True)
    if rank == "median":
        return xp.where(numbers < n, numbers, (n - 1) // 2)
    return (xp.where(numbers == 0, 1, numbers) - 1) // 2


def _ranked(xp: Any, x: Any, *, rank: int | str, dim: int, keepdim: bool) -> Any:
    if x.ndim == 0:
        return xp.copy(x), xp.zeros_like(x, dtype=xp.int64)
    where = axis(dim, x.ndim)
    if isinstance(rank, int) and not 1 <= rank <= x.shape[where]:
        raise RuntimeError(f"kthvalue got k={rank} for a dimension of size {x.shape[where]}")
    order = argsort(xp, x, dim, False)
    shape = tuple(1 if d == where else n for d, n in enumerate(x.shape))
    at = xp.zeros(shape, dtype=xp.int64, device=x.device) + _rank(xp, x, where, rank)
    indices = xp.take_along_axis(order, at, axis=where)
    values = xp.take_along_axis(x, indices, axis=where)
    if keepdim:
        return values, indices
    return xp.squeeze(values, axis=where), xp.squeeze(indices, axis=where)


_PICKED: dict[str, Any] = {
    "outputs": ("values", "indices"), "complex": False, "kinks": "ties",
    "vjp_x": lambda F, g_values, indices, x_shape, dim, keepdim: put_along(
        F, g_values, indices, x_shape, dim, keepdim),
    "jvp": lambda F, indices, t_x, dim, keepdim: take_along(F, t_x, indices, dim, keepdim),
}  # fmt: skip
own("_ranked", _ranked, node="MedianBackward1", **_PICKED)


def _mode(xp: Any, x: Any, *, dim: int = -1, keepdim: bool = False) -> Any:
    """The commonest value, the least of them at a tie."""
    if x.ndim == 0:
        return xp.copy(x), xp.zeros_like(x, dtype=xp.int64)
    where = axis(dim, x.ndim)
    order = argsort(xp, x, dim, False)
    rows = xp.moveaxis(xp.take_along_axis(x, order, axis=where), where, -1)
    counts = xp.sum(xp.astype(rows[..., None] == rows[..., None, :], xp.int64), axis=-1)
    last = counts.shape[-1] - 1
    first = xp.argmax(counts, axis=-1, keepdims=True)
    chosen = first + xp.take_along_axis(counts, first, axis=-1) - 1 if last >= 0 else first
    indices = xp.take_along_axis(order, xp.moveaxis(chosen, -1, where), axis=where)
    values = xp.take_along_axis(x, indices, axis=where)
    if keepdim:
        return values, indices
    return xp.squeeze(values, axis=where), xp.squeeze(indices, axis=where)


own("mode", _mode, samples=ONE_DIM, **_PICKED)
reducing("_median_of_all", lambda xp, x, *, rank, dim=None, keepdim=False: _ranked(
         xp, xp.reshape(x, (-1,)), rank=rank, dim=0, keepdim=False)[0] if x.size else x.sum() / 0,
         ties, complex=False, kinks="ties", node="MedianBackward0")  # fmt: skip


def _median(rank: str) -> Any:
    def forward(F: Any, x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is None:
            return F._median_of_all(x, rank=rank)
        return F._ranked(x, rank=rank, dim=dim, keepdim=keepdim)

    return forward


composite("median", _median("median"), complex=False, samples=ONE_DIM)
composite("nanmedian", _median("nanmedian"), complex=False, samples=ONE_DIM)
composite("kthvalue", lambda F, x, k, dim=-1, keepdim=False: F._ranked(
    x, rank=k, dim=dim, keepdim=keepdim), complex=False,
    samples=[(((2, 3),), {"k": 2})])  # fmt: skip


def _quantile(F: Any, x: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str,
              skip_nan: bool) -> Any:  # fmt: skip
    """Between the two elements whose ranks enclose q·(n − 1)."""
    ndim = x.ndim
    x, where = (F.reshape(x, shape=(-1,)), 0) if dim is None else (x, axis(dim, ndim))
    x = x if x.ndim else F.reshape(x, shape=(1,))
    q = q if hasattr(q, "shape") else F.zeros_of(x, size=()) + q
    missing = F.isnan(x)
    count = F.sum(F.logical_not(missing), dim=where, keepdim=True)
    n = x.shape[where]
    ordered = F.unsqueeze(F.transpose(F.sort(x, dim=where)[0], dim0=where, dim1=-1), dim=0)
    last = F.transpose(F.clamp_min(count - 1, 0) if skip_nan else count * 0 + (n - 1),
                       dim0=where, dim1=-1)  # fmt: skip
    ranks = F.reshape(q, shape=(-1, *(1,) * x.ndim)) * last.to(x.dtype)
    if interpolation in ("lower", "higher", "nearest"):
        ranks = getattr(F, {"lower": "floor", "higher": "ceil", "nearest": "round"}[interpolation])(
            ranks
        )
    below, above = F.floor(ranks).detach(), F.ceil(ranks).detach()
    weight = ranks - below if interpolation != "midpoint" else (above - below) * 0.5
    shape = (q.numel(), *ordered.shape[1:])
    ordered = F.expand(ordered, size=shape)
    low, high = (F.gather(ordered, dim=-1, index=F.expand(
        v, size=(*shape[:-1], 1)).long()) for v in (below, above))  # fmt: skip
    made = F.lerp(low, high, weight)
    if not skip_nan:
        spoilt = F.unsqueeze(F.transpose(F.any(missing, dim=where, keepdim=True), dim0=where,
                                         dim1=-1), dim=0)  # fmt: skip
        made = F.where(spoilt, nan, made)
    made = F.transpose(made, dim0=where + 1, dim1=-1)
    sizes = list(made.shape[1:])
    if not keepdim:
        sizes = [] if dim is None or not ndim else [*sizes[:where], *sizes[where + 1 :]]
    elif dim is None:
        sizes = [1] * ndim
    return F.reshape(made, shape=(*q.shape, *(sizes if ndim else ())))


composite("quantile", lambda F, x, q, dim=None, keepdim=False, *, interpolation="linear":
          _quantile(F, x, q, dim, keepdim, interpolation, False), complex=False)  # fmt: skip
composite("nanquantile", lambda F, x, q, dim=None, keepdim=False, *, interpolation="linear":
          _quantile(F, x, q, dim, keepdim, interpolation, True), complex=False)  # fmt: skip


# running ------------------------------------------------------------------------------------------
def _running(accumulate: Any) -> Any:
    def extreme(x: Any, dim: int) -> Any:
        """Along ``dim``, with the last place where the extreme was met; nan wins and stays."""
        if x.ndim == 0 or not x.size:
            return x.copy(), np.zeros(x.shape, np.int64)
        values = accumulate(x, axis=dim)
        places = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
        met = np.where((x == values) | np.isnan(x), places, 0)
        return values, np.maximum.accumulate(met, axis=dim)

    return extreme


NUMPY.define("cummax", _running(np.maximum.accumulate))
NUMPY.define("cummin", _running(np.minimum.accumulate))
for _name in ("cummax", "cummin"):
    own(_name, (lambda verb: lambda xp, x, *, dim: tuple(getattr(xp, verb)(x, axis(dim, x.ndim))))(
        _name), samples=ONE_DIM[:0], outputs=("values", "indices"), complex=False, kinks="ties",
        vjp_x=lambda F, g_values, indices, x_shape, dim: put_along(
            F, g_values, indices, x_shape, dim, True),
        jvp=lambda F, indices, t_x, dim: take_along(F, t_x, indices, dim, True))  # fmt: skip


def _numpy_logcumsumexp(x: Any, dim: int) -> Any:
    if x.ndim == 0 or not x.size:
        return x.copy()
    if x.dtype.kind != "c":
        return np.logaddexp.accumulate(x, axis=dim)
    out = np.moveaxis(x.copy(), dim, 0)
    for i in range(1, out.shape[0]):
        out[i] = NUMPY.logaddexp(out[i - 1], out[i])
    return np.moveaxis(out, 0, dim)


def _summit(xp: Any, x: Any, *, dim: int) -> Any:
    """The running maximum of the real part, where it is finite."""
    real = xp.real(x) if is_complex(xp, x) else x
    top = xp.cummax(real, axis(dim, x.ndim))[0]
    return xp.where(xp.isinf(top), 0, top)


nondiff("_summit", _summit)


def _shares(F: Any, x: Any, dim: int) -> tuple[Any, Any]:
    """What the element itself, and what all before it, have in each sum of exponentials.

    From x, not from the logarithm of the sum, which has lost a digit for each digit of x.
    """
    top = F._summit(x, dim=dim)
    before = shifted(F, top, dim, lambda head: head)
    fade = F.where(before > top, 0, F.exp(before - top))
    own = F.where(F.isinf(x), 0, F.exp(F.where(F.isinf(x), 0, x) - top))
    total = recurrence(F, own, fade, dim)
    safe = F.where(total == 0, 1, total)
    return own / safe, fade * shifted(F, total, dim, F.zeros_like) / safe


def _logcumsumexp_vjp(F: Any, g: Any, x: Any, dim: int) -> Any:
    """gᵢ' = (own shareᵢ)* rᵢ with rᵢ = gᵢ + (others' shareᵢ₊₁)* rᵢ₊₁: no factor exceeds 1."""
    own, others = (F.conj(share) for share in _shares(F, x, dim))
    factors = shifted(F, back_to_front(F, others, dim), dim, F.zeros_like)
    return own * back_to_front(F, recurrence(F, back_to_front(F, g, dim), factors, dim), dim)


def _logcumsumexp_jvp(F: Any, x: Any, t_x: Any, dim: int) -> Any:
    own, others = _shares(F, x, dim)
    return recurrence(F, t_x * own, others, dim)


NUMPY.define("logcumsumexp", _numpy_logcumsumexp)
own("logcumsumexp", lambda xp, x, *, dim: xp.logcumsumexp(x, axis(dim, x.ndim)), samples=[
        (((2, 3),), {"dim": 1})], vjp_x=_logcumsumexp_vjp, jvp=_logcumsumexp_jvp)  # fmt: skip
