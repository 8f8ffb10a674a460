"""Order statistics, running extremes, sums without nan; covariance and distances of vectors."""

from __future__ import annotations

from functools import partial
from math import nan
from typing import Any

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY
from reference_engine.ops.dims import axis
from reference_engine.ops.opdef import composite, nondiff, on, own
from reference_engine.ops.reduction import ONE_DIM, is_complex, picked, picking, reducing, ties
from reference_engine.ops.scan import argsort, back_to_front, recurrence, shifted

# rows are laid out by hand
# fmt: off

# without nan --------------------------------------------------------------------------------------
_REAL: dict[str, Any] = {"complex": False, "samples": ONE_DIM}
composite("nansum", lambda F, x, dim=None, keepdim=False, *, dtype=None: F.sum(
    F.where(F.isnan(x), 0, x), dim=dim, keepdim=keepdim, dtype=dtype), **_REAL)
composite("nanmean", lambda F, x, dim=None, keepdim=False, *, dtype=None: F.nansum(
    x, dim=dim, keepdim=keepdim, dtype=dtype) / F.sum(
        F.logical_not(F.isnan(x)), dim=dim, keepdim=keepdim), **_REAL)
composite("aminmax", lambda F, x, *, dim=None, keepdim=False: tuple(
    extreme(x, dim=() if dim is None else dim, keepdim=keepdim) for extreme in (F.amin, F.amax)),
    **_REAL)


# by rank ------------------------------------------------------------------------------------------
def _placed(xp: Any, x: Any, dim: int, keepdim: bool, place: Any) -> Any:
    """What stands at ``place(order, where)`` in ascending order along ``dim``, nan last, and its
    index.
    """
    order = argsort(xp, x, dim, False)
    return picked(xp, x, dim, keepdim, lambda where: xp.take_along_axis(
        order, place(order, where), axis=where))


