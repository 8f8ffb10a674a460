"""Copies in another arrangement: joined, repeated, shifted, turned round, cut to a triangle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reference_engine.ops.dims import axes, axis
from reference_engine.ops.opdef import Sample, composite, linear

_CUBE: list[Sample] = [(((2, 3, 4),), {})]


def _samples(*params: dict[str, Any], shape: tuple[int, ...] = (2, 3)) -> list[Sample]:
    return [((shape,), p) for p in params]


# joining ------------------------------------------------------------------------------------------
def _cat(xp: Any, *xs: Any, dim: int = 0) -> Any:
    if not xs:
        raise RuntimeError("cat needs at least one tensor, got none")
    # an empty 1-d tensor joins anything: PyTorch's legacy
    real = [x for x in xs if x.shape != (0,)] or list(xs[:1])
    where = axis(dim, real[0].ndim)
    for x in real:
        if x.ndim != real[0].ndim or any(
            a != b
            for d, (a, b) in enumerate(zip(x.shape, real[0].shape, strict=True))
            if d != where
        ):
            raise RuntimeError(
                f"cat along dim {dim} needs equal other sizes, got shapes "
                f"{[tuple(x.shape) for x in real]}"
            )
    return xp.concat(real, axis=where)


def _cut(F: Any, g: Any, xs_shape: Sequence[Sequence[int]], dim: int) -> list[Any]:
    where, start, parts = axis(dim, g.ndim), 0, []
    for shape in xs_shape:
        length = 0 if tuple(shape) == (0,) else shape[where]
        part = F.narrow(g, dim=where, start=start, length=length)
        parts.append(F.reshape(part, shape=(0,)) if tuple(shape) == (0,) else part)
        start += length
    return parts


def _stack(xp: Any, *xs: Any, dim: int = 0) -> Any:
    if not xs or any(x.shape != xs[0].shape for x in xs):
        raise RuntimeError(f"stack needs tensors of one shape, got {[tuple(x.shape) for x in xs]}")
    return xp.stack(xs, axis=axis(dim, xs[0].ndim + 1))


linear("cat", _cat, transpose=_cut, promotion="promote", methods=(),
       aliases=("concat", "concatenate"),
       samples=[(((2, 3), (1, 3)), {}), (((2, 1), (2, 2), (2, 3)), {"dim": -1})])  # fmt: skip
linear("stack", _stack, transpose=lambda F, g, dim: F.unbind(g, dim=dim), promotion="promote",
       methods=(), samples=[(((2, 3), (2, 3)), {}), (((3,), (3,)), {"dim": -1})])  # fmt: skip


# repeating ----------------------------------------------------------------------------------------
def _repeat(xp: Any, x: Any, *, repeats: Sequence[int]) -> Any:
    if len(repeats) < x.ndim:
        raise RuntimeError(f"repeat of {x.ndim} dimensions got only {len(repeats)} numbers")
    return xp.tile(x, tuple(repeats))


def _unrepeat(F: Any, g: Any, x_shape: Sequence[int], repeats: Sequence[int]) -> Any:
    shape = (1,) * (len(repeats) - len(x_shape)) + tuple(x_shape)
    pairs = [n for pair in zip(repeats, shape, strict=True) for n in pair]
    if not pairs:
        return g
    summed = F.sum(F.reshape(g, shape=tuple(pairs)), dim=tuple(range(0, len(pairs), 2)))
    return F.reshape(summed, shape=x_shape)


def _tile(F: Any, x: Any, dims: Sequence[int]) -> Any:
    return F.repeat(x, repeats=(*(1,) * (x.ndim - len(dims)), *dims))


linear("repeat", _repeat, transpose=_unrepeat, order=("x", "*repeats"), methods=("repeat",),
       samples=_samples({"repeats": (2, 2)}, {"repeats": (2, 1, 3)}))  # fmt: skip
composite("tile", _tile, order=("x", "*dims"), samples=_samples({"dims": (2,)}))


# turning ------------------------------------------------------------------------------------------
def _flip(xp: Any, x: Any, *, dims: int | Sequence[int]) -> Any:
    # torch has no negative strides: a copy on both backends
    where = axes(dims, x.ndim) if dims != () else ()
    return xp.copy(xp.flip(x, axis=where))


def _roll(
    xp: Any, x: Any, *, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None
) -> Any:
    if dims is None or dims == ():
        return xp.reshape(xp.roll(xp.reshape(x, (-1,)), shifts, axis=0), tuple(x.shape))
    if isinstance(dims, int):
        return xp.roll(x, shifts, axis=dims)
    return xp.roll(x, (shifts,) if isinstance(shifts, int) else tuple(shifts), axis=tuple(dims))


def _backwards(shifts: int | Sequence[int]) -> int | tuple[int, ...]:
    return -shifts if isinstance(shifts, int) else tuple(-s for s in shifts)


linear("flip", _flip, transpose=lambda F, g, dims: F.flip(g, dims=dims), order=("x", "*dims"),
       samples=_samples({"dims": (0, 1)}, {"dims": (-1,)}))  # fmt: skip
linear("roll", _roll,
       transpose=lambda F, g, shifts, dims: F.roll(g, shifts=_backwards(shifts), dims=dims),
       samples=_samples({"shifts": 2}, {"shifts": (1, -1), "dims": (0, 1)}))  # fmt: skip
linear("tril", lambda xp, x, *, diagonal=0: xp.tril(x, k=diagonal), inplace=True,
       transpose=lambda F, g, diagonal: F.tril(g, diagonal=diagonal),
       samples=_samples({}, {"diagonal": 1}, {"diagonal": -1}))  # fmt: skip
linear("triu", lambda xp, x, *, diagonal=0: xp.triu(x, k=diagonal), inplace=True,
       transpose=lambda F, g, diagonal: F.triu(g, diagonal=diagonal),
       samples=_samples({}, {"diagonal": 1}, {"diagonal": -1}))  # fmt: skip
