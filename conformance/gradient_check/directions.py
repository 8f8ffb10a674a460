"""Directions and cotangents: seeded, signed, and of few bits, so that steps are exact."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from conformance.observation import Array


EXPONENT = 0x7FF0000000000000
"""The bits of a float64 that hold its exponent."""
POOL = 1 << 17
"""Length of the sequence from which directions are taken."""


def scales(point: Array, parts: list[slice]) -> Array:
    """Return a step scale per element: the power of two at or below its size.

    A relative step neither crosses zero, where so many functions have a kink or an edge, nor is
    lost in the element's roundoff. A zero moves as the largest of its tensor does, and a zero among
    zeros by one.
    """
    magnitude = np.abs(point)
    for part in parts:
        own = magnitude[part]
        if own.size == 0:
            continue
        largest = float(np.maximum.reduce(own))
        if not largest < np.inf:
            largest = float(np.max(own, initial=0.0, where=np.isfinite(own)))
        if np.count_nonzero(own) < own.size:
            own[own == 0.0] = largest or 1.0
    scale: Array = (magnitude.view(np.int64) & EXPONENT).view(np.float64)
    return scale


def signed(random: np.random.Generator, size: int) -> Array:
    """Return ±(1 + k/64), k below 64: no two errors cancel, and few bits in every float format.

    A stretch of one fixed sequence from a drawn place on, read-only; longer ones are drawn anew.
    """
    if size > POOL // 2:
        return _drawn(random, size)
    start = int(random.random() * (POOL - size))
    return _pool()[start : start + size]


def jitter(random: np.random.Generator, size: int) -> Array:
    """Return factors within 2^-5 of one, all different, likewise taken from one sequence."""
    if size > POOL // 2:
        return 1.0 + (random.random(size) - 0.5) * 2.0**-4
    start = int(random.random() * (POOL - size))
    return _factors()[start : start + size]


def _drawn(random: np.random.Generator, size: int) -> Array:
    drawn = random.integers(0, 128, size)
    values: Array = (1.0 + (drawn >> 1) / 64.0) * np.where(drawn & 1, 1.0, -1.0)
    return values


@cache
def _pool() -> Array:
    values = _drawn(np.random.default_rng(POOL), POOL)
    values.flags.writeable = False
    return values


@cache
def _factors() -> Array:
    values = 1.0 + (np.random.default_rng(POOL + 1).random(POOL) - 0.5) * 2.0**-4
    values.flags.writeable = False
    return values
