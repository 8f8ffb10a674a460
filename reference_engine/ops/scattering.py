"""Compositions of writes by index: reduced, by mask, and through memory by strides."""

from __future__ import annotations

from functools import partial
from math import inf, prod
from typing import Any

import numpy as np

from reference_engine.ops.copies import with_part
from reference_engine.ops.dims import axis, broadcast_shapes
from reference_engine.ops.opdef import composite, linear, on

# rows are laid out by hand
# fmt: off

_INDEX = {"index": "index:dim"}
#: a reduction's row, and what changes nothing when it is reduced with others
_REDUCTIONS = {
    "sum": ("sum", 0.0), "mean": ("sum", 0.0), "prod": ("prod", 1.0), "max": ("amax", -inf),
    "min": ("amin", inf), "amax": ("amax", -inf), "amin": ("amin", inf),}


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
        return total(x, src) / F.where(count == 0, 1, count)
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
    del indices, unsafe
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
          inplace=True, kinks="ties", complex=False, fill=_INDEX, samples=[
    on((3, 2), (4, 2), (4, 2), dim=0, reduce=r) for r in ("sum", "mean", "amax")])
composite("_scatter_reduced", _reduced, inplace=True, methods=())
composite("index_reduce", _index_reduce, inplace=True, kinks="ties", complex=False, fill=_INDEX,
          order=("x", "dim", "index", "source", "reduce"))
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
