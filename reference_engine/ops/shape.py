"""Shapes: views, which share their input's memory, and the copies next to them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY
from reference_engine.ops.dims import at, axes, axis, broadcast_shapes
from reference_engine.ops.opdef import Sample, composite, linear, on

# rows are laid out by hand
# fmt: off

_MATRIX = [on((2, 3))]


def _cube(*params: dict[str, Any]) -> list[Sample]:
    return [on((2, 3, 4), **p) for p in params]


# the same elements in another shape ---------------------------------------------------------------
def _resolved(shape: Sequence[int], x_shape: Sequence[int]) -> tuple[int, ...]:
    """``shape`` with its −1 replaced; RuntimeError when the number of elements does not fit."""
    inferred = list(shape).count(-1)
    known, total = prod(shape) * (-1) ** inferred, prod(x_shape)
    fits = total == known if not inferred else known > 0 and total % known == 0
    if not fits or inferred > 1:
        raise RuntimeError(
            f"shape {list(shape)} does not fit the {total} elements of {list(x_shape)}")
    return tuple([total // known if n == -1 else n for n in shape] if inferred else shape)


def _reshape(F: Any, x: Any, shape: Sequence[int]) -> Any:
    """A view where strides allow it, else a copy."""
    try:
        return F.view(x, shape=tuple(shape))
    except RuntimeError:
        return F._unsafe_view(F.clone(x), shape=_resolved(shape, x.shape))


def _flatten(F: Any, x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    first, last = axis(start_dim, x.ndim), axis(end_dim, x.ndim)
    if first > last:
        raise RuntimeError(f"flatten got start_dim={start_dim} after end_dim={end_dim}")
    if first == last and x.ndim:
        return x
    shape = tuple(x.shape)
    return F.reshape(x, (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :]))


def _unflatten(F: Any, x: Any, dim: int, sizes: Sequence[int]) -> Any:
    where, shape = axis(dim, x.ndim), tuple(x.shape)
    inner = _resolved(sizes, shape[where : where + 1])
    return F.view(x, shape=(*shape[:where], *inner, *shape[where + 1 :]))


def _back(F: Any, g: Any, x_shape: Sequence[int]) -> Any:
    return F.reshape(g, x_shape)


linear("view", lambda xp, x, *, shape: xp.view(x, _resolved(shape, tuple(x.shape))), view=True,
       transpose=_back, order=("x", "*shape"), samples=_cube({"shape": (6, 4)}, {"shape": (-1,)}))
# the copy that reshape makes is nobody's view
linear("_unsafe_view", lambda xp, x, *, shape: xp.view(x, shape), transpose=_back)
composite("reshape", _reshape, order=("x", "*shape"), samples=_cube({"shape": (4, -1)}))
composite("view_as", lambda F, x, other: F.view(x, shape=tuple(other.shape)))
composite("reshape_as", lambda F, x, other: F.reshape(x, tuple(other.shape)))
composite("ravel", lambda F, x: F.reshape(x, (-1,)), samples=_MATRIX)
composite("flatten", _flatten, samples=_cube({}, {"start_dim": 1}))
composite("unflatten", _unflatten, samples=_cube({"dim": 2, "sizes": (2, -1)}))


# the order of dimensions --------------------------------------------------------------------------
def _permute(xp: Any, x: Any, *, dims: Sequence[int]) -> Any:
    order = tuple(axis(d, x.ndim) for d in dims)
    if sorted(order) != list(range(x.ndim)):
        raise RuntimeError(f"permute of {x.ndim} dimensions got dims={tuple(dims)}")
    return xp.permute_dims(x, order)


def _inverse(dims: Sequence[int]) -> tuple[int, ...]:
    order = [axis(d, len(dims)) for d in dims]
    return tuple(order.index(i) for i in range(len(order)))


def _movedim(F: Any, x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    sources, ends = ([axis(d, x.ndim) for d in ((dims,) if isinstance(dims, int) else dims)]
                     for dims in (source, destination))
    order = [d for d in range(x.ndim) if d not in sources]
    for end, d in sorted(zip(ends, sources, strict=True)):
        order.insert(end, d)
    return F.permute(x, dims=tuple(order))


def _t(xp: Any, x: Any) -> Any:
    if x.ndim > 2:
        raise RuntimeError(f"t needs at most 2 dimensions, got {x.ndim}; use transpose or mT")
    return xp.permute_dims(x, tuple(reversed(range(x.ndim))))


linear("permute", _permute, transpose=lambda F, g, dims: F.permute(g, dims=_inverse(dims)),
       view=True, order=("x", "*dims"), samples=_cube({"dims": (2, 0, 1)}, {"dims": (-1, 0, 1)}))
linear("transpose", lambda xp, x, *, dim0, dim1: xp.swapaxes(
           x, axis(dim0, x.ndim), axis(dim1, x.ndim)) if x.ndim else x[...],
       transpose=lambda F, g, dim0, dim1: F.transpose(g, dim0=dim0, dim1=dim1), view=True,
       aliases=("swapaxes", "swapdims"), samples=_cube({"dim0": 0, "dim1": -1}))
linear("t", _t, transpose=lambda F, g: F.t(g), view=True, samples=[*_MATRIX, on((3,))])
composite("movedim", _movedim, aliases=("moveaxis",),
          samples=_cube({"source": 0, "destination": -1}))
composite("T", lambda F, x: F.permute(x, dims=tuple(reversed(range(x.ndim)))), methods=())
composite("mT", lambda F, x: F.transpose(x, dim0=-2, dim1=-1), methods=(), samples=_MATRIX)
composite("H", lambda F, x: F.conj(F.t(x)), methods=(), samples=_MATRIX)
composite("mH", lambda F, x: F.conj(F.mT(x)), methods=(), samples=_MATRIX)
composite("adjoint", lambda F, x: F.conj(F.mT(x)), samples=_MATRIX)


# dimensions of size 1 -----------------------------------------------------------------------------
def _squeeze(xp: Any, x: Any, *, dim: int | Sequence[int] | None = None) -> Any:
    among = axes(dim, x.ndim) if dim != () else ()
    return xp.view(x, tuple(n for d, n in enumerate(x.shape) if n != 1 or d not in among))


def _expand(xp: Any, x: Any, *, size: Sequence[int]) -> Any:
    lead, old = len(size) - x.ndim, x.shape
    if lead >= 0 and -1 in size[lead:]:
        size = (*size[:lead], *[o if n == -1 else n for o, n in zip(old, size[lead:], strict=True)])
    grown = size[lead:] != old and [o not in (1, n) for o, n in zip(old, size[lead:], strict=False)]
    if lead < 0 or -1 in size or (grown and any(grown)):
        raise RuntimeError(f"expand to {list(size)} does not fit a tensor of shape {list(old)}")
    return xp.expand(x, size)


linear("unsqueeze", lambda xp, x, *, dim: x[at(x.ndim + 1, dim, None)], view=True,
       transpose=_back, samples=_cube({"dim": 0}, {"dim": -1}, {"dim": 1}))
linear("squeeze", _squeeze, transpose=_back, view=True,
       nodes={"dim": lambda dim: 1 if isinstance(dim, int) else 2},
       samples=[on((1, 3, 1)), *(on((1, 3, 1), dim=d) for d in (0, (0, -1), 1))])
# a cotangent of the expanded shape is summed where it meets the input's shape
linear("expand", _expand, transpose=lambda F, g: g, view=True, order=("x", "*size"),
       samples=[on((3, 1), size=(2, 3, 4)), on((3, 1), size=(5, -1, 4))])
composite("broadcast_to", lambda F, x, size: F.expand(x, size=tuple(size)))
composite("expand_as", lambda F, x, other: F.expand(x, size=tuple(other.shape)))
composite("broadcast_tensors", lambda F, *xs: tuple(F.expand(x, size=shape) for shape in (
    broadcast_shapes(*(tuple(x.shape) for x in xs)),) for x in xs), methods=())


# parts --------------------------------------------------------------------------------------------
def _place(xp: Any, g: Any, *, size: Sequence[int], index: Any) -> Any:
    out = xp.zeros(tuple(size), dtype=g.dtype, device=g.device)
    out[index] = g
    return out


def _select(_xp: Any, x: Any, *, dim: int, index: int) -> Any:
    if x.ndim == 0:
        raise IndexError("a 0-dimensional tensor has no elements to select; use item()")
    where = axis(dim, x.ndim)
    n = x.shape[where]
    if not -n <= index < n:
        raise IndexError(f"index {index} is out of range for dimension {dim} of size {n}")
    return x[at(x.ndim, where, index % n)]


def _slice(_xp: Any, x: Any, *, dim: int = 0, start: int | None = None, end: int | None = None,
           step: int = 1) -> Any:
    if step < 1:
        raise ValueError(f"a slice needs a step of at least 1, got {step}; use flip")
    return x[at(x.ndim, dim, slice(start, end, step))]


def _narrow(F: Any, x: Any, dim: int, start: Any, length: int) -> Any:
    n = x.shape[axis(dim, x.ndim)] if x.ndim else 1
    first = int(start) + (n if int(start) < 0 else 0)
    if first < 0 or length < 0 or first + length > n:
        raise RuntimeError(
            f"narrow to start {start}, length {length} leaves a dimension of size {n}")
    return F.slice(x, dim=dim, start=first, end=first + length)


def _unfold(xp: Any, x: Any, *, dimension: int, size: int, step: int) -> Any:
    if not x.ndim:
        return xp.view(x, (1,))
    where = axis(dimension, x.ndim)
    windows = xp.sliding_windows(xp.moveaxis(x, where, -1), (size,), (step,), (1,))
    return xp.moveaxis(windows, -2, where)


def _refold(F: Any, g: Any, x_shape: Any, dimension: int, size: int, step: int) -> Any:
    """Every window's elements added up where they came from."""
    numbers = np.arange(prod(x_shape)).reshape(x_shape)
    windows = _unfold(NUMPY, numbers, dimension=dimension, size=size, step=step)
    places = F._numbers_of(g, values=windows)
    return F.put(F.zeros_of(g, size=x_shape), places, g, accumulate=True)


