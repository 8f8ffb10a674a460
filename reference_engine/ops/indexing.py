"""Elements by index or mask: taken from a tensor, or put into one."""

from __future__ import annotations

from math import prod
from typing import Any

from reference_engine.backends.dtypes import int64
from reference_engine.ops.dims import axis, broadcast_shapes
from reference_engine.ops.opdef import linear


def rows_at(ndim: int, dim: int, index: Any) -> Any:
    """The index that picks ``index`` along one dimension and everything along the others."""
    return (*(slice(None),) * axis(dim, ndim), index)


def _corner(x: Any, shape: Any, dim: int) -> Any:
    """``x`` cut to the sizes of ``shape`` in the other dimensions, as gather and scatter see it."""
    where = axis(dim, x.ndim)
    return x[tuple(slice(None) if d == where else slice(n) for d, n in enumerate(shape))]


def _flat(name: str, index: Any, ndim: int) -> bool:
    """Whether a tensor without dimensions is indexed, or nothing; RuntimeError unless ranks agree.

    A 0-dimensional tensor counts as one of a single element, and an empty index fits any.
    """
    if (ndim == 0 and index.ndim < 2) or not prod(index.shape):
        return True
    if index.ndim != ndim:
        raise RuntimeError(f"{name} of {ndim} dimensions got an index of shape {list(index.shape)}")
    return False


# along a dimension --------------------------------------------------------------------------------
def _index_select(xp: Any, x: Any, index: Any, *, dim: int) -> Any:
    if x.ndim == 0:
        return xp.copy(x)
    return xp.take(x, xp.reshape(index, (-1,)), axis=axis(dim, x.ndim))


def _index_add(xp: Any, x: Any, index: Any, source: Any, *, dim: int, alpha: Any = 1) -> Any:
    source = source if alpha == 1 else source * alpha
    if x.ndim == 0:
        return x + xp.sum(source)
    return xp.index_put(x, rows_at(x.ndim, dim, index), source, accumulate=True)


def _gather(xp: Any, x: Any, index: Any, *, dim: int) -> Any:
    if _flat("gather", index, x.ndim):
        return xp.copy(xp.expand(xp.sum(x), tuple(index.shape)))
    index = xp.cast(index, int64)  # torch takes int32 here, and take_along_dim does not
    return xp.take_along_axis(_corner(x, index.shape, dim), index, axis=axis(dim, x.ndim))


def _grid(xp: Any, index: Any, dim: int) -> tuple[Any, ...]:
    """``index`` along ``dim``, and in the other dimensions each element's own place."""
    where, ndim = axis(dim, index.ndim), index.ndim
    return tuple(
        index if d == where else xp.reshape(
            xp.arange(n, device=index.device), (*(1,) * d, n, *(1,) * (ndim - d - 1)))
        for d, n in enumerate(index.shape)
    )  # fmt: skip


def _scatter(xp: Any, x: Any, index: Any, src: Any = None, *, dim: int, value: Any = None) -> Any:
    src = value if src is None else src
    if _flat("scatter", index, x.ndim):
        return x * 0 + xp.sum(xp.asarray(src)) if prod(index.shape) else xp.copy(x)
    if getattr(src, "ndim", 0):
        src = src[tuple(slice(n) for n in index.shape)]
    return xp.index_put(x, _grid(xp, index, dim), src, accumulate=False)


def _scatter_add(xp: Any, x: Any, index: Any, src: Any, *, dim: int) -> Any:
    if _flat("scatter_add", index, x.ndim):
        return x + xp.sum(src) if prod(index.shape) else xp.copy(x)
    return xp.scatter_add(x, axis(dim, x.ndim), index, src)


def _gathered(F: Any, g: Any, index: Any, src_shape: Any, dim: int) -> Any:
    """The cotangent of what was scattered; elements of ``src`` beyond the index get none."""
    picked = F.gather(g, dim=dim, index=index)
    if tuple(src_shape) in ((), tuple(index.shape)):
        return picked
    return F._place(picked, size=src_shape, index=tuple(slice(n) for n in index.shape))


