"""Reductions: functions of many numbers, along some dimensions or all."""

from __future__ import annotations

from math import inf, nan
from typing import Any

from reference_engine.backends.dtypes import dtype, get_default_dtype
from reference_engine.ops.dims import Dims, axes, axis, count, restore
from reference_engine.ops.opdef import Sample, composite, linear, nondiff, own

_DIMS: list[Sample] = [
    (((2, 3),), {}),
    (((2, 3),), {"dim": 1}),
    (((2, 3, 2),), {"dim": (0, -1), "keepdim": True}),
    (((),), {}),
    (((3, 0),), {"dim": 0}),
]
ONE_DIM: list[Sample] = [(((2, 3),), {"dim": 1}), (((2, 3, 2),), {"dim": -2, "keepdim": True}),
                         (((),), {"dim": 0})]  # fmt: skip


def cast(xp: Any, x: Any, d: dtype | None) -> Any:
    """``x`` in dtype ``d``, where one is asked for."""
    return x if d is None else xp.cast(x, d)


def is_float(xp: Any, x: Any) -> bool:
    """Whether a raw array is floating or complex."""
    return bool(xp.isdtype(x.dtype, ("real floating", "complex floating")))


def is_complex(xp: Any, x: Any) -> bool:
    """Whether a raw array is complex."""
    return bool(xp.isdtype(x.dtype, "complex floating"))


# sums -------------------------------------------------------------------------------------------
def _sum(
    xp: Any, x: Any, *, dim: Dims = None, keepdim: bool = False, dtype: dtype | None = None
) -> Any:
    return xp.sum(cast(xp, x, dtype), axis=axes(dim, x.ndim), keepdims=keepdim)


def _mean(
    xp: Any, x: Any, *, dim: Dims = None, keepdim: bool = False, dtype: dtype | None = None
) -> Any:
    x = cast(xp, x, dtype)
    if not is_float(xp, x):
        raise RuntimeError(f"mean needs a floating or complex dtype, got {x.dtype}; pass dtype=")
    # not xp.mean: the mean of nothing is nan, without a warning
    n = count(x.shape, dim)
    return xp.sum(x, axis=axes(dim, x.ndim), keepdims=keepdim) / (n if n else nan)


def _spread(F: Any, g: Any, x_shape: Any, dim: Dims, keepdim: bool) -> Any:
    return F.expand(restore(F, g, x_shape, dim, keepdim), size=x_shape)


linear("sum", _sum, transpose=_spread, samples=_DIMS, nodes={"dim": 1})
linear("mean", _mean, samples=_DIMS, nodes={"dim": 1},
       transpose=lambda F, g, x_shape, dim, keepdim: _spread(
    F, g / max(count(x_shape, dim), 1), x_shape, dim, keepdim))  # fmt: skip
linear("sum_to_size", lambda xp, x, *, size: xp.sum_to_size(x, tuple(size)), order=("x", "*size"),
       transpose=lambda F, g, x_shape: F.expand(g, size=x_shape),
       samples=[(((2, 3, 4),), {"size": (3, 1)})])  # fmt: skip


# extremes ---------------------------------------------------------------------------------------
def _ties(F: Any, x: Any, y: Any, dim: Dims, keepdim: bool) -> Any:
    """Each extreme element's share of the derivative: equal parts at a tie."""
    y = restore(F, y, x.shape, dim, keepdim)
    equal = F.logical_or(x == y, F.logical_and(F.isnan(x), F.isnan(y)))
    chosen = F.where(equal, F.ones_like(x), 0)
    return chosen / F.sum(chosen, dim=dim, keepdim=True)


def ties_vjp(F: Any, g: Any, x: Any, y: Any, dim: Dims, keepdim: bool) -> Any:
    """Cotangent of what an extreme was picked from, equal parts at a tie."""
    return restore(F, g, x.shape, dim, keepdim) * _ties(F, x, y, dim, keepdim)


def ties_jvp(F: Any, x: Any, y: Any, t_x: Any, dim: Dims, keepdim: bool) -> Any:
    """Mean tangent of the elements that tie for an extreme."""
    return F.sum(t_x * _ties(F, x, y, dim, keepdim), dim=dim, keepdim=keepdim)


def _extreme(which: str) -> Any:
    def forward(xp: Any, x: Any, *, dim: Dims = (), keepdim: bool = False) -> Any:
        return getattr(xp, which)(x, axis=axes(dim, x.ndim), keepdims=keepdim)

    return forward


