"""Elements by index, by mask or by strides: taken from a tensor, or put into one, and reduced."""

from __future__ import annotations

from functools import partial
from math import inf, prod
from typing import Any

import numpy as np

from reference_engine.backends.dtypes import int64
from reference_engine.ops.copies import with_part
from reference_engine.ops.dims import axis, broadcast_shapes
from reference_engine.ops.opdef import composite, linear, on

# rows are laid out by hand
# fmt: off

_INDEX: dict[str, Any] = {"order": ("x", "dim", "index"), "fill": {"index": "index:dim"}}
_SOURCE = _INDEX | {"order": ("x", "dim", "index", "source"), "inplace": True}
_SRC = _INDEX | {"order": ("x", "dim", "index", "src"), "inplace": True}
_ONCE = {"fill": {"index": "permutation:dim"}}
#: a reduction's row, and what changes nothing when it is reduced with others
_REDUCTIONS = {
    "sum": ("sum", 0.0), "mean": ("sum", 0.0), "prod": ("prod", 1.0), "max": ("amax", -inf),
    "min": ("amin", inf), "amax": ("amax", -inf), "amin": ("amin", inf)}


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
       samples=[on((3, 2), (4,), (4, 2), dim=0), on((2, 3), (2,), (2, 2), dim=1, alpha=-2)])
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
        return xp.copy(xp.expand(xp.cast(xp.sum(x), xp.dtype_of(x)), tuple(index.shape)))
    where = axis(dim, x.ndim)
    # x counts only as far as the index reaches in the other dimensions
    corner = x[tuple(slice(None) if d == where else slice(n) for d, n in enumerate(index.shape))]
    # torch takes int32 here, and take_along_dim does not
    return xp.take_along_axis(corner, xp.cast(index, int64), axis=where)


def _scatter(xp: Any, x: Any, index: Any, src: Any = None, *, dim: int, value: Any = None,
             reduce: str | None = None, accumulate: bool = False) -> Any:
    """``reduce`` has a row of its own."""
    src = value if src is None else src
    if getattr(src, "dtype", x.dtype) != x.dtype:  # a number
        src = xp.cast(src, xp.dtype_of(x))
    if _flat("scatter", index, x.ndim):
        base = x if accumulate else xp.zeros_like(x)
        total = base + xp.sum(xp.asarray(src)) if prod(index.shape) else xp.copy(x)
        return xp.cast(total, xp.dtype_of(x))
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
       samples=[on((3, 2), (4, 2), dim=0), on((2, 3), (1, 2), dim=-1), on((), (), dim=0)])
linear("scatter", partial(_scatter, accumulate=False), transpose_src=_gathered, **_SRC | _ONCE,
       variants={"reduce": "_scatter_reduced"},
       transpose_x=lambda F, g, index, dim: F.scatter(g, dim=dim, index=index, value=0),
       samples=[on((3, 2), (2, 2), (2, 2), dim=0), on((2, 3), (2, 2), (2, 2), dim=1)])
linear("scatter_add", partial(_scatter, value=None, reduce=None, accumulate=True), **_SRC,
       transpose_src=_gathered, transpose_x=lambda F, g: g,
       samples=[on((3, 2), (4, 2), (4, 2), dim=0), on((2, 3), (2, 2), (2, 2), dim=1)])


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


# reductions ---------------------------------------------------------------------------------------
def _scatter_reduce(F: Any, x: Any, index: Any, src: Any, *, dim: int, reduce: str,
                    include_self: bool = True) -> Any:
    """Each element of x with those of ``src`` that meet at its place."""
    if not prod(index.shape):
        return F.clone(x)
    if reduce in ("sum", "mean"):

        def total(x: Any, src: Any) -> Any:
            base = x if include_self else F.scatter(x, dim=dim, index=index, value=0)
            return F.scatter_add(base, dim=dim, index=index, src=src)

        if reduce == "sum":
            return total(x, src)
        count = total(F.ones_like(x.detach()), F.ones_like(src.detach()))
        rounding = None if x.dtype.differentiable else "floor"
        return F.div(total(x, src), F.where(count == 0, 1, count), rounding_mode=rounding)
    if x.ndim == 0:
        x, index, src = (F.reshape(v, (1,)) for v in (x, index, src))
        return F.reshape(_met(F, 0, x, index, src, reduce, include_self), ())
    return _met(F, axis(dim, x.ndim), x, index, src, reduce, include_self)


