"""What is asked of whole vectors, long ones piece by piece: a piece stays in a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from conformance.observation import Array

CACHED = 1 << 13
"""Numbers of a long vector that are worked on at a time: too few for BLAS to wake its threads."""

BRIEF = 1 << 12
"""Length up to which vectors are compared as bytes first."""


def product(one: Array, other: Array) -> float:
    """Return Σ one·other."""
    if one.size <= CACHED:
        return float(one.dot(other))
    total = 0.0
    for begin in range(0, one.size, CACHED):
        part = slice(begin, begin + CACHED)
        total += float(one[part].dot(other[part]))
    return total


def product_of_sizes(one: Array, other: Array) -> float:
    """Return Σ |one|·|other|."""
    total = 0.0
    for begin in range(0, one.size, CACHED):
        part = slice(begin, begin + CACHED)
        total += float(np.abs(one[part]).dot(np.abs(other[part])))
    return total


def finite(array: Array) -> bool:
    """Tell whether all numbers of a vector are finite; one sum tells where none is huge."""
    total = float(array.dot(array) if array.size <= CACHED else np.add.reduce(array))
    return total - total == 0.0 or bool(np.isfinite(array).all())


def equal(one: Array, other: Array) -> bool:
    """Tell whether two vectors are the same, number by number, NaN where NaN is."""
    if one.size <= BRIEF and one.tobytes() == other.tobytes():
        return True
    if one.size != other.size:
        return False
    for begin in range(0, one.size, CACHED):
        part = slice(begin, begin + CACHED)
        same = one[part] == other[part]
        if np.count_nonzero(same) < same.size:
            return np.array_equal(one, other, equal_nan=True)
    return True
