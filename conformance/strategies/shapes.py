"""Shapes of generated tensors: few and small, for engines that compile for each shape."""

from __future__ import annotations

import math
from functools import lru_cache

from conformance.program import Literal

Shape = tuple[int, ...]

SHAPES: tuple[Shape, ...] = ((), (3,), (2, 3), (2, 2), (1,), (3, 1), (2, 1, 3), (4,))
"""Shapes of leaves, simplest first."""
ARRAYS: tuple[Shape, ...] = tuple(shape for shape in SHAPES if math.prod(shape) > 1)
"""Those of more than one element."""
MOST_ELEMENTS = 48
"""A result that would be larger is not made."""


@lru_cache(maxsize=4096)
def broadcast(a: Shape, b: Shape) -> Shape | None:
    """Return the shape that both broadcast to, or None where they do not fit."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    result = list(longer)
    for axis, size in enumerate(shorter, start=len(longer) - len(shorter)):
        if result[axis] == 1:
            result[axis] = size
        elif size not in (1, result[axis]):
            return None
    return tuple(result)


@lru_cache(maxsize=512)
def variants(shape: Shape) -> tuple[Shape, ...]:
    """Return shapes that broadcast to `shape`: it, with size-1 axes, without leading axes."""
    found = [shape]
    for axis in range(len(shape)):
        found.append((*shape[:axis], 1, *shape[axis + 1 :]))
        found.append(shape[axis + 1 :])
    return tuple(dict.fromkeys(found))


def filled(shape: Shape, number: float) -> Literal:
    """Return the literal of an array that is full of one number."""
    if not shape:
        return number
    return tuple(filled(shape[1:], number) for _ in range(shape[0]))