def _met(F: Any, where: int, x: Any, index: Any, src: Any, reduce: str, include_self: bool) -> Any:
    """All that meets at each place stands in one row, others as the identity: no division where a
    product has a 0, equal shares where extremes tie.
    """
    verb, identity = _REDUCTIONS[reduce]
    src = F._pick(src, index=tuple(slice(n) for n in index.shape))
    room = [n - m for n, m in zip(x.shape, index.shape, strict=True)]
    room[where] = 0
    pad = tuple(p for r in reversed(room) for p in (0, r))
    index, src = (F.constant_pad_nd(v, pad=pad, value=f) for v, f in ((index, -1), (src, 0)))
    rows, index, src = (F.transpose(v, dim0=where, dim1=-1) for v in (x, index, src))
    places = F._numbers_of(x, values=tuple(range(x.shape[where])))
    hits = index[..., None, :] == places[..., None]
    met = F.where(hits, src[..., None, :], identity)
    own = rows if include_self else F.where(F.any(hits, dim=-1), identity, rows)
    made = getattr(F, verb)(F.cat(own[..., None], met, dim=-1), dim=-1)
    return F.transpose(made, dim0=where, dim1=-1)


def _reduced(F: Any, x: Any, index: Any, src: Any = None, *, dim: int, reduce: str,
             value: Any = None) -> Any:
    """What scatter does with ``reduce``; PyTorch, which prefers scatter_reduce, has no gradient."""
    verb = {"add": "sum", "multiply": "prod"}.get(reduce)
    if verb is None:
        raise RuntimeError(f"scatter got reduce={reduce!r}; expected 'add' or 'multiply'")
    src = value if src is None else src
    if not hasattr(src, "shape"):
        src = F.fill(F.zeros_of(x, size=tuple(index.shape)), src)
    return F.scatter_reduce(x, dim=dim, index=index, src=src, reduce=verb)


def _index_reduce(F: Any, x: Any, index: Any, source: Any, *, dim: int, reduce: str,
                  include_self: bool = True) -> Any:
    shape = [1] * x.ndim
    if shape:
        shape[dim] = -1
    index, source = F.reshape(index, tuple(shape)), source if shape else F.reshape(source, ())
    index = F.expand(index, size=tuple(source.shape))
    return _scatter_reduce(F, x, index, source, dim=dim, reduce=reduce, include_self=include_self)


def _segment_reduce(F: Any, data: Any, reduce: str, *, lengths: Any = None, indices: Any = None,
                    offsets: Any = None, axis: int = 0, unsafe: bool = False,
                    initial: float | None = None) -> Any:
    """Runs of ``data`` along ``axis``, each with ``initial``; lengths may differ by row."""
    verb, identity = _REDUCTIONS[reduce]
    edges = np.array((offsets if lengths is None else lengths).tolist())
    if lengths is not None:
        edges = np.insert(np.cumsum(edges, -1), 0, 0, axis=-1)
    sizes, n, after = np.diff(edges), data.shape[axis], (1,) * (data.ndim - axis - 1)
    k, places = sizes.shape[-1], np.arange(n)
    runs = (edges[..., None, 1:] <= places[:, None]).sum(-1)
    runs[places < edges[..., :1]] = k  # what belongs to none is left out in the end
    index = F._numbers_of(data, values=runs.reshape(*sizes.shape[:-1], n, *after))
    base = F.zeros_of(data, size=(*data.shape[:axis], k + 1, *data.shape[axis + 1 :]))
    made = F.scatter_reduce(base + (identity if initial is None else initial), dim=axis, src=data,
                            index=F.expand(index, size=tuple(data.shape)), reduce=verb)
    made = F.narrow(made, axis, 0, k)
    if reduce != "mean":
        return made
    counts = np.where((sizes == 0) & (initial is not None), 1, sizes)
    return made / F._numbers_of(data, values=counts.reshape(*sizes.shape, *after))


composite("scatter_reduce", _scatter_reduce, order=("x", "dim", "index", "src", "reduce"),
          inplace=True, kinks="ties", complex=False, fill=_INDEX["fill"], samples=[
    on((3, 2), (4, 2), (4, 2), dim=0, reduce=r) for r in ("sum", "mean", "amax")])
composite("_scatter_reduced", _reduced, inplace=True, methods=())
composite("index_reduce", _index_reduce, inplace=True, kinks="ties", complex=False,
          fill=_INDEX["fill"], order=("x", "dim", "index", "source", "reduce"))
