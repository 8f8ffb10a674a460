"""Directions and cotangents: seeded, signed, and of few bits, so that steps along them are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from conformance.observation import Array

FLOOR = 2.0**-10
"""Fraction of a tensor's typical magnitude below which an element's own size is no guide."""


def scales(point: Array, parts: list[slice]) -> Array:
    """Return a step scale per element: the power of two at or below its size.

    A relative step neither crosses zero, where so many functions have a kink or an edge, nor is
    lost in the element's roundoff. An element much smaller than the others of its tensor (see
    FLOOR) moves by that fraction of their size, and a zero among zeros by one.
    """
    magnitude = np.abs(point)
    for part in parts:
        own = magnitude[part]
        if own.size == 0:
            continue
        finite = own[np.isfinite(own)]
        typical = float(np.sqrt(np.mean(np.minimum(finite, 1e150) ** 2))) if finite.size else 0.0
        if typical == 0.0:
            own[:] = np.where(own > 0, own, 1.0)
        else:
            np.copyto(own, typical, where=own == 0)
            np.maximum(own, FLOOR * typical, out=own)
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(magnitude)
    scale: Array = np.ldexp(1.0, exponent - 1)
    return scale


def signed(random: np.random.Generator, size: int) -> Array:
    """Return ±(1 + k/64), k below 64: no two errors cancel, and few bits in every float format."""
    drawn = random.integers(0, 128, size)
    values: Array = (1.0 + (drawn >> 1) / 64.0) * np.where(drawn & 1, 1.0, -1.0)
    return values