def _rank(xp: Any, x: Any, where: int, rank: int | str) -> Any:
    """The place of the median, or of the rank-th; an array of kept dimension."""
    n = x.shape[where]
    if isinstance(rank, int) and not 1 <= rank <= n:
        raise RuntimeError(f"kthvalue got k={rank} for a dimension of size {n}")
    numbers = xp.sum(xp.astype(~xp.isnan(x), xp.int64), axis=where, keepdims=True)
    if isinstance(rank, int):
        return numbers * 0 + (rank - 1)
    if rank == "median":
        return xp.where(numbers < n, numbers, (n - 1) // 2)
    return (xp.where(numbers == 0, 1, numbers) - 1) // 2


def _commonest(xp: Any, x: Any, order: Any, where: int) -> Any:
    """The place of the commonest value, the least of them at a tie."""
    rows = xp.moveaxis(xp.take_along_axis(x, order, axis=where), where, -1)
    counts = xp.sum(xp.astype(rows[..., None] == rows[..., None, :], xp.int64), axis=-1)
    first = xp.argmax(counts, axis=-1, keepdims=True)
    # any of the equal ones but the last would do for the value; PyTorch returns the last
    chosen = first + xp.take_along_axis(counts, first, axis=-1) - 1 if x.shape[where] else first
    return xp.moveaxis(chosen, -1, where)


def _median(F: Any, x: Any, dim: int | None = None, keepdim: bool = False, *, rank: str) -> Any:
    if dim is None:
        return F._median_of_all(x, rank=rank)
    return F._ranked(x, rank=rank, dim=dim, keepdim=keepdim)


def _quantile(F: Any, x: Any, q: Any, dim: int | None = None, keepdim: bool = False, *,
              interpolation: str = "linear", skip_nan: bool) -> Any:
    """Between the two elements whose ranks enclose q·(n − 1)."""
    ndim, where = x.ndim, 0 if dim is None else axis(dim, x.ndim)
    x = F.reshape(x, shape=(-1,)) if dim is None or not ndim else F.movedim(x, where, -1)
    q = q if hasattr(q, "shape") else F.zeros_of(x, size=()) + q
    missing = F.isnan(x)
    last = F.sum(F.logical_not(missing), dim=-1, keepdim=True) - 1
    last = F.clamp_min(last, 0) if skip_nan else last * 0 + (x.shape[-1] - 1)
    ranks = F.reshape(q, shape=(-1, *(1,) * x.ndim)) * last.to(x.dtype)
    turn = {"lower": F.floor, "higher": F.ceil, "nearest": F.round}.get(interpolation)
    ranks = ranks if turn is None else turn(ranks)
    below, above = F.floor(ranks).detach(), F.ceil(ranks).detach()
    weight = ranks - below if interpolation != "midpoint" else (above - below) * 0.5
    shape = (q.numel(), *x.shape)
    ordered = F.expand(F.sort(x, dim=-1)[0], size=shape)
    low, high = (F.gather(ordered, dim=-1, index=F.expand(
        v, size=(*shape[:-1], 1)).long()) for v in (below, above))
    made = F.lerp(low, high, weight)
    if not skip_nan:
        made = F.where(F.any(missing, dim=-1, keepdim=True), nan, made)
    whole = dim is None or not ndim
    made = F.movedim(made, -1, where + 1) if keepdim and not whole else F.squeeze(made, dim=-1)
    sizes = (1,) * ndim if keepdim and whole else made.shape[1:]
    return F.reshape(made, shape=(*q.shape, *sizes))


picking("_ranked", lambda xp, x, *, rank, dim, keepdim: _placed(
    xp, x, dim, keepdim, lambda order, where: _rank(xp, x, where, rank)), node="MedianBackward1")
picking("mode", lambda xp, x, *, dim=-1, keepdim=False: _placed(
    xp, x, dim, keepdim, lambda order, where: _commonest(xp, x, order, where)), samples=ONE_DIM)
reducing("_median_of_all", lambda xp, x, *, rank, dim=None, keepdim=False: _placed(
    xp, xp.reshape(x, (-1,)), 0, False, lambda order, where: _rank(
        xp, xp.reshape(x, (-1,)), where, rank))[0] if 0 not in x.shape else xp.sum(x) / 0,
    ties, complex=False, kinks="ties", node="MedianBackward0")
for _name in ("median", "nanmedian"):
    composite(_name, partial(_median, rank=_name), **_REAL)
composite("kthvalue", lambda F, x, k, dim=-1, keepdim=False: F._ranked(
    x, rank=k, dim=dim, keepdim=keepdim), complex=False, samples=[on((2, 3), k=2)])
composite("quantile", partial(_quantile, skip_nan=False), complex=False)
composite("nanquantile", partial(_quantile, skip_nan=True), complex=False)


# running ------------------------------------------------------------------------------------------
def _running(accumulate: Any, x: Any, dim: int) -> Any:
    """Along ``dim``, with the last place where the extreme was met; nan wins and stays."""
    if x.ndim == 0 or not x.size:
        return x.copy(), np.zeros(x.shape, np.int64)
    values = accumulate(x, axis=dim)
    places = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    met = np.where((x == values) | np.isnan(x), places, 0)
    return values, np.maximum.accumulate(met, axis=dim)


for _name, _extreme in (("cummax", np.maximum), ("cummin", np.minimum)):
    NUMPY.define(_name, partial(_running, _extreme.accumulate))
    picking(_name, partial(lambda xp, x, *, dim, verb: tuple(
        getattr(xp, verb)(x, axis(dim, x.ndim))), verb=_name))


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
own("logcumsumexp", lambda xp, x, *, dim: xp.logcumsumexp(x, axis(dim, x.ndim)),
    samples=[on((2, 3), dim=1)], vjp_x=_logcumsumexp_vjp, jvp=_logcumsumexp_jvp)


# of vectors ---------------------------------------------------------------------------------------
def _cov(F: Any, x: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    x = F.reshape(x, (1, -1)) if x.ndim < 2 else x
    x = x if x.dtype.differentiable else x / 1
    w = fweights if aweights is None else aweights if fweights is None else fweights * aweights
    if w is None:
        centred, total = x - F.mean(x, dim=1, keepdim=True), x.shape[1] - correction
        return F.squeeze(centred @ F.mH(centred) / total)
    whole = F.sum(w)
    centred = x - F.sum(x * w, dim=1, keepdim=True) / whole
    twice = 1 if aweights is None else F.sum(w * aweights) / whole
    return F.squeeze((centred * w) @ F.mH(centred) / (whole - correction * twice))


def _corrcoef(F: Any, x: Any) -> Any:
    c = _cov(F, x)
    if not c.ndim:
        return c / c
    spread = F.sqrt(F.real(F.diagonal(c)))
    return c / spread[..., None] / spread


def _renorm(F: Any, x: Any, p: float, dim: int, maxnorm: float) -> Any:
    others = tuple(d for d in range(x.ndim) if d != axis(dim, x.ndim))
    size = F.linalg_vector_norm(x, ord=p, dim=others, keepdim=True)
    return x * F.where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)


composite("cov", _cov, samples=[on((2, 4))])
composite("corrcoef", _corrcoef, samples=[on((2, 4))])
composite("dist", lambda F, x, other, p=2: F.linalg_vector_norm(x - other, ord=p))
composite("cdist", lambda F, x1, x2, p=2.0, compute_mode=None: F.linalg_vector_norm(
    x1[..., :, None, :] - x2[..., None, :, :], ord=p, dim=-1), methods=(), complex=False)
composite("renorm", _renorm, inplace=True, samples=[on((2, 3), p=2, dim=0, maxnorm=0.5)])
