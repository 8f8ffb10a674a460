"""Copies in another arrangement: joined, repeated, shifted, turned round, cut to a triangle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reference_engine.ops.dims import axes, axis
from reference_engine.ops.opdef import composite, linear, on

# rows are laid out by hand
# fmt: off


# joining ------------------------------------------------------------------------------------------
def _cat(xp: Any, *xs: Any, dim: int = 0) -> Any:
    if not xs:
        raise RuntimeError("cat needs at least one tensor, got none")
    # an empty 1-d tensor joins anything: PyTorch's legacy
    real = [x for x in xs if x.shape != (0,)] or list(xs[:1])
    where = axis(dim, real[0].ndim)
    if len({(*x.shape[:where], -1, *x.shape[where + 1 :]) for x in real}) > 1:
        shapes = [tuple(x.shape) for x in real]
        raise RuntimeError(f"cat along dim {dim} needs equal other sizes, got shapes {shapes}")
    return xp.concat(real, axis=where)


def _cut(F: Any, g: Any, xs_shape: Sequence[Sequence[int]], dim: int) -> list[Any]:
    where, start, parts = axis(dim, g.ndim), 0, []
    for shape in xs_shape:
        length = 0 if tuple(shape) == (0,) else shape[where]
        part = F.narrow(g, where, start, length)
        parts.append(F.reshape(part, (0,)) if tuple(shape) == (0,) else part)
        start += length
    return parts


def _stack(xp: Any, *xs: Any, dim: int = 0) -> Any:
    if len({tuple(x.shape) for x in xs}) != 1:
        raise RuntimeError(f"stack needs tensors of one shape, got {[tuple(x.shape) for x in xs]}")
    return xp.stack(xs, axis=axis(dim, xs[0].ndim + 1))


linear("cat", _cat, transpose=_cut, promotion="promote", methods=(),
       aliases=("concat", "concatenate"),
       samples=[on((2, 3), (1, 3)), on((2, 1), (2, 2), (2, 3), dim=-1)])
linear("stack", _stack, transpose=lambda F, g, dim: F.unbind(g, dim=dim), promotion="promote",
       methods=(), samples=[on((2, 3), (2, 3)), on((3,), (3,), dim=-1)])


# repeating ----------------------------------------------------------------------------------------
def _repeat(xp: Any, x: Any, *, repeats: Sequence[int]) -> Any:
    if len(repeats) < x.ndim:
        raise RuntimeError(f"repeat of {x.ndim} dimensions got only {len(repeats)} numbers")
    return xp.tile(x, tuple(repeats))


def _unrepeat(F: Any, g: Any, x_shape: Sequence[int], repeats: Sequence[int]) -> Any:
    shape = (1,) * (len(repeats) - len(x_shape)) + tuple(x_shape)
    pairs = tuple(n for pair in zip(repeats, shape, strict=True) for n in pair)
    summed = F.sum(F.reshape(g, pairs), dim=tuple(range(0, len(pairs), 2))) if pairs else g
    return F.reshape(summed, x_shape)


linear("repeat", _repeat, transpose=_unrepeat, order=("x", "*repeats"), methods=("repeat",),
       samples=[on((2, 3), repeats=(2, 2)), on((2, 3), repeats=(2, 1, 3))])
composite("tile", lambda F, x, dims: F.repeat(
    x, repeats=(*(1,) * (x.ndim - len(dims)), *dims)), order=("x", "*dims"),
    samples=[on((2, 3), dims=(2,))])


# turning ------------------------------------------------------------------------------------------
def _flip(xp: Any, x: Any, *, dims: int | Sequence[int]) -> Any:
    # torch has no negative strides: a copy on both backends
    return xp.copy(xp.flip(x, axis=axes(dims, x.ndim) if dims != () else ()))


def _roll(xp: Any, x: Any, *, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None
          ) -> Any:
    if dims is None or dims == ():
        return xp.reshape(xp.roll(xp.reshape(x, (-1,)), shifts, axis=0), tuple(x.shape))
    shifts, dims = ((n,) if isinstance(n, int) else tuple(n) for n in (shifts, dims))
    return xp.roll(x, shifts, axis=dims)


linear("flip", _flip, transpose=lambda F, g, dims: F.flip(g, dims=dims), order=("x", "*dims"),
       samples=[on((2, 3), dims=(0, 1)), on((2, 3), dims=(-1,))])
linear("roll", _roll, transpose=lambda F, g, shifts, dims: F.roll(
           g, dims=dims, shifts=-shifts if isinstance(shifts, int) else tuple(-s for s in shifts)),
       samples=[on((2, 3), shifts=2), on((2, 3), shifts=(1, -1), dims=(0, 1))])
_TRIANGLE: dict[str, Any] = {
    "inplace": True, "samples": [on((2, 3)), on((2, 3), diagonal=1), on((2, 3), diagonal=-1)]}
linear("tril", lambda xp, x, *, diagonal=0: xp.tril(x, k=diagonal),
       transpose=lambda F, g, diagonal: F.tril(g, diagonal=diagonal), **_TRIANGLE)
linear("triu", lambda xp, x, *, diagonal=0: xp.triu(x, k=diagonal),
       transpose=lambda F, g, diagonal: F.triu(g, diagonal=diagonal), **_TRIANGLE)
