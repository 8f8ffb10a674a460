"""Shapes and views."""

from __future__ import annotations

from typing import Any

from reference_engine.ops.opdef import composite, linear

linear(
    "view",
    lambda xp, x, *, shape: xp.view(x, inferred(x.shape, shape)),
    transpose=lambda F, g, x_shape: F.reshape(g, shape=x_shape),
    view=True,
    order=("x", "*shape"),
)
linear(
    "expand",
    lambda xp, x, *, size: xp.expand(x, kept(x.shape, size)),
    transpose=lambda F, g, x_shape: F.sum_to_size(g, size=x_shape),
    view=True,
    order=("x", "*size"),
)
linear(
    "sum_to_size",
    lambda xp, x, *, size: xp.sum_to_size(x, size),
    transpose=lambda F, g, x_shape: F.expand(g, size=x_shape),
    order=("x", "*size"),
)
linear("clone", lambda xp, x: xp.copy(x), transpose=lambda F, g: g)
linear(
    "_to_copy",
    lambda xp, x, *, dtype: xp.cast(x, dtype) if xp.dtype_of(x) is not dtype else xp.copy(x),
    transpose=lambda F, g, x_dtype: F._to_copy(g, dtype=x_dtype),
    node="ToCopyBackward0",
)


def inferred(shape: tuple[int, ...], wanted: Any) -> tuple[int, ...]:
    """``wanted`` with its -1 replaced by what the number of elements leaves."""
    sizes = (wanted,) if isinstance(wanted, int) else tuple(wanted)
    if -1 not in sizes:
        return sizes
    total, known = 1, 1
    for n in shape:
        total *= n
    for n in sizes:
        known *= n if n != -1 else 1
    if sizes.count(-1) > 1 or known == 0 or total % known:
        raise RuntimeError(f"shape {list(sizes)} does not fit an input of shape {list(shape)}")
    return tuple(total // known if n == -1 else n for n in sizes)


def kept(shape: tuple[int, ...], wanted: Any) -> tuple[int, ...]:
    """``wanted`` with -1 replaced by the dimension it stands over."""
    lead = len(wanted) - len(shape)
    return tuple(shape[i - lead] if n == -1 else n for i, n in enumerate(wanted))


def _reshape(F: Any, x: Any, *, shape: Any) -> Any:
    try:
        return F.view(x, shape=inferred(tuple(x.shape), shape))
    except RuntimeError:
        return F.view(F.clone(x), shape=inferred(tuple(x.shape), shape))


composite("reshape", _reshape, order=("x", "*shape"))