composite("_segment_reduce", _segment_reduce, complex=False, methods=())


# single elements ----------------------------------------------------------------------------------
def _take_along_dim(F: Any, x: Any, indices: Any, dim: int | None = None) -> Any:
    if dim is None:
        return F.gather(F.reshape(x, (-1,)), dim=0, index=F.reshape(indices, (-1,)))
    where = axis(dim, x.ndim)
    shape = broadcast_shapes(*((*v.shape[:where], 1, *v.shape[where + 1 :]) for v in (x, indices)))
    indices = F.where(indices < 0, indices + x.shape[where], indices)
    x, indices = (F.expand(v, size=(*shape[:where], v.shape[where], *shape[where + 1 :]))
                  for v in (x, indices))
    return F.gather(x, dim=dim, index=indices)


def _masked_scatter(F: Any, x: Any, mask: Any, source: Any) -> Any:
    """The mask's places get the elements of ``source`` in turn."""
    x, mask = F.broadcast_tensors(x, mask)
    if not prod(source.shape):
        return F.clone(x)
    turn = F.cumsum(F.reshape(mask, (-1,)).long(), dim=0) - 1
    picked = F.take(source, F.reshape(F.clamp_min(turn, 0), tuple(x.shape)))
    return F.where(mask, picked, x)


def _held(F: Any, x: Any, indices: Any) -> tuple[Any, ...]:
    """Indices brought into range, for a mask to hide; None takes a whole dimension."""
    return tuple(slice(None) if i is None else F.clamp(i, -n, n - 1) for i, n in zip(
        indices, x.shape, strict=False))


composite("take_along_dim", _take_along_dim, fill={"indices": "index:dim"},
          samples=[on((3, 2), (2, 2), dim=0)])
composite("masked_scatter", _masked_scatter, inplace=True, fill={"mask": "bool"},
          samples=[on((2, 3), (2, 3), (6,))])
composite("_unsafe_masked_index", lambda F, x, mask, indices, fill: F.where(
    mask, x[_held(F, x, indices)], fill))
composite("_unsafe_masked_index_put_accumulate", lambda F, x, mask, indices, values: F.index_put(
    x, _held(F, x, indices), F.where(mask, values, 0), True))


# memory by strides --------------------------------------------------------------------------------
def _as_strided(F: Any, x: Any, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """A view of the memory of ``x`` by strides; an element's cotangent goes to the element of x
    that lies there, as in https://pytorch.org/docs/stable/generated/torch.as_strided.html.
    """
    own = x.storage_offset()
    first = own if storage_offset is None else storage_offset
    return F._as_strided(x, size=tuple(size), stride=tuple(stride), first=first,
                         lies=(tuple(x.stride()), own))


def _addresses(size: Any, stride: Any, first: int) -> Any:
    at = np.full((), first)
    for n, step in zip(size, stride, strict=True):
        at = at[..., None] + np.arange(n) * step
    return at


def _unstrided(F: Any, g: Any, x_shape: Any, size: Any, stride: Any, first: int, lies: Any) -> Any:
    """Cotangents added up by address, and read where x lies; shares where x overlaps itself."""
    mine, theirs = _addresses(x_shape, *lies), _addresses(size, stride, first)
    length = max(int(v.max(initial=-1)) + 1 for v in (mine, theirs))
    places = F._numbers_of(g, values=theirs)
    memory = F.put(F.zeros_of(g, size=(length,)), places, g, accumulate=True)
    total = F.take(memory, F._numbers_of(g, values=mine))
    shares = np.bincount(mine.reshape(-1), minlength=length)[mine]
    return total / F._numbers_of(g, values=shares) if shares.max(initial=0) > 1 else total


linear("_as_strided", lambda xp, x, *, size, stride, first, lies: xp.as_strided(
           x, size, stride, first), view=True, transpose=_unstrided)
composite("as_strided", _as_strided, samples=[on((3, 3), size=(2, 2), stride=(1, 2))])
composite("as_strided_copy", lambda F, x, size, stride, storage_offset=None: F.clone(
    _as_strided(F, x, size, stride, storage_offset)), methods=())
composite("as_strided_scatter", partial(with_part, view="as_strided"), order=(
    "x", "src", "size", "stride", "storage_offset"), methods=("as_strided_scatter",))