linear("_place", _place, transpose=lambda F, g, index: F._pick(g, index=index))
linear("_pick", lambda xp, x, *, index: x[index], view=True,
       transpose=lambda F, g, x_shape, index: F._place(g, size=x_shape, index=index))
linear("select", _select, view=True,
       transpose=lambda F, g, x_shape, dim, index: F._place(
           g, size=x_shape, index=at(len(x_shape), dim, index)),
       samples=_cube({"dim": 1, "index": 2}, {"dim": -1, "index": -1}))
linear("slice", _slice, view=True, methods=(), samples=_cube({"dim": 2, "start": 1, "step": 2}),
       transpose=lambda F, g, x_shape, dim, start, end, step: F._place(
           g, size=x_shape, index=at(len(x_shape), dim, slice(start, end, step))))
composite("narrow", _narrow, samples=_cube({"dim": 1, "start": 1, "length": 2}))
linear("unfold", _unfold, transpose=_refold, view=True, methods=("unfold",), samples=_cube(
    {"dimension": 2, "size": 2, "step": 1}, {"dimension": 1, "size": 2, "step": 3}))


# several parts ------------------------------------------------------------------------------------
def _split_sizes(_xp: Any, x: Any, *, split_sizes: Sequence[int], dim: int = 0) -> Any:
    n = x.shape[axis(dim, x.ndim)]
    if sum(split_sizes) != n:
        raise RuntimeError(f"split into {list(split_sizes)} does not fill a dimension of size {n}")
    ends = pairwise(accumulate(split_sizes, initial=0))
    return tuple([x[at(x.ndim, dim, slice(*each))] for each in ends])


