"""Writes by index: copied, filled, reduced, put, and through views by strides."""

from __future__ import annotations

from itertools import pairwise
from math import inf, prod
from typing import Any

from reference_engine.ops.copies import with_part
from reference_engine.ops.dims import axis, broadcast_shapes
from reference_engine.ops.indexing import rows_at
from reference_engine.ops.opdef import composite, linear

_INDEX = {"index": "index:dim"}


# whole rows ---------------------------------------------------------------------------------------
def _index_copy(xp: Any, x: Any, index: Any, source: Any, *, dim: int) -> Any:
    if x.ndim == 0:
        return xp.copy(xp.reshape(source, ()))
    return xp.index_put(x, rows_at(x.ndim, dim, index), source, accumulate=False)


def _index_fill(xp: Any, x: Any, index: Any, value: Any, *, dim: int) -> Any:
    if x.ndim == 0:
        return xp.zeros_like(x) + value
    return xp.index_put(x, rows_at(x.ndim, dim, index), value, accumulate=False)


linear("index_copy", _index_copy, order=("x", "dim", "index", "source"), inplace=True,
       transpose_x=lambda F, g, index, dim: F.index_fill(g, dim=dim, index=index, value=0),
       transpose_source=lambda F, g, index, source_shape, dim: F.reshape(
           F.index_select(g, dim=dim, index=index), shape=source_shape),
       samples=[(((3, 2), (2,), (2, 2)), {"dim": 0})],
       fill={"index": "permutation:dim"})  # fmt: skip
# rows that are written twice count once in the value's cotangent
linear("index_fill", _index_fill, nodes={"value": 1},
       order=("x", "dim", "index", "value"), inplace=True,
       transpose_x=lambda F, g, index, dim: F.index_fill(g, dim=dim, index=index, value=0),
       transpose_value=lambda F, g, index, dim: F.sum(F.where(F.index_fill(
           F.zeros_like(g), dim=dim, index=index, value=1) == 1, g, 0)),
       samples=[(((3, 2), (2,), ()), {"dim": 0}), (((2, 3), (3,), ()), {"dim": -1})], fill=_INDEX,
       promotion="promote")  # fmt: skip


# reductions ---------------------------------------------------------------------------------------
def _scatter_reduce(F: Any, x: Any, index: Any, src: Any, *, dim: int, reduce: str,
                    include_self: bool = True) -> Any:  # fmt: skip
    """Each element of x with those of ``src`` that meet at its place."""
    if not prod(index.shape):
        return F.clone(x)
    if reduce in ("sum", "mean"):
        base = x if include_self else F.scatter(x, dim=dim, index=index, value=0)
        total = F.scatter_add(base, dim=dim, index=index, src=src)
        if reduce == "sum":
            return total
        ones = F.ones_like(x.detach())
        ones = ones if include_self else F.scatter(ones, dim=dim, index=index, value=0)
        count = F.scatter_add(ones, dim=dim, index=index, src=F.ones_like(src.detach()))
        return total / F.where(count == 0, 1, count)
    if x.ndim == 0:
        x, index, src = (F.reshape(v, shape=(1,)) for v in (x, index, src))
        made = _scatter_reduce(F, x, index, src, dim=0, reduce=reduce, include_self=include_self)
        return F.reshape(made, shape=())
    return _met(F, x, axis(dim, x.ndim), index, src, reduce, include_self)


def _met(F: Any, x: Any, where: int, index: Any, src: Any, reduce: str, include_self: bool) -> Any:
    """All that meets at each place stands in one row, others as the identity: no division where a
    product has a 0, equal shares where extremes tie.
    """
    src = F._pick(src, index=tuple(slice(n) for n in index.shape))
    room = [0 if d == where else n - m for d, (n, m) in enumerate(zip(x.shape, index.shape,
                                                                     strict=True))]  # fmt: skip
    pad = tuple(p for r in reversed(room) for p in (0, r))
    index, src = (F.constant_pad_nd(v, pad=pad, value=f) for v, f in ((index, -1), (src, 0)))
    rows, index, src = (F.transpose(v, dim0=where, dim1=-1) for v in (x, index, src))
    places = F._numbers_of(x, values=tuple(range(x.shape[where])))
    hits = F.unsqueeze(index, dim=-2) == F.unsqueeze(places, dim=-1)
    identity = {"prod": 1.0, "amax": -inf, "amin": inf}[reduce]
    met = F.where(hits, F.unsqueeze(src, dim=-2), identity)
    hit = F.any(hits, dim=-1)
    own = F.where(hit, identity, rows) if not include_self else rows
    made = getattr(F, reduce)(F.cat(F.unsqueeze(own, dim=-1), met, dim=-1), dim=-1)
    return F.transpose(made, dim0=where, dim1=-1)


