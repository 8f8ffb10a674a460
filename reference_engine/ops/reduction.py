"""Reductions: functions of many numbers, along some dimensions or all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, nan
from typing import Any

from reference_engine.backends.dtypes import dtype, get_default_dtype
from reference_engine.ops.dims import Dims, axes, axis, count, restore
from reference_engine.ops.opdef import OpDef, Rule, composite, linear, needs, nondiff, on, own

# rows are laid out by hand
# fmt: off

_DIMS = [on((2, 3)), on((2, 3), dim=1), on((2, 3, 2), dim=(0, -1), keepdim=True), on(()),
         on((3, 0), dim=0)]
ONE_DIM = [on((2, 3), dim=1), on((2, 3, 2), dim=-2, keepdim=True), on((), dim=0)]


def cast(xp: Any, x: Any, d: dtype | None) -> Any:
    """``x`` in dtype ``d``, where one is asked for."""
    return x if d is None else xp.cast(x, d)


def is_complex(xp: Any, x: Any) -> bool:
    """Whether a raw array is complex."""
    return bool(xp.isdtype(x.dtype, "complex floating"))


def _is_floating(xp: Any, x: Any) -> bool:
    return bool(xp.isdtype(x.dtype, ("real floating", "complex floating")))


def reducing(name: str, forward: Rule, slope: Rule, real: bool = False, **row: Any) -> OpDef:
    """The row of a reduction over ``dim`` from the gradient of its result, ``slope(F, x, ...)``.

    The slope is in PyTorch's convention for complex numbers; its ``y`` has all dimensions. The
    result may be real where x is complex.
    """
    asked = needs(slope)

    def at(F: Any, dim: Dims, keepdim: bool, *given: Any) -> Any:
        named = dict(zip(asked, given, strict=True))
        if "y" in named:
            named["y"] = restore(F, named["y"], named["x"].shape, dim, keepdim)
        return slope(F, **named)

    def vjp(F: Any, g: Any, x_shape: Any, dim: Dims, keepdim: bool, *given: Any) -> Any:
        return restore(F, g, x_shape, dim, keepdim) * at(F, dim, keepdim, *given)

    def jvp(F: Any, t: Any, dim: Dims, keepdim: bool, *given: Any) -> Any:
        rise = F.conj(at(F, dim, keepdim, *given)) * t
        return F.sum(F.real(rise) if real else rise, dim=dim, keepdim=keepdim)

    vars(vjp)["needs"] = ("g", "x_shape", "dim", "keepdim", *asked)
    vars(jvp)["needs"] = ("t_x", "dim", "keepdim", *asked)
    return own(name, forward, vjp_x=vjp, jvp=jvp, **row)


# sums and products ------------------------------------------------------------------------------
def _sum(
    xp: Any, x: Any, *, dim: Dims = None, keepdim: bool = False, dtype: dtype | None = None) -> Any:
    total = xp.sum(cast(xp, x, dtype), axis=axes(dim, x.ndim) or None, keepdims=keepdim)
    return cast(xp, total, dtype)


def _mean(
    xp: Any, x: Any, *, dim: Dims = None, keepdim: bool = False, dtype: dtype | None = None) -> Any:
    x = cast(xp, x, dtype)
    if not _is_floating(xp, x):
        raise RuntimeError(f"mean needs a floating or complex dtype, got {x.dtype}; pass dtype=")
    # not xp.mean: the mean of nothing is nan, without a warning
    return _sum(xp, x, dim=dim, keepdim=keepdim) / (count(x.shape, dim) or nan)


def _spread(F: Any, g: Any, x_shape: Any, dim: Dims, keepdim: bool) -> Any:
    return F.expand(restore(F, g, x_shape, dim, keepdim), size=x_shape)


def _others(F: Any, x: Any, dim: int | None) -> Any:
    """For each element the product of the others, without division: exact where some are 0."""
    if dim is None:
        return F.reshape(_others(F, F.reshape(x, (-1,)), 0), tuple(x.shape))
    n = x.shape[dim] if x.ndim else 1
    if n < 2:
        return F.ones_like(x)
    one = F.ones_like(F.narrow(x, dim, 0, 1))
    before = F.cumprod(F.cat(one, F.narrow(x, dim, 0, n - 1), dim=dim), dim=dim)
    back = F.flip(F.narrow(x, dim, 1, n - 1), dims=(dim,))
    return before * F.flip(F.cumprod(F.cat(one, back, dim=dim), dim=dim), dims=(dim,))


linear("sum", _sum, transpose=_spread, samples=_DIMS, nodes={"dim": 1})
linear("mean", _mean, samples=_DIMS, nodes={"dim": 1},
       transpose=lambda F, g, x_shape, dim, keepdim: _spread(
           F, g / max(count(x_shape, dim), 1), x_shape, dim, keepdim))
linear("sum_to_size", lambda xp, x, *, size: xp.sum_to_size(x, tuple(size)), order=("x", "*size"),
       transpose=lambda F, g, x_shape: F.expand(g, size=x_shape),
       samples=[on((2, 3, 4), size=(3, 1))])
reducing("prod", lambda xp, x, *, dim=None, keepdim=False, dtype=None: cast(xp, xp.prod(
             cast(xp, x, dtype), axis=axes(dim, x.ndim), keepdims=keepdim), dtype),
         lambda F, x, dim: F.conj(_others(F, x, dim)), nodes={"dim": 1},
         samples=[on((2, 3)), *ONE_DIM, on((0,))])


# extremes ---------------------------------------------------------------------------------------
def ties(F: Any, x: Any, y: Any, dim: Dims) -> Any:
    """Each extreme element's share of the derivative: equal parts at a tie."""
    equal = F.logical_or(x == y, F.logical_and(F.isnan(x), F.isnan(y)))
    chosen = F.where(equal, F.ones_like(x), 0)
    return chosen / F.sum(chosen, dim=dim, keepdim=True)


