"""Elements by index or mask: taken from a tensor, or put into one."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

from reference_engine.backends.dtypes import int64
from reference_engine.ops.dims import axis, broadcast_shapes
from reference_engine.ops.opdef import linear, on

# rows are laid out by hand
# fmt: off

_INDEX: dict[str, Any] = {"order": ("x", "dim", "index"), "fill": {"index": "index:dim"}}
_SOURCE = _INDEX | {"order": ("x", "dim", "index", "source"), "inplace": True}
_SRC = _INDEX | {"order": ("x", "dim", "index", "src"), "inplace": True}
_ONCE = {"fill": {"index": "permutation:dim"}}


# rows along a dimension ---------------------------------------------------------------------------
def _index_select(xp: Any, x: Any, index: Any, *, dim: int) -> Any:
    if x.ndim == 0:
        return xp.copy(x)
    return xp.take(x, xp.reshape(index, (-1,)), axis=axis(dim, x.ndim))


def _unselected(F: Any, g: Any, index: Any, x_shape: Any, dim: int) -> Any:
    shape = list(x_shape)
    if shape:
        shape[dim] = -1
    none = F.zeros_of(g, size=x_shape)
    return F.index_add(none, dim=dim, index=index, source=F.reshape(g, tuple(shape)))


def _write(xp: Any, x: Any, index: Any, source: Any, *, dim: int, accumulate: bool = False) -> Any:
    """``source`` at ``index`` along ``dim``; a 0-d tensor counts as one of a single element."""
    if x.ndim == 0:
        one = _write(xp, xp.reshape(x, (1,)), index, source, dim=dim, accumulate=accumulate)
        return xp.reshape(one, ())
    where = (*(slice(None),) * axis(dim, x.ndim), index if index.ndim else index[None])
    return xp.index_put(x, where, source, accumulate)


def _unfilled(F: Any, g: Any, index: Any, dim: int) -> Any:
    return F.index_fill(g, dim=dim, index=index, value=0)


linear("index_select", _index_select, transpose_x=_unselected, **_INDEX,
       samples=[on((3, 2), (4,), dim=0), on((2, 3), (2,), dim=-1)])
linear("index_add", lambda xp, x, index, source, *, dim, alpha=1: _write(
           xp, x, index, source if alpha == 1 else source * alpha, dim=dim, accumulate=True),
       **_SOURCE, transpose_x=lambda F, g: g,
       transpose_source=lambda F, g, index, dim, alpha:
           F.index_select(g, dim=dim, index=index) * alpha,
       samples=[on((3, 2), (4,), (4, 2), dim=0), on((2, 3), (2,), (2, 2), dim=1, alpha=-2)],)
linear("index_copy", partial(_write, accumulate=False), transpose_x=_unfilled, **_SOURCE | _ONCE,
       transpose_source=lambda F, g, index, source_shape, dim: F.reshape(
           F.index_select(g, dim=dim, index=index), source_shape),
       samples=[on((3, 2), (2,), (2, 2), dim=0)])
# rows that are written twice count once in the value's cotangent
linear("index_fill", lambda xp, x, index, value, *, dim: _write(xp, x, index, value, dim=dim),
       transpose_x=_unfilled, **_INDEX | {"order": ("x", "dim", "index", "value")},
       transpose_value=lambda F, g, index, dim: F.sum(F.where(F.index_fill(
           F.zeros_like(g), dim=dim, index=index, value=1) == 1, g, 0)),
       promotion="promote", inplace=True, nodes={"value": 1},
       samples=[on((3, 2), (2,), (), dim=0), on((2, 3), (3,), (), dim=-1)])


# an element for each of the index -----------------------------------------------------------------
def _flat(name: str, index: Any, ndim: int) -> bool:
    """Whether a tensor without dimensions is indexed, or nothing; RuntimeError unless ranks agree.

    A 0-dimensional tensor counts as one of a single element, and an empty index fits any.
    """
    if (ndim == 0 and index.ndim < 2) or not prod(index.shape):
        return True
    if index.ndim != ndim:
        raise RuntimeError(f"{name} of {ndim} dimensions got an index of shape {list(index.shape)}")
    return False


def _gather(xp: Any, x: Any, index: Any, *, dim: int) -> Any:
    if _flat("gather", index, x.ndim):
        return xp.copy(xp.expand(xp.sum(x), tuple(index.shape)))
    where = axis(dim, x.ndim)
    # x counts only as far as the index reaches in the other dimensions
    corner = x[tuple(slice(None) if d == where else slice(n) for d, n in enumerate(index.shape))]
    # torch takes int32 here, and take_along_dim does not
    return xp.take_along_axis(corner, xp.cast(index, int64), axis=where)


def _scatter(xp: Any, x: Any, index: Any, src: Any = None, *, dim: int, value: Any = None,
             reduce: str | None = None, accumulate: bool = False) -> Any:
    del reduce  # has a row of its own
    src = value if src is None else src
    if _flat("scatter", index, x.ndim):
        base = x if accumulate else xp.zeros_like(x)
        return base + xp.sum(xp.asarray(src)) if prod(index.shape) else xp.copy(x)
    if accumulate:
        return xp.scatter_add(x, axis(dim, x.ndim), index, src)
    if getattr(src, "ndim", 0):
        src = src[tuple(slice(n) for n in index.shape)]
    where = list(xp.meshgrid(*(xp.arange(n, device=index.device) for n in index.shape),
                             indexing="ij"))
    where[dim] = index
    return xp.index_put(x, tuple(where), src, accumulate=False)


def _gathered(F: Any, g: Any, index: Any, src_shape: Any, dim: int) -> Any:
    """The cotangent of what was scattered; elements of ``src`` beyond the index get none."""
    picked = F.gather(g, dim=dim, index=index)
    if tuple(src_shape) in ((), tuple(index.shape)):
        return picked
    return F._place(picked, size=src_shape, index=tuple(slice(n) for n in index.shape))


linear("gather", _gather, **_INDEX, transpose_x=lambda F, g, index, x_shape, dim: F.scatter_add(
           F.zeros_of(g, size=x_shape), dim=dim, index=index, src=g),
       samples=[on((3, 2), (4, 2), dim=0), on((2, 3), (1, 2), dim=-1), on((), (), dim=0)],)
linear("scatter", partial(_scatter, accumulate=False), transpose_src=_gathered, **_SRC | _ONCE,
       variants={"reduce": "_scatter_reduced"},
       transpose_x=lambda F, g, index, dim: F.scatter(g, dim=dim, index=index, value=0),
       samples=[on((3, 2), (2, 2), (2, 2), dim=0), on((2, 3), (2, 2), (2, 2), dim=1)],)
linear("scatter_add", partial(_scatter, value=None, reduce=None, accumulate=True), **_SRC,
       transpose_src=_gathered, transpose_x=lambda F, g: g,
       samples=[on((3, 2), (4, 2), (4, 2), dim=0), on((2, 3), (2, 2), (2, 2), dim=1)],)


# by number, all elements in a row -----------------------------------------------------------------
def _put(xp: Any, x: Any, index: Any, source: Any, *, accumulate: bool = False) -> Any:
    flat, index, source = (xp.reshape(v, (-1,)) for v in (x, index, source))
    return xp.reshape(xp.index_put(flat, index, source, accumulate), tuple(x.shape))


linear("take", lambda xp, x, index: xp.reshape(x, (-1,))[index], fill={"index": "index:all"},
       transpose_x=lambda F, g, index, x_shape: F.put(
           F.zeros_of(g, size=x_shape), index, g, accumulate=True),
       samples=[on((2, 3), (4,)), on((2, 3), (2, 2))])
linear("put", _put, fill={"index": "index:all"}, inplace=True,
       transpose_x=lambda F, g, index, source_shape, accumulate: g if accumulate else F.put(
           g, index, F.zeros_of(g, size=source_shape)),
       transpose_source=lambda F, g, index, source_shape: F.reshape(
           F.take(g, index), source_shape), samples=[on((2, 3), (4,), (4,), accumulate=True)])


# by mask ------------------------------------------------------------------------------------------
def _masked_select(xp: Any, x: Any, mask: Any) -> Any:
    shape = broadcast_shapes(tuple(x.shape), tuple(mask.shape))
    return xp.expand(x, shape)[xp.expand(mask, shape)]


def _unselect(F: Any, g: Any, mask: Any, x_shape: Any) -> Any:
    shape = broadcast_shapes(x_shape, mask.shape)
    mask = F.expand(mask, size=shape)
    places = (getattr(mask, "_raw", mask),)
    return F._index_put(F.zeros_of(g, size=shape), g, index=places)


linear("masked_fill", lambda xp, x, mask, value: xp.where(mask, value, x), nodes={"value": 1},
       transpose_x=lambda F, g, mask: F.where(mask, 0, g), fill={"mask": "bool"},
       transpose_value=lambda F, g, mask: F.where(mask, g, 0), promotion="promote", inplace=True,
       samples=[on((2, 3), (2, 3), 0.5), on((2, 3), (3,), ())])
linear("masked_select", _masked_select, transpose_x=_unselect, fill={"mask": "bool"},
       samples=[on((2, 3), (2, 3)), on((3,), (2, 1))])