def _index_reduce(F: Any, x: Any, index: Any, source: Any, *, dim: int, reduce: str,
                  include_self: bool = True) -> Any:  # fmt: skip
    if x.ndim:
        shape = [1] * x.ndim
        shape[axis(dim, x.ndim)] = -1
        index = F.expand(F.reshape(index, shape=tuple(shape)), size=tuple(source.shape))
    else:
        index, source = (F.reshape(v, shape=()) for v in (index, source))
    return _scatter_reduce(F, x, index, source, dim=dim, reduce=reduce, include_self=include_self)


def _segment_reduce(F: Any, data: Any, reduce: str, *, lengths: Any = None, indices: Any = None,
                    offsets: Any = None, axis: int = 0, unsafe: bool = False,
                    initial: float | None = None) -> Any:  # fmt: skip
    """Runs of ``data`` along ``axis``, each with ``initial``; lengths may differ by row."""
    del indices, unsafe
    sizes = offsets if lengths is None else lengths
    if sizes.ndim > 1:
        return F.stack(*(_segment_reduce(F, F.select(data, dim=0, index=i), reduce, axis=axis - 1,
                                         initial=initial, **{"offsets" if lengths is None else
                                                             "lengths": sizes[i]})
                         for i in range(sizes.shape[0])))  # fmt: skip
    ends = sizes.tolist()
    if lengths is not None:
        ends = [sum(ends[:i]) for i in range(len(ends) + 1)]
    identity = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": -inf, "min": inf}[reduce]
    parts = []
    for a, b in pairwise(ends):
        part = F.narrow(data, dim=axis, start=a, length=b - a)
        head = F.zeros_like(F.sum(part.detach(), dim=axis, keepdim=True))
        head = head + (identity if initial is None else initial)
        whole = F.cat(head, part, dim=axis)
        verb = {"mean": "sum", "max": "amax", "min": "amin"}.get(reduce, reduce)
        made = getattr(F, verb)(whole, dim=axis)
        if reduce == "mean" and (b > a or initial is None):
            made = made / (b - a)
        parts.append(made)
    return F.stack(*parts, dim=axis)


_REDUCED: Any = {"order": ("x", "dim", "index", "src", "reduce"), "fill": _INDEX, "samples": [
    (((3, 2), (4, 2), (4, 2)), {"dim": 0, "reduce": r}) for r in ("sum", "mean", "amax")]
}  # fmt: skip
composite("scatter_reduce", _scatter_reduce, kinks="ties", complex=False, **_REDUCED)
composite("index_reduce", _index_reduce, kinks="ties", complex=False, fill=_INDEX,
          order=("x", "dim", "index", "source", "reduce"))  # fmt: skip
composite("_segment_reduce", _segment_reduce, complex=False, methods=())


# single elements ----------------------------------------------------------------------------------
linear("put", lambda xp, x, index, source, *, accumulate=False: xp.reshape(xp.index_put(
           xp.reshape(x, (-1,)), xp.reshape(index, (-1,)), xp.reshape(source, (-1,)), accumulate),
           tuple(x.shape)), fill={"index": "index:all"}, inplace=True,
       transpose_x=lambda F, g, index, source_shape, accumulate: g if accumulate else F.put(
           g, index, F.zeros_of(g, size=source_shape)),
       transpose_source=lambda F, g, index, source_shape: F.reshape(
           F.take(g, index), shape=source_shape),
       samples=[(((2, 3), (4,), (4,)), {"accumulate": True})])  # fmt: skip


def _take_along_dim(F: Any, x: Any, indices: Any, dim: int | None = None) -> Any:
    if dim is None:
        return F.gather(F.reshape(x, shape=(-1,)), dim=0, index=F.reshape(indices, shape=(-1,)))
    where = axis(dim, x.ndim)
    shapes = [[1 if d == where else n for d, n in enumerate(v.shape)] for v in (x, indices)]
    shape = list(broadcast_shapes(*shapes))
    indices = F.where(indices < 0, indices + x.shape[where], indices)
    x, indices = (F.expand(v, size=(*shape[:where], v.shape[where], *shape[where + 1 :]))
                  for v in (x, indices))  # fmt: skip
    return F.gather(x, dim=dim, index=indices)


def _masked_scatter(F: Any, x: Any, mask: Any, source: Any) -> Any:
    """The mask's places get the elements of ``source`` in turn."""
    shape = broadcast_shapes(tuple(x.shape), tuple(mask.shape))
    x, mask = F.expand(x, size=shape), F.expand(mask, size=shape)
    if not prod(source.shape):
        return F.clone(x)
    turn = F.cumsum(F.reshape(mask, shape=(-1,)).long(), dim=0) - 1
    picked = F.take(source, F.reshape(F.clamp_min(turn, 0), shape=shape))
    return F.where(mask, picked, x)