def _extreme(xp: Any, x: Any, *, dim: Dims = (), keepdim: bool = False, which: str) -> Any:
    return getattr(xp, which)(x, axis=axes(dim, x.ndim), keepdims=keepdim)


def picked(xp: Any, x: Any, dim: int, keepdim: bool, indices_along: Callable[[int], Any]) -> Any:
    """What stands at the indices that ``indices_along(axis)`` finds, one a row, and the indices."""
    if x.ndim == 0:
        return xp.copy(x), xp.zeros_like(x, dtype=xp.int64)
    where = axis(dim, x.ndim)
    indices = indices_along(where)
    found = xp.take_along_axis(x, indices, axis=where), indices
    return found if keepdim else tuple(xp.squeeze(v, axis=where) for v in found)


def _extreme_along(xp: Any, x: Any, *, dim: int, keepdim: bool = False, which: str) -> Any:
    numbers = xp.astype(x, xp.uint8) if xp.isdtype(x.dtype, "bool") else x
    find = getattr(xp, f"arg{which}")
    return picked(xp, x, dim, keepdim, lambda where: find(numbers, axis=where, keepdims=True))


def picking(name: str, forward: Rule, **row: Any) -> OpDef:
    """The row of what picks values along ``dim`` and returns their indices too."""

    def whole(F: Any, v: Any, indices: Any, shape: Any, dim: int) -> Any:
        return restore(F, v, shape, dim, keepdim=indices.ndim == len(shape))

    def vjp(F: Any, g_values: Any, indices: Any, x_shape: Any, dim: int) -> Any:
        g, index = (whole(F, v, indices, x_shape, dim) for v in (g_values, indices))
        return F.scatter_add(F.zeros_of(g, size=x_shape), dim=dim, index=index, src=g)

    def jvp(F: Any, indices: Any, t_x: Any, dim: int) -> Any:
        found = F.gather(t_x, dim=dim, index=whole(F, indices, indices, t_x.shape, dim))
        return F.reshape(found, shape=tuple(indices.shape))

    return own(name, forward, outputs=("values", "indices"), complex=False, kinks="ties",
               vjp_x=vjp, jvp=jvp, **row)