def _extreme_along(which: str) -> Any:
    def forward(xp: Any, x: Any, *, dim: int, keepdim: bool = False) -> Any:
        if x.ndim == 0:
            return xp.copy(x), xp.zeros_like(x, dtype=xp.int64)
        where = axis(dim, x.ndim)
        indices = getattr(xp, f"arg{which}")(x, axis=where, keepdims=True)
        values = xp.take_along_axis(x, indices, axis=where)
        if keepdim:
            return values, indices
        return xp.squeeze(values, axis=where), xp.squeeze(indices, axis=where)

    return forward


def put_along(F: Any, g: Any, indices: Any, x_shape: Any, dim: int, keepdim: bool) -> Any:
    """Zeros of ``x_shape`` with ``g`` at ``indices`` along ``dim``: what transposes picking."""
    g, indices = (restore(F, v, x_shape, dim, keepdim) for v in (g, indices))
    return F.scatter_add(F.zeros_of(g, size=x_shape), dim=dim, index=indices, src=g)


def take_along(F: Any, x: Any, indices: Any, dim: int, keepdim: bool) -> Any:
    """What stands in ``x`` at ``indices`` along ``dim``."""
    picked = F.gather(x, dim=dim, index=restore(F, indices, x.shape, dim, keepdim))
    return picked if keepdim else F.reshape(picked, shape=tuple(indices.shape))


for _name in ("max", "min"):
    own(f"a{_name}", _extreme(_name), vjp_x=ties_vjp, jvp=ties_jvp, complex=False, kinks="ties",
        samples=_DIMS[:4])  # fmt: skip
    own(f"_{_name}_of_all", _extreme(_name), vjp_x=ties_vjp, jvp=ties_jvp, complex=False,
        kinks="ties", node=f"{_name.title()}Backward1", samples=_DIMS[:1])  # fmt: skip
    own(f"_{_name}_along", _extreme_along(_name), outputs=("values", "indices"), complex=False,
        vjp_x=lambda F, g_values, indices, x_shape, dim, keepdim: put_along(
            F, g_values, indices, x_shape, dim, keepdim),
        jvp=lambda F, indices, t_x, dim, keepdim: take_along(F, t_x, indices, dim, keepdim),
        kinks="ties", node=f"{_name.title()}Backward0", samples=ONE_DIM)  # fmt: skip


def _either(which: str) -> Any:
    def forward(
        F: Any, x: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None
    ) -> Any:
        """Of all elements; along ``dim``, with the indices; or elementwise of two tensors."""
        other = dim if hasattr(dim, "shape") else other
        if other is not None:
            return getattr(F, f"{which}imum")(x, other)
        if dim is None:
            return getattr(F, f"_{which}_of_all")(x)
        return getattr(F, f"_{which}_along")(x, dim=dim, keepdim=keepdim)

    return forward


composite("max", _either("max"), complex=False, samples=[*_DIMS[:1], *ONE_DIM])
composite("min", _either("min"), complex=False, samples=[*_DIMS[:1], *ONE_DIM])


# products ---------------------------------------------------------------------------------------
def _prod(xp: Any, x: Any, *, dim: int | None = None, keepdim: bool = False,
          dtype: dtype | None = None) -> Any:  # fmt: skip
    return xp.prod(cast(xp, x, dtype), axis=axes(dim, x.ndim), keepdims=keepdim)


def _others(F: Any, x: Any, dim: int | None) -> Any:
    """For each element the product of the others, without division: exact where some are 0."""
    if dim is None:
        return F.reshape(_others(F, F.reshape(x, shape=(-1,)), 0), shape=tuple(x.shape))
    n = x.shape[dim] if x.ndim else 1
    if n < 2:
        return F.ones_like(x)
    one = F.ones_like(F.narrow(x, dim=dim, start=0, length=1))
    before = F.cumprod(F.cat(one, F.narrow(x, dim=dim, start=0, length=n - 1), dim=dim), dim=dim)
    back = F.flip(F.narrow(x, dim=dim, start=1, length=n - 1), dims=(dim,))
    return before * F.flip(F.cumprod(F.cat(one, back, dim=dim), dim=dim), dims=(dim,))


