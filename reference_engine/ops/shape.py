"""Shapes: views, which share their input's memory, and the copies next to them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from reference_engine.ops.dims import axes, axis, broadcast_shapes
from reference_engine.ops.opdef import Sample, composite, linear

_MATRIX: list[Sample] = [(((2, 3),), {})]


def _samples(*params: dict[str, Any], shape: tuple[int, ...] = (2, 3, 4)) -> list[Sample]:
    return [((shape,), p) for p in params]


# the same elements in another shape ---------------------------------------------------------------
def _resolved(shape: Sequence[int], x_shape: Sequence[int]) -> tuple[int, ...]:
    """``shape`` with its −1 replaced; RuntimeError when the number of elements does not fit."""
    known = prod(n for n in shape if n != -1)
    total = prod(x_shape)
    fits = total == known if -1 not in shape else known > 0 and total % known == 0
    if not fits or list(shape).count(-1) > 1:
        raise RuntimeError(
            f"shape {list(shape)} does not fit the {total} elements of {list(x_shape)}"
        )
    return tuple(total // known if n == -1 else n for n in shape)


def _reshape(F: Any, x: Any, shape: Sequence[int]) -> Any:
    """A view where strides allow it, else a copy."""
    try:
        return F.view(x, shape=tuple(shape))
    except RuntimeError:
        return F._unsafe_view(F.clone(x), shape=_resolved(shape, x.shape))


linear("view", lambda xp, x, *, shape: xp.view(x, _resolved(shape, tuple(x.shape))), view=True,
       transpose=lambda F, g, x_shape: F.reshape(g, shape=x_shape), order=("x", "*shape"),
       samples=_samples({"shape": (6, 4)}, {"shape": (-1,)}))  # fmt: skip
# the copy that reshape makes is nobody's view
linear("_unsafe_view", lambda xp, x, *, shape: xp.view(x, shape), node="UnsafeViewBackward0",
       transpose=lambda F, g, x_shape: F.reshape(g, shape=x_shape))  # fmt: skip
composite("reshape", _reshape, order=("x", "*shape"), samples=_samples({"shape": (4, -1)}))
composite("view_as", lambda F, x, other: F.view(x, shape=tuple(other.shape)))
composite("reshape_as", lambda F, x, other: F.reshape(x, shape=tuple(other.shape)))
composite("ravel", lambda F, x: F.reshape(x, shape=(-1,)), samples=_MATRIX)


def _flatten(F: Any, x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    first, last = axis(start_dim, x.ndim), axis(end_dim, x.ndim)
    if first > last:
        raise RuntimeError(f"flatten got start_dim={start_dim} after end_dim={end_dim}")
    if first == last and x.ndim:
        return x
    shape = tuple(x.shape)
    return F.reshape(x, shape=(*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :]))


def _unflatten(F: Any, x: Any, dim: int, sizes: Sequence[int]) -> Any:
    where, shape = axis(dim, x.ndim), tuple(x.shape)
    inner = _resolved(sizes, shape[where : where + 1])
    return F.view(x, shape=(*shape[:where], *inner, *shape[where + 1 :]))


composite("flatten", _flatten, samples=_samples({}, {"start_dim": 1}))
composite("unflatten", _unflatten, samples=_samples({"dim": 2, "sizes": (2, -1)}))


# the order of dimensions --------------------------------------------------------------------------
def _permute(xp: Any, x: Any, *, dims: Sequence[int]) -> Any:
    order = tuple(axis(d, x.ndim) for d in dims)
    if sorted(order) != list(range(x.ndim)):
        raise RuntimeError(f"permute of {x.ndim} dimensions got dims={tuple(dims)}")
    return xp.permute_dims(x, order)


def _inverse(dims: Sequence[int]) -> tuple[int, ...]:
    order = [axis(d, len(dims)) for d in dims]
    return tuple(order.index(i) for i in range(len(order)))


def _swap(xp: Any, x: Any, *, dim0: int, dim1: int) -> Any:
    order = list(range(x.ndim))
    if order:
        a, b = axis(dim0, x.ndim), axis(dim1, x.ndim)
        order[a], order[b] = b, a
    return xp.permute_dims(x, tuple(order))


def _movedim(F: Any, x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    sources = [axis(d, x.ndim) for d in ((source,) if isinstance(source, int) else source)]
    ends = [
        axis(d, x.ndim) for d in ((destination,) if isinstance(destination, int) else destination)
    ]
    order: list[int] = [d for d in range(x.ndim) if d not in sources]
    for end, d in sorted(zip(ends, sources, strict=True)):
        order.insert(end, d)
    return F.permute(x, dims=tuple(order))


def _t(xp: Any, x: Any) -> Any:
    if x.ndim > 2:
        raise RuntimeError(f"t needs at most 2 dimensions, got {x.ndim}; use transpose or mT")
    return xp.permute_dims(x, tuple(reversed(range(x.ndim))))


linear("permute", _permute, transpose=lambda F, g, dims: F.permute(g, dims=_inverse(dims)),
       view=True,
       order=("x", "*dims"), samples=_samples({"dims": (2, 0, 1)}, {"dims": (-1, 0, 1)})
       )  # fmt: skip
linear("transpose", _swap, transpose=lambda F, g, dim0, dim1: F.transpose(g, dim0=dim0, dim1=dim1),
       view=True, aliases=("swapaxes", "swapdims"), samples=_samples({"dim0": 0, "dim1": -1})
       )  # fmt: skip
linear("t", _t, transpose=lambda F, g: F.t(g), view=True, samples=[*_MATRIX, (((3,),), {})])
composite("movedim", _movedim, aliases=("moveaxis",),
          samples=_samples({"source": 0, "destination": -1}))  # fmt: skip
composite("T", lambda F, x: F.permute(x, dims=tuple(reversed(range(x.ndim)))), methods=())
composite("mT", lambda F, x: F.transpose(x, dim0=-2, dim1=-1), methods=(), samples=_MATRIX)
composite("H", lambda F, x: F.conj(F.t(x)), methods=(), samples=_MATRIX)
composite("mH", lambda F, x: F.conj(F.transpose(x, dim0=-2, dim1=-1)), methods=(), samples=_MATRIX)
composite("adjoint", lambda F, x: F.conj(F.transpose(x, dim0=-2, dim1=-1)), samples=_MATRIX)


# dimensions of size 1 -----------------------------------------------------------------------------
def _squeeze(xp: Any, x: Any, *, dim: int | Sequence[int] | None = None) -> Any:
    among = axes(dim, x.ndim) if dim != () else ()
    return xp.view(x, tuple(n for d, n in enumerate(x.shape) if n != 1 or d not in among))


def _expand(xp: Any, x: Any, *, size: Sequence[int]) -> Any:
    lead = len(size) - x.ndim
    if lead < 0 or any(n == -1 for n in size[:lead]):
        raise RuntimeError(f"expand to {list(size)} does not fit a tensor of shape {list(x.shape)}")
    sizes = tuple(x.shape[d] if n == -1 else n for d, n in enumerate(size, -lead))
    if any(old not in (1, n) for old, n in zip(x.shape, sizes[lead:], strict=True)):
        raise RuntimeError(f"expand to {list(size)} does not fit a tensor of shape {list(x.shape)}")
    return xp.expand(x, sizes)


linear("unsqueeze", lambda xp, x, *, dim: xp.expand_dims(x, axis=axis(dim, x.ndim + 1)), view=True,
       transpose=lambda F, g, x_shape: F.reshape(g, shape=x_shape),
       samples=_samples({"dim": 0}, {"dim": -1}, {"dim": 1}))  # fmt: skip
linear("squeeze", _squeeze, transpose=lambda F, g, x_shape: F.reshape(g, shape=x_shape), view=True,
       nodes={"dim": lambda dim: 1 if isinstance(dim, int) else 2},
       samples=_samples({}, {"dim": 0}, {"dim": (0, -1)}, {"dim": 1}, shape=(1, 3, 1)))  # fmt: skip
# a cotangent of the expanded shape is summed where it meets the input's shape
linear("expand", _expand, transpose=lambda F, g: g, view=True, order=("x", "*size"),
       samples=_samples({"size": (2, 3, 4)}, {"size": (5, -1, 4)}, shape=(3, 1)))  # fmt: skip
composite("broadcast_to", lambda F, x, size: F.expand(x, size=tuple(size)))
composite("expand_as", lambda F, x, other: F.expand(x, size=tuple(other.shape)))


def _broadcast_tensors(F: Any, *xs: Any) -> Any:
    shape = broadcast_shapes(*(tuple(x.shape) for x in xs))
    return tuple(F.expand(x, size=shape) for x in xs)


# parts --------------------------------------------------------------------------------------------
def _at(ndim: int, dim: int, index: int | slice) -> tuple[Any, ...]:
    """The index for one dimension; its ``...`` keeps what NumPy would make a scalar an array."""
    return (*(slice(None),) * axis(dim, ndim), index, ...)


def _place(xp: Any, g: Any, *, size: Sequence[int], index: Any) -> Any:
    out = xp.zeros(tuple(size), dtype=g.dtype, device=g.device)
    out[index] = g
    return out


def _select(_xp: Any, x: Any, *, dim: int, index: int) -> Any:
    if x.ndim == 0:
        raise IndexError("a 0-dimensional tensor has no elements to select; use item()")
    n = x.shape[axis(dim, x.ndim)]
    if not -n <= index < n:
        raise IndexError(f"index {index} is out of range for dimension {dim} of size {n}")
    return x[_at(x.ndim, dim, index % n)]


def _slice(_xp: Any, x: Any, *, dim: int = 0, start: int | None = None, end: int | None = None,
           step: int = 1) -> Any:  # fmt: skip
    if step < 1:
        raise ValueError(f"a slice needs a step of at least 1, got {step}; use flip")
    return x[_at(x.ndim, dim, slice(start, end, step))]


def _narrow(F: Any, x: Any, dim: int, start: Any, length: int) -> Any:
    n = x.shape[axis(dim, x.ndim)] if x.ndim else 1
    first = int(start) + (n if int(start) < 0 else 0)
    if first < 0 or length < 0 or first + length > n:
        raise RuntimeError(
            f"narrow to start {start}, length {length} leaves a dimension of size {n}"
        )
    return F.slice(x, dim=dim, start=first, end=first + length)


linear("_place", _place, transpose=lambda F, g, index: F._pick(g, index=index))
linear("_pick", lambda xp, x, *, index: x[index], view=True,
       transpose=lambda F, g, x_shape, index: F._place(g, size=x_shape, index=index))  # fmt: skip
linear("select", _select, view=True,
       transpose=lambda F, g, x_shape, dim, index: F._place(
           g, size=x_shape, index=_at(len(x_shape), dim, index)),
       samples=_samples({"dim": 1, "index": 2}, {"dim": -1, "index": -1}))  # fmt: skip
linear("slice", _slice, view=True, methods=(), samples=_samples({"dim": 2, "start": 1, "step": 2}),
       transpose=lambda F, g, x_shape, dim, start, end, step: F._place(
           g, size=x_shape, index=_at(len(x_shape), dim, slice(start, end, step))))  # fmt: skip
composite("narrow", _narrow, samples=_samples({"dim": 1, "start": 1, "length": 2}))


def _unfold(xp: Any, x: Any, *, dimension: int, size: int, step: int) -> Any:
    where = axis(dimension, x.ndim)
    if not x.ndim:
        return xp.view(x, (1,))
    order = [*(d for d in range(x.ndim) if d != where), where]
    windows = xp.sliding_windows(xp.permute_dims(x, tuple(order)), (size,), (step,), (1,))
    back = [*range(where), x.ndim - 1, *range(where, x.ndim - 1), x.ndim]
    return xp.permute_dims(windows, tuple(back))


def _refold(F: Any, g: Any, x_shape: Any, dimension: int, size: int, step: int) -> Any:
    """Every window's elements added up where they came from."""
    if not x_shape:
        return F.reshape(g, shape=())
    where = axis(dimension, len(x_shape))
    total = F.zeros_of(g, size=x_shape)
    for i in range(size):
        index = _at(len(x_shape), where, slice(i, i + (g.shape[where] - 1) * step + 1, step))
        total = total + F._place(F.select(g, dim=-1, index=i), size=x_shape, index=index)
    return total