def _either(F: Any, x: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None,
            which: str) -> Any:
    """Of all elements; along ``dim``, with the indices; or elementwise of two tensors."""
    other = dim if hasattr(dim, "shape") else other
    if other is not None:
        return getattr(F, f"{which}imum")(x, other)
    if dim is None:
        return getattr(F, f"_{which}_of_all")(x)
    return getattr(F, f"_{which}_along")(x, dim=dim, keepdim=keepdim)


for _name in ("max", "min"):
    _node, _of_all = f"{_name.title()}Backward", partial(_extreme, which=_name)
    reducing(f"a{_name}", _of_all, ties, complex=False, kinks="ties", samples=_DIMS[:4])
    reducing(f"_{_name}_of_all", _of_all, ties, complex=False, kinks="ties",
             node=_node + "1", samples=_DIMS[:1])
    picking(f"_{_name}_along", partial(_extreme_along, which=_name), node=_node + "0",
            samples=ONE_DIM)
    composite(_name, partial(_either, which=_name), complex=False, samples=[*_DIMS[:1], *ONE_DIM])


# variance ---------------------------------------------------------------------------------------
def _spreading(F: Any, x: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False,
               *, correction: float | None = None, name: str, mean: bool = False) -> Any:
    """PyTorch's older signatures, var(x, False) and unbiased=, say the correction too; also the
    mean, where that is asked for.
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    spread = getattr(F, name)(x, dim=dim, correction=correction, keepdim=keepdim)
    return (spread, F.mean(x, dim=dim, keepdim=keepdim)) if mean else spread


def _var(xp: Any, x: Any, *, dim: Dims, correction: float, keepdim: bool) -> Any:
    n = count(x.shape, dim)
    centred = x - _sum(xp, x, dim=dim, keepdim=True) / (n or nan)
    square = xp.real(centred * xp.conj(centred)) if is_complex(xp, x) else centred * centred
    total = _sum(xp, square, dim=dim, keepdim=keepdim)
    freedom = max(n - correction, 0)
    return total / freedom if freedom else total / xp.zeros_like(total)


def _var_slope(F: Any, x: Any, dim: Dims, correction: float) -> Any:
    """Twice the distance from the mean over n − correction."""
    freedom, mean = count(x.shape, dim) - correction, F.mean(x, dim=dim, keepdim=True)
    return (x - mean) * (2 / freedom) if freedom > 0 else F.where(x == mean, nan, inf)


def _std_slope(F: Any, x: Any, y: Any, dim: Dims, correction: float) -> Any:
    """0 where all elements are equal, as in PyTorch."""
    slope = _var_slope(F, x, dim, correction) / (F.where(y == 0, 1, y) * 2)
    return F.where(y == 0, 0, slope)


reducing("_var", _var, _var_slope, real=True)
reducing("_std", lambda xp, x, *, dim, correction, keepdim: xp.sqrt(
             _var(xp, x, dim=dim, correction=correction, keepdim=keepdim)), _std_slope, real=True)
for _name in ("var", "std"):
    composite(_name, partial(_spreading, name="_" + _name, mean=False), samples=[
        *_DIMS[:3], on((2, 3), dim=1, unbiased=False), on((4,), dim=0, correction=2)],
        order=("x", "dim", "unbiased", "keepdim"))
    composite(f"{_name}_mean", partial(_spreading, name="_" + _name, mean=True), methods=(),
              samples=ONE_DIM)


# norms ------------------------------------------------------------------------------------------
def _vector_norm(xp: Any, x: Any, *, ord: float = 2, dim: Dims = None, keepdim: bool = False,
                 dtype: dtype | None = None) -> Any:
    size = xp.abs(cast(xp, x, dtype))
    where = axes(dim, x.ndim)
    if ord in (inf, -inf):
        return (xp.max if ord > 0 else xp.min)(size, axis=where, keepdims=keepdim)
    if ord == 0:
        size = xp.cast(size != 0, xp.dtype_of(size))
    if ord in (0, 1):
        return xp.sum(size, axis=where, keepdims=keepdim)
    # scaled by a power of 2 near the greatest element: exact, and squares keep in range
    top = (xp.max if count(x.shape, dim) else xp.sum)(size, axis=where, keepdims=True)
    scale = xp.exp2(xp.floor(xp.log2(xp.where((top == 0) | xp.isinf(top), 1, top))))
    total = xp.sum((size / scale) ** ord, axis=where, keepdims=keepdim)
    scale = scale if keepdim else xp.reshape(scale, tuple(total.shape))
    return (xp.sqrt(total) if ord == 2 else total ** (1 / ord)) * scale


def _norm_slope(F: Any, x: Any, y: Any, ord: float, dim: Dims) -> Any:
    """Of all subgradients at 0 it takes 0; ties of the maximum share."""
    if ord == 0:
        return x * 0
    if ord == 1:
        return F.sgn(x)
    size = F.abs(x)
    if ord in (inf, -inf):
        return F.sgn(x) * ties(F, size, y, dim)
    safe = F.where(y == 0, 1, y)
    if ord == 2:
        return F.where(y == 0, 0, x / safe)
    nonzero = F.where(size == 0, 1, size)
    return F.where(size == 0, 0, F.sgn(x) * (nonzero / safe) ** (ord - 1))


def _norm(F: Any, x: Any, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False,
          dtype: dtype | None = None) -> Any:
    """The p-norm of the elements as one vector; "fro" is the 2-norm."""
    if p == "nuc":
        return F.linalg_matrix_norm(x, ord="nuc", dim=dim or (-2, -1), keepdim=keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm got p={p!r}; expected a number or 'fro'")
    order = 2.0 if p is None or isinstance(p, str) else p
    return F.linalg_vector_norm(x, ord=order, dim=dim, keepdim=keepdim, dtype=dtype)


reducing("linalg.vector_norm", _vector_norm, _norm_slope, real=True, kinks={"x": (0.0,)},
         samples=[*_DIMS[:4], *(on((2, 3), ord=p, dim=1) for p in (0, 1, inf, -inf, 3, 0.5))])
composite("norm", _norm, samples=[on((2, 3)), on((2, 3), p=3, dim=1)])


# exponentials -----------------------------------------------------------------------------------
def _logsumexp(xp: Any, x: Any, *, dim: Dims, keepdim: bool = False) -> Any:
    x = x if _is_floating(xp, x) else xp.cast(x, get_default_dtype())
    if not count(x.shape, dim):
        return xp.log(_sum(xp, x, dim=dim, keepdim=keepdim))
    shift = _top(xp, x, dim=dim)
    total = xp.log(_sum(xp, xp.exp(x - shift), dim=dim, keepdim=True)) + shift
    return total if keepdim else xp.squeeze(total, axis=axes(dim, x.ndim))


def _top(xp: Any, x: Any, *, dim: Dims) -> Any:
    """The greatest real part where that is finite, else 0: a softmax does not change with it."""
    top = xp.max(xp.real(x) if is_complex(xp, x) else x, axis=axes(dim, x.ndim), keepdims=True)
    return xp.where(xp.isinf(top), 0, top)


def _weights(F: Any, x: Any, y: Any, dim: Dims) -> Any:
    """The softmax of x, 0 where all of x is −∞; not from the logarithm of the sum, which has lost a
    digit for each digit of x.

    It asks for y because PyTorch saves that too, and so refuses a backward after a write to it.
    """
    powers = F.exp(x - F._top(x, dim=dim)) if count(x.shape, dim) else x
    total = F.sum(powers, dim=dim, keepdim=True)
    return F.conj(powers / F.where(total == 0, 1, total))


nondiff("_top", _top)
reducing("logsumexp", _logsumexp, _weights, aliases=("special.logsumexp",),
         samples=[*_DIMS[1:3], *ONE_DIM])