_INDEX = {"index": "index:dim"}
_ORDER = ("x", "dim", "index")
linear("index_select", _index_select, order=_ORDER, fill=_INDEX,
       transpose_x=lambda F, g, index, x_shape, dim: F.index_add(
           F.zeros_of(g, size=x_shape), dim=dim, index=index, source=F.reshape(g, shape=(
               *x_shape[:axis(dim, len(x_shape))], -1, *x_shape[axis(dim, len(x_shape)) + 1:]))
           if len(x_shape) else g),
       samples=[(((3, 2), (4,)), {"dim": 0}), (((2, 3), (2,)), {"dim": -1})])  # fmt: skip
linear("index_add", _index_add, order=("x", "dim", "index", "source"), fill=_INDEX, inplace=True,
       transpose_x=lambda F, g: g,
       transpose_source=lambda F, g, index, dim, alpha:
           F.index_select(g, dim=dim, index=index) * alpha,
       samples=[(((3, 2), (4,), (4, 2)), {"dim": 0}),
                (((2, 3), (2,), (2, 2)), {"dim": 1, "alpha": -2})])  # fmt: skip
linear("gather", _gather, order=_ORDER, fill=_INDEX,
       transpose_x=lambda F, g, index, x_shape, dim: F.scatter_add(
           F.zeros_of(g, size=x_shape), dim=dim, index=index, src=g),
       samples=[(((3, 2), (4, 2)), {"dim": 0}), (((2, 3), (1, 2)), {"dim": -1}),
                (((), ()), {"dim": 0})])  # fmt: skip
linear("scatter", _scatter, order=(*_ORDER, "src"), fill={"index": "permutation:dim"}, inplace=True,
       transpose_x=lambda F, g, index, dim: F.scatter(g, dim=dim, index=index, value=0),
       transpose_src=lambda F, g, index, src_shape, dim: _gathered(F, g, index, src_shape, dim),
       samples=[(((3, 2), (2, 2), (2, 2)), {"dim": 0}), (((2, 3), (2, 2), (2, 2)), {"dim": 1})],
       )  # fmt: skip
linear("scatter_add", _scatter_add, order=(*_ORDER, "src"), fill=_INDEX, inplace=True,
       transpose_x=lambda F, g: g,
       transpose_src=lambda F, g, index, src_shape, dim: _gathered(F, g, index, src_shape, dim),
       samples=[(((3, 2), (4, 2), (4, 2)), {"dim": 0}), (((2, 3), (2, 2), (2, 2)), {"dim": 1})],
       )  # fmt: skip
linear("take", lambda xp, x, index: xp.reshape(x, (-1,))[index], fill={"index": "index:all"},
       transpose_x=lambda F, g, index, x_shape: F._untake(g, index, size=x_shape),
       samples=[(((2, 3), (4,)), {}), (((2, 3), (2, 2)), {})])  # fmt: skip
linear("_untake", lambda xp, g, index, *, size: xp.reshape(xp.index_put(
           xp.zeros((prod(size),), dtype=g.dtype, device=g.device), index, g, accumulate=True),
           tuple(size)), transpose_g=lambda F, g, index: F.take(g, index))  # fmt: skip


# by mask ------------------------------------------------------------------------------------------
def _masked_select(xp: Any, x: Any, mask: Any) -> Any:
    shape = broadcast_shapes(tuple(x.shape), tuple(mask.shape))
    return xp.expand(x, shape)[xp.expand(mask, shape)]


def _masked_put(xp: Any, g: Any, mask: Any, *, size: Any) -> Any:
    shape = broadcast_shapes(tuple(size), tuple(mask.shape))
    out = xp.zeros(shape, dtype=g.dtype, device=g.device)
    out[xp.expand(mask, shape)] = g
    return out


linear("masked_fill", lambda xp, x, mask, value: xp.where(mask, value, x),
       nodes={"value": 1}, fill={"mask": "bool"},
       transpose_x=lambda F, g, mask: F.where(mask, 0, g),
       transpose_value=lambda F, g, mask: F.where(mask, g, 0), promotion="promote", inplace=True,
       samples=[(((2, 3), (2, 3), 0.5), {}), (((2, 3), (3,), ()), {})])  # fmt: skip
linear("masked_select", _masked_select, fill={"mask": "bool"},
       transpose_x=lambda F, g, mask, x_shape: F._masked_put(g, mask, size=x_shape),
       samples=[(((2, 3), (2, 3)), {}), (((3,), (2, 1)), {})])  # fmt: skip
linear("_masked_put", _masked_put, transpose_g=lambda F, g, mask, size: F.masked_select(g, mask))