linear("unfold", _unfold, transpose=_refold, view=True, methods=("unfold",), samples=_samples(
    {"dimension": 2, "size": 2, "step": 1}, {"dimension": 1, "size": 2, "step": 3}))  # fmt: skip


# several parts ------------------------------------------------------------------------------------
def _unbind(_xp: Any, x: Any, *, dim: int = 0) -> Any:
    return tuple(x[_at(x.ndim, dim, i)] for i in range(x.shape[axis(dim, x.ndim)]))


def _split_sizes(_xp: Any, x: Any, *, split_sizes: Sequence[int], dim: int = 0) -> Any:
    n = x.shape[axis(dim, x.ndim)]
    if sum(split_sizes) != n:
        raise RuntimeError(f"split into {list(split_sizes)} does not fill a dimension of size {n}")
    ends = [sum(split_sizes[: i + 1]) for i in range(len(split_sizes))]
    return tuple(
        x[_at(x.ndim, dim, slice(e - s, e))] for e, s in zip(ends, split_sizes, strict=True)
    )


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
    size = max(-(-x.shape[axis(dim, x.ndim)] // chunks), 1)
    return F.split(x, split_size_or_sections=size, dim=dim)


linear("unbind", _unbind, outputs=("*ys",), view=True, samples=_samples({}, {"dim": -1}),
       transpose=lambda F, g, dim: F.stack(*g, dim=dim))  # fmt: skip
for _name, _node in (
    ("split_with_sizes", "SplitWithSizesBackward0"),
    ("_split_equal", "SplitBackward0"),
):
    linear(_name, _split_sizes, outputs=("*ys",), view=True, node=_node,
           transpose=lambda F, g, dim: F.cat(*g, dim=dim),
           samples=_samples({"split_sizes": (1, 2), "dim": 1}))  # fmt: skip
composite("split", _split, samples=_samples(
    {"split_size_or_sections": 2, "dim": 2}, {"split_size_or_sections": (1, 3), "dim": 2})
    )  # fmt: skip
composite("chunk", _chunk, samples=_samples({"chunks": 2, "dim": 1}))


# diagonals ----------------------------------------------------------------------------------------
def _diagonal(xp: Any, x: Any, *, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    a, b = axis(dim1, x.ndim), axis(dim2, x.ndim)
    if a == b:
        raise RuntimeError(f"diagonal needs two dimensions, got {dim1} and {dim2}")
    others = [d for d in range(x.ndim) if d not in (a, b)]
    return xp.matrix_diagonal(xp.permute_dims(x, (*others, a, b)), offset)


def _undiagonal(xp: Any, g: Any, *, size: Sequence[int], offset: int, dim1: int, dim2: int) -> Any:
    a, b = axis(dim1, len(size)), axis(dim2, len(size))
    order = (*(d for d in range(len(size)) if d not in (a, b)), a, b)
    out = xp.zeros(tuple(size), dtype=g.dtype, device=g.device)
    n = g.shape[-1]
    i = xp.arange(n, device=g.device)
    xp.permute_dims(out, order)[..., i + max(-offset, 0), i + max(offset, 0)] = g
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
            f"diag needs 1 or 2 dimensions, got {x.ndim}; use diagonal or diag_embed"
        )
    if x.ndim == 1:
        return F.diag_embed(x, offset=diagonal)
    return F.clone(F.diagonal(x, offset=diagonal))


linear("diagonal", _diagonal, view=True, samples=_samples({}, {"offset": 1, "dim1": -1, "dim2": 0}),
       transpose=lambda F, g, x_shape, offset, dim1, dim2: F._undiagonal(
           g, size=x_shape, offset=offset, dim1=dim1, dim2=dim2))  # fmt: skip
linear("_undiagonal", _undiagonal, transpose=lambda F, g, offset, dim1, dim2: F.diagonal(
    g, offset=offset, dim1=dim1, dim2=dim2))  # fmt: skip
composite("diag_embed", _diag_embed, samples=_samples({}, {"offset": -1}, shape=(2, 3)))
composite("diag", _diag, samples=[(((3,),), {}), (((2, 3),), {"diagonal": 1})])
composite("broadcast_tensors", _broadcast_tensors, methods=())
