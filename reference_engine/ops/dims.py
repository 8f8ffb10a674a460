"""Dimensions as PyTorch counts them: negative ones from the end, and a 0-d tensor has one of size
1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

#: one dimension, several, or None for all
Dims: TypeAlias = "int | Sequence[int] | None"


def axis(dim: int, ndim: int) -> int:
    """``dim`` counted from the front; IndexError when there is no such dimension."""
    if 0 <= dim < ndim:  # nearly always
        return dim
    low, high = -max(ndim, 1), max(ndim, 1) - 1
    if not low <= dim <= high:
        raise IndexError(
            f"dim {dim} is out of range; a {ndim}-dimensional tensor has {low} to {high}"
        )
    return dim % max(ndim, 1)


def axes(dim: Dims, ndim: int) -> tuple[int, ...]:
    """The dimensions that a reduction over ``dim`` takes away, in order; none of a 0-d tensor.

    None and the empty sequence mean all. RuntimeError for a dimension given twice.
    """
    if dim is None:
        return tuple(range(ndim))
    given = (dim,) if isinstance(dim, int) else tuple(dim)
    found = {axis(d, ndim) for d in given}
    if len(found) != len(given):
        raise RuntimeError(f"dim {given} names a dimension twice")
    return tuple(sorted(found) if found and ndim else range(ndim))


def count(shape: Sequence[int], dim: Dims) -> int:
    """How many elements a reduction over ``dim`` brings together."""
    return prod([shape[d] for d in axes(dim, len(shape))])


def restore(F: Any, reduced: Any, shape: Sequence[int], dim: Dims, keepdim: bool = False) -> Any:
    """A reduction's result, or its cotangent, with the dimensions back as 1, to broadcast against
    ``shape``.
    """
    if keepdim:
        return reduced
    gone = axes(dim, len(shape))
    return F.reshape(reduced, shape=tuple([1 if d in gone else n for d, n in enumerate(shape)]))


def at(ndim: int, dim: int, index: Any) -> tuple[Any, ...]:
    """The index for one dimension; its ``...`` keeps what NumPy would make a scalar an array."""
    return (*(slice(None),) * axis(dim, ndim), index, ...)


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape to which all of them broadcast; RuntimeError when there is none."""
    try:
        return np.broadcast_shapes(*map(tuple, shapes))
    except ValueError:
        given = ", ".join(map(str, map(tuple, shapes)))
        raise RuntimeError(f"shapes {given} do not broadcast") from None