def _split(F: Any, x: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> Any:
    """Into parts of one size, the last one smaller where it must be, or of the sizes given."""
    size = split_size_or_sections
    if not isinstance(size, int):
        return F.split_with_sizes(x, split_sizes=tuple(size), dim=dim)
    n = x.shape[axis(dim, x.ndim)]
    if size < 0 or (size == 0 and n):
        raise RuntimeError(f"split needs a size of at least 1, got {size}")
    sizes = tuple(min(size, n - i) for i in range(0, n, max(size, 1))) or (0,)
    return F._split_equal(x, split_sizes=sizes, dim=dim)


def _chunk(F: Any, x: Any, chunks: int, dim: int = 0) -> Any:
    if chunks < 1:
        raise RuntimeError(f"chunk needs at least 1 chunk, got {chunks}")
    return F.split(x, max(-(-x.shape[axis(dim, x.ndim)] // chunks), 1), dim=dim)


linear("unbind", lambda xp, x, *, dim=0: tuple([
           x[at(x.ndim, dim, i)] for i in range(x.shape[axis(dim, x.ndim)])]), outputs=("*ys",),
       view=True, samples=_cube({}, {"dim": -1}), transpose=lambda F, g, dim: F.stack(*g, dim=dim))
for _name, _node in (("split_with_sizes", "SplitWithSizes"), ("_split_equal", "Split")):
    linear(_name, _split_sizes, outputs=("*ys",), view=True, node=_node + "Backward0",
           transpose=lambda F, g, dim: F.cat(*g, dim=dim),
           samples=_cube({"split_sizes": (1, 2), "dim": 1}))
composite("split", _split, samples=_cube(
    {"split_size_or_sections": 2, "dim": 2}, {"split_size_or_sections": (1, 3), "dim": 2}))
composite("chunk", _chunk, samples=_cube({"chunks": 2, "dim": 1}))


# diagonals ----------------------------------------------------------------------------------------
def _ends(ndim: int, dim1: int, dim2: int) -> tuple[int, ...]:
    """The order of dimensions in which these two are the last."""
    a, b = axis(dim1, ndim), axis(dim2, ndim)
    if a == b:
        raise RuntimeError(f"diagonal needs two dimensions, got {dim1} and {dim2}")
    return (*(d for d in range(ndim) if d not in (a, b)), a, b)


def _undiagonal(xp: Any, g: Any, *, size: Sequence[int], offset: int, dim1: int, dim2: int) -> Any:
    out = xp.zeros(tuple(size), dtype=g.dtype, device=g.device)
    rows = xp.permute_dims(out, _ends(len(size), dim1, dim2))
    xp.matrix_diagonal(rows, offset)[...] = g
    return out


def _diag_embed(F: Any, x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    n, ndim = x.shape[-1] + abs(offset), x.ndim + 1
    size = list(x.shape[:-1])
    for d in sorted((axis(dim1, ndim), axis(dim2, ndim))):
        size.insert(d, n)
    return F._undiagonal(x, size=tuple(size), offset=offset, dim1=dim1, dim2=dim2)


def _diag(F: Any, x: Any, diagonal: int = 0) -> Any:
    if x.ndim not in (1, 2):
        raise RuntimeError(
            f"diag needs 1 or 2 dimensions, got {x.ndim}; use diagonal or diag_embed")
    if x.ndim == 1:
        return F.diag_embed(x, offset=diagonal)
    return F.clone(F.diagonal(x, offset=diagonal))


linear("diagonal", lambda xp, x, *, offset=0, dim1=0, dim2=1: xp.matrix_diagonal(
           xp.permute_dims(x, _ends(x.ndim, dim1, dim2)), offset), view=True,
       samples=_cube({}, {"offset": 1, "dim1": -1, "dim2": 0}),
       transpose=lambda F, g, x_shape, offset, dim1, dim2: F._undiagonal(
           g, size=x_shape, offset=offset, dim1=dim1, dim2=dim2))
linear("_undiagonal", _undiagonal, transpose=lambda F, g, offset, dim1, dim2: F.diagonal(
    g, offset=offset, dim1=dim1, dim2=dim2))
composite("diag_embed", _diag_embed, samples=[on((2, 3)), on((2, 3), offset=-1)])
composite("diag", _diag, samples=[on((3,)), on((2, 3), diagonal=1)])