def _held(F: Any, x: Any, indices: Any) -> tuple[Any, ...]:
    """Indices brought into range, for a mask to hide; None takes a whole dimension."""
    return tuple(slice(None) if i is None else F.clamp(i, -n, n - 1) for i, n in zip(
        indices, x.shape, strict=False))  # fmt: skip


composite("take_along_dim", _take_along_dim, fill={"indices": "index:dim"},
          samples=[(((3, 2), (2, 2)), {"dim": 0})])  # fmt: skip
composite("masked_scatter", _masked_scatter, fill={"mask": "bool"},
          samples=[(((2, 3), (2, 3), (6,)), {})])  # fmt: skip
composite("_unsafe_masked_index", lambda F, x, mask, indices, fill: F.where(
    mask, x[_held(F, x, indices)], fill))  # fmt: skip
composite("_unsafe_masked_index_put_accumulate", lambda F, x, mask, indices, values: F.index_put(
    x, _held(F, x, indices), F.where(mask, values, 0), True))  # fmt: skip


# memory by strides --------------------------------------------------------------------------------
def _as_strided(F: Any, x: Any, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """A view of the memory of ``x`` by strides; an element's cotangent goes to the element of x
    that lies there, as in https://pytorch.org/docs/stable/generated/torch.as_strided.html.
    """
    own = x.storage_offset()
    first = own if storage_offset is None else storage_offset
    return F._as_strided(x, size=tuple(size), stride=tuple(stride), first=first,
                         lies=(tuple(x.stride()), own))  # fmt: skip


def _addresses(xp: Any, x: Any, size: Any, stride: Any, first: int) -> Any:
    at = xp.zeros((), dtype=xp.int64, device=x.device) + first
    for n, step in zip(size, stride, strict=True):
        at = at[..., None] + xp.arange(n, device=x.device) * step
    return xp.reshape(at, (-1,))


def _from_strided(xp: Any, g: Any, *, size: Any, stride: Any, first: int, lies: Any, shape: Any
                  ) -> Any:  # fmt: skip
    """Cotangents added up by address, and read where x lies; shares where x overlaps itself."""
    mine, theirs = _addresses(xp, g, shape, *lies), _addresses(xp, g, size, stride, first)
    length = max(int(xp.max(v)) + 1 if prod(v.shape) else 0 for v in (mine, theirs))
    memory = xp.zeros((length,), dtype=g.dtype, device=g.device)
    total = xp.index_put(memory, theirs, xp.reshape(g, (-1,)), accumulate=True)[mine]
    if 0 in lies[0]:
        total = total / xp.index_put(memory, mine, 1, accumulate=True)[mine]
    return xp.reshape(total, tuple(shape))


linear("_as_strided", lambda xp, x, *, size, stride, first, lies: xp.as_strided(
           x, size, stride, first), view=True, node="AsStridedBackward0",
       transpose=lambda F, g, x_shape, size, stride, first, lies: F._from_strided(
           g, size=size, stride=stride, first=first, lies=lies, shape=tuple(x_shape)))  # fmt: skip
linear("_from_strided", _from_strided, transpose=lambda F, g, size, stride, first, lies, shape:
       F._to_strided(g, size=size, stride=stride, first=first, lies=lies))  # fmt: skip
linear("_to_strided", lambda xp, x, *, size, stride, first, lies: _to_strided(
           xp, x, size, stride, first, lies),
       transpose=lambda F, g, x_shape, size, stride, first, lies: F._from_strided(
           g, size=size, stride=stride, first=first, lies=lies, shape=tuple(x_shape)))  # fmt: skip


def _to_strided(xp: Any, x: Any, size: Any, stride: Any, first: int, lies: Any) -> Any:
    """What the view would show of an ``x`` that lies so in memory; 0 beyond it."""
    mine, theirs = _addresses(xp, x, x.shape, *lies), _addresses(xp, x, size, stride, first)
    length = max(int(xp.max(v)) + 1 if prod(v.shape) else 0 for v in (mine, theirs))
    memory = xp.zeros((length,), dtype=x.dtype, device=x.device)
    flat = xp.reshape(x, (-1,))
    if 0 in lies[0]:
        flat = flat / xp.index_put(memory, mine, 1, accumulate=True)[mine]
    return xp.reshape(xp.index_put(memory, mine, flat, accumulate=True)[theirs], tuple(size))


composite("as_strided", _as_strided, samples=[(((3, 3),), {"size": (2, 2), "stride": (1, 2)})])
composite("as_strided_copy", lambda F, x, size, stride, storage_offset=None: F.clone(
    _as_strided(F, x, size, stride, storage_offset)), methods=())  # fmt: skip
composite("as_strided_scatter", with_part("as_strided"), order=(
    "x", "src", "size", "stride", "storage_offset"), methods=("as_strided_scatter",))  # fmt: skip
