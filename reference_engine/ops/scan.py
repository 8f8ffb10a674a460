"""Scans and orders along a dimension: cumulative sums and products, softmax, sort, topk."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

from reference_engine.backends.dtypes import dtype, int64
from reference_engine.ops.dims import at, axis
from reference_engine.ops.opdef import composite, linear, on, own
from reference_engine.ops.reduction import cast, picking

# rows are laid out by hand
# fmt: off

_DIM = [on((2, 3), dim=1), on((2, 3, 2), dim=-2), on((), dim=0), on((0, 2), dim=0)]


# cumulative -------------------------------------------------------------------------------------
def _along(xp: Any, x: Any, *, dim: int, dtype: dtype | None = None, verb: str) -> Any:
    whole = dtype is None and xp.isdtype(x.dtype, ("bool", "integral"))
    x, where = cast(xp, x, int64 if whole else dtype), axis(dim, x.ndim or 1)
    return getattr(xp, verb)(x, axis=where) if x.ndim else xp.copy(x)


def back_to_front(F: Any, x: Any, dim: int) -> Any:
    """``x`` reversed along ``dim``."""
    return F.flip(x, dims=(dim,)) if x.ndim else x


def recurrence(F: Any, b: Any, a: Any, dim: int) -> Any:
    """r with r₀ = b₀ and rₖ = bₖ + aₖ rₖ₋₁ along ``dim``, in log₂ n steps (Hillis and Steele 1986).

    No division, so it stays exact where some factors are 0. https://doi.org/10.1145/7902.7903
    """
    n = b.shape[dim] if b.ndim else 1
    reach = 1
    while reach < n:
        gap = F.zeros_like(F.narrow(b, dim, 0, reach))
        b = b + a * F.cat(gap, F.narrow(b, dim, 0, n - reach), dim=dim)
        a = a * F.cat(gap, F.narrow(a, dim, 0, n - reach), dim=dim)
        reach *= 2
    return b


def shifted(F: Any, x: Any, dim: int, first: Any) -> Any:
    """``x`` one place further along ``dim``, ``first`` (a function) filling the gap."""
    if not x.ndim:
        return first(x)
    n = x.shape[dim]
    return F.cat(first(F.narrow(x, dim, 0, 1)), F.narrow(x, dim, 0, n - 1), dim=dim) if n else x


def _cumprod_vjp(F: Any, g: Any, x: Any, dim: int) -> Any:
    """gᵢ' = (Πⱼ<ᵢ xⱼ)* · rᵢ with rᵢ = gᵢ + x*ᵢ₊₁ rᵢ₊₁, the recurrence run from the back."""
    x = F.conj(x)
    before = F.cumprod(shifted(F, x, dim, F.ones_like), dim=dim)
    factors = shifted(F, back_to_front(F, x, dim), dim, F.zeros_like)
    rest = recurrence(F, back_to_front(F, g, dim), factors, dim)
    return before * back_to_front(F, rest, dim)


linear("cumsum", partial(_along, verb="cumulative_sum"), inplace=True, samples=_DIM,
       transpose=lambda F, g, dim: back_to_front(
           F, F.cumsum(back_to_front(F, g, dim), dim=dim), dim))
own("cumprod", partial(_along, verb="cumulative_prod"), inplace=True, samples=_DIM,
    vjp_x=_cumprod_vjp, jvp=lambda F, x, y, t_x, dim: recurrence(
        F, t_x * shifted(F, y, dim, F.ones_like), x, dim))


# softmax ----------------------------------------------------------------------------------------
def _shift(xp: Any, x: Any, dim: int, dtype: dtype | None) -> tuple[Any, Any]:
    """x less its maximum, and the dimension counted from the front."""
    x = cast(xp, x, dtype)
    where = axis(dim, x.ndim) if x.ndim else ()
    return (x - xp.max(x, axis=where, keepdims=True) if prod(x.shape) else x), where


def _softmax(xp: Any, x: Any, *, dim: int, dtype: dtype | None = None) -> Any:
    shifted, where = _shift(xp, x, dim, dtype)
    powers = xp.exp(shifted)
    return powers / xp.sum(powers, axis=where, keepdims=True)


def _log_softmax(xp: Any, x: Any, *, dim: int, dtype: dtype | None = None) -> Any:
    shifted, where = _shift(xp, x, dim, dtype)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=where, keepdims=True))


def _softmax_slope(F: Any, v: Any, y: Any, dim: int) -> Any:
    """Jacobian of softmax times ``v``; the Jacobian is symmetric, so this is vjp and jvp."""
    weighed = v * y
    return weighed - y * F.sum(weighed, dim=dim, keepdim=True)


own("softmax", _softmax, vjp_x=lambda F, g, y, dim: _softmax_slope(F, g, y, dim),
    jvp=lambda F, y, t_x, dim: _softmax_slope(F, t_x, y, dim), complex=False, samples=_DIM[:3],
    aliases=("nn.functional.softmax", "special.softmax"))
own("log_softmax", _log_softmax, complex=False, samples=_DIM[:3],
    vjp_x=lambda F, g, y, dim: g - F.exp(y) * F.sum(g, dim=dim, keepdim=True),
    jvp=lambda F, y, t_x, dim: t_x - F.sum(F.exp(y) * t_x, dim=dim, keepdim=True),
    aliases=("nn.functional.log_softmax", "special.log_softmax"))


# order ------------------------------------------------------------------------------------------
def argsort(xp: Any, x: Any, dim: int, descending: bool) -> Any:
    """Stable in both directions, NaN last ascending and first descending, as PyTorch."""
    if x.ndim == 0:
        return xp.zeros_like(x, dtype=xp.int64)
    where = axis(dim, x.ndim)
    if not descending:
        return xp.argsort(x, axis=where, stable=True)
    order = xp.argsort(xp.flip(x, axis=where), axis=where, stable=True)
    return x.shape[where] - 1 - xp.flip(order, axis=where)


def _sort(xp: Any, x: Any, *, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """It is always stable."""
    return _topk(xp, x, k=x.shape[axis(dim, x.ndim)] if x.ndim else 1, dim=dim, largest=descending)


def _topk(
    xp: Any, x: Any, *, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The elements are always sorted."""
    if not 0 <= k <= (x.shape[axis(dim, x.ndim)] if x.ndim else 1):
        raise RuntimeError(f"topk got k={k} for dimension {dim} of shape {tuple(x.shape)}")
    order = argsort(xp, x, dim, largest)
    if x.ndim == 0:
        return xp.copy(x), order
    order = order[at(x.ndim, dim, slice(k))]
    return xp.take_along_axis(x, order, axis=axis(dim, x.ndim)), order


picking("sort", _sort, nodes={"stable": 1}, samples=[
    on((2, 3)), on((3, 2), dim=0, descending=True), on(())])
picking("topk", _topk, samples=[on((2, 4), k=2), on((4, 2), k=3, dim=0, largest=False)])
composite("argsort", lambda F, x, dim=-1, descending=False, *, stable=False: F.sort(
    x, dim=dim, descending=descending)[1], complex=False)
composite("msort", lambda F, x: F.sort(x, dim=0)[0], complex=False)