own("prod", _prod, nodes={"dim": 1},
    vjp_x=lambda F, g, x, dim, keepdim:
        restore(F, g, x.shape, dim, keepdim) * F.conj(_others(F, x, dim)),
    jvp=lambda F, x, t_x, dim, keepdim: F.sum(t_x * _others(F, x, dim), dim=dim, keepdim=keepdim),
    samples=[(((2, 3),), {}), *ONE_DIM, (((0,),), {})])  # fmt: skip


# variance ---------------------------------------------------------------------------------------
def _legacy(dim: Any, unbiased: bool | None, correction: float | None) -> tuple[Dims, float]:
    """PyTorch's older signatures, var(x, False) and unbiased=, as dimensions and a correction."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return dim, correction


def _var(xp: Any, x: Any, *, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False,
         correction: float | None = None) -> Any:  # fmt: skip
    dim, correction = _legacy(dim, unbiased, correction)
    where, n = axes(dim, x.ndim), count(x.shape, dim)
    centred = x - xp.sum(x, axis=where, keepdims=True) / (n if n else nan)
    square = xp.real(centred * xp.conj(centred)) if is_complex(xp, x) else centred * centred
    total = xp.sum(square, axis=where, keepdims=keepdim)
    freedom = max(n - correction, 0)
    return total / freedom if freedom else total / xp.zeros_like(total)


def _var_slope(F: Any, x: Any, dim: Any, unbiased: bool | None, correction: float | None) -> Any:
    """Gradient of the variance: twice the distance from the mean over n − correction."""
    dim, correction = _legacy(dim, unbiased, correction)
    freedom, mean = count(x.shape, dim) - correction, F.mean(x, dim=dim, keepdim=True)
    return (x - mean) * (2 / freedom) if freedom > 0 else F.where(x == mean, nan, inf)


def _std_slope(F: Any, x: Any, y: Any, dim: Any, unbiased: bool | None, keepdim: bool,
               correction: float | None) -> Any:  # fmt: skip
    """Gradient of the standard deviation: 0 where all elements are equal, as in PyTorch."""
    y = restore(F, y, x.shape, None if isinstance(dim, bool) else dim, keepdim)
    slope = _var_slope(F, x, dim, unbiased, correction) / (F.where(y == 0, 1, y) * 2)
    return F.where(y == 0, 0, slope)


def _climb(F: Any, t: Any, slope: Any, dim: Any, keepdim: bool) -> Any:
    """Directional derivative of a real reduction along ``t``, from its gradient."""
    dim = None if isinstance(dim, bool) else dim
    return F.sum(F.real(F.conj(slope) * t), dim=dim, keepdim=keepdim)


def _fall(F: Any, g: Any, slope: Any, dim: Any, keepdim: bool) -> Any:
    """Cotangent of a real reduction's input, from its gradient."""
    return restore(F, g, slope.shape, None if isinstance(dim, bool) else dim, keepdim) * slope


_SPREAD: list[Sample] = [*_DIMS[:3], (((2, 3),), {"dim": 1, "unbiased": False}),
                         (((4,),), {"dim": 0, "correction": 2})]  # fmt: skip
own("var", _var, samples=_SPREAD, order=("x", "dim", "unbiased", "keepdim"),
    vjp_x=lambda F, g, x, dim, unbiased, keepdim, correction:
        _fall(F, g, _var_slope(F, x, dim, unbiased, correction), dim, keepdim),
    jvp=lambda F, x, t_x, dim, unbiased, keepdim, correction:
        _climb(F, t_x, _var_slope(F, x, dim, unbiased, correction), dim, keepdim))  # fmt: skip
own("std", lambda xp, x, *, dim=None, unbiased=None, keepdim=False, correction=None: xp.sqrt(
        _var(xp, x, dim=dim, unbiased=unbiased, keepdim=keepdim, correction=correction)),
    vjp_x=lambda F, g, x, y, dim, unbiased, keepdim, correction:
        _fall(F, g, _std_slope(F, x, y, dim, unbiased, keepdim, correction), dim, keepdim),
    jvp=lambda F, x, y, t_x, dim, unbiased, keepdim, correction:
        _climb(F, t_x, _std_slope(F, x, y, dim, unbiased, keepdim, correction), dim, keepdim),
    samples=_SPREAD, order=("x", "dim", "unbiased", "keepdim"))  # fmt: skip


# norms ------------------------------------------------------------------------------------------
def _vector_norm(xp: Any, x: Any, *, ord: float = 2, dim: Dims = None, keepdim: bool = False,
                 dtype: dtype | None = None) -> Any:  # fmt: skip
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


def _norm_slope(F: Any, x: Any, y: Any, ord: float, dim: Dims, keepdim: bool) -> Any:
    """Gradient of the norm: of all subgradients at 0 it takes 0; ties of the maximum share."""
    y = restore(F, y, x.shape, dim, keepdim)
    if ord == 0:
        return x * 0
    if ord == 1:
        return F.sgn(x)
    size = F.abs(x)
    if ord in (inf, -inf):
        chosen = F.where(size == y, F.ones_like(size), 0)
        return F.sgn(x) * (chosen / F.sum(chosen, dim=dim, keepdim=True))
    safe = F.where(y == 0, 1, y)
    if ord == 2:
        return F.where(y == 0, 0, x / safe)
    nonzero = F.where(size == 0, 1, size)
    return F.where(size == 0, 0, F.sgn(x) * (nonzero / safe) ** (ord - 1))


def _norm(F: Any, x: Any, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False,
          dtype: dtype | None = None) -> Any:  # fmt: skip
    """The p-norm of the elements as one vector; "fro" is the 2-norm."""
    if p == "nuc":
        return F.linalg_matrix_norm(x, ord="nuc", dim=dim or (-2, -1), keepdim=keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm got p={p!r}; expected a number or 'fro'")
    order = 2.0 if p is None or isinstance(p, str) else p
    return F.linalg_vector_norm(x, ord=order, dim=dim, keepdim=keepdim, dtype=dtype)


own("linalg.vector_norm", _vector_norm, node="LinalgVectorNormBackward0", kinks={"x": (0.0,)},
    vjp_x=lambda F, g, x, y, ord, dim, keepdim:
        _fall(F, g, _norm_slope(F, x, y, ord, dim, keepdim), dim, keepdim),
    jvp=lambda F, x, y, t_x, ord, dim, keepdim:
        _climb(F, t_x, _norm_slope(F, x, y, ord, dim, keepdim), dim, keepdim),
    samples=[*_DIMS[:4], *((((2, 3),), {"ord": p, "dim": 1}) for p in (0, 1, inf, -inf, 3, 0.5))],
    )  # fmt: skip
composite("norm", _norm, samples=[(((2, 3),), {}), (((2, 3),), {"p": 3, "dim": 1})])


# exponentials -----------------------------------------------------------------------------------
def _logsumexp(xp: Any, x: Any, *, dim: Dims, keepdim: bool = False) -> Any:
    where = axes(dim, x.ndim)
    x = x if is_float(xp, x) else xp.cast(x, get_default_dtype())
    if not count(x.shape, dim):
        return xp.log(xp.sum(x, axis=where, keepdims=keepdim))
    shift = _top(xp, x, dim=dim)
    total = xp.log(xp.sum(xp.exp(x - shift), axis=where, keepdims=True)) + shift
    return total if keepdim else xp.squeeze(total, axis=where)


def _top(xp: Any, x: Any, *, dim: Dims) -> Any:
    """The greatest real part where that is finite, else 0: a softmax does not change with it."""
    top = xp.max(xp.real(x) if is_complex(xp, x) else x, axis=axes(dim, x.ndim), keepdims=True)
    return xp.where(xp.isinf(top), 0, top)


def _weights(F: Any, x: Any, dim: Dims) -> Any:
    """The softmax of x, 0 where all of x is −∞; not from the logarithm of the sum, which has lost a
    digit for each digit of x.
    """
    powers = F.exp(x - F._top(x, dim=dim)) if count(x.shape, dim) else x
    total = F.sum(powers, dim=dim, keepdim=True)
    return powers / F.where(total == 0, 1, total)


nondiff("_top", _top)
own("logsumexp", _logsumexp, aliases=("special.logsumexp",), samples=[*_DIMS[1:3], *ONE_DIM],
    # y: PyTorch saves the result too, and so refuses a backward after a write to it
    vjp_x=lambda F, g, x, y, dim, keepdim:
        restore(F, g, x.shape, dim, keepdim) * F.conj(_weights(F, x, dim)),
    jvp=lambda F, x, t_x, dim, keepdim:
        F.sum(t_x * _weights(F, x, dim), dim=dim, keepdim=keepdim))  # fmt: skip
