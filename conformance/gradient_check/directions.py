"""Directions and cotangents: seeded, signed, and of few bits, so that steps are exact."""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from conformance.observation import Array


EXPONENT = np.int64(0x7FF0000000000000)
"""The bits of a float64 that hold its exponent."""
DIGITS = 0.7390851332151607
"""A factor without trailing zeros: a gradient that was rounded on its way shows."""
WORD = (1 << 32) - 1
POOL = 1 << 17
"""Length of the sequence from which directions are taken."""
REPEATED = POOL // 2
"""Length beyond which a stretch of it is repeated."""


class Draws:
    """Random places in the fixed sequences, and a generator for what is drawn otherwise.

    The places come from a congruential generator with a multiplier of Steele and Vigna (2022,
    https://doi.org/10.1002/spe.3030): a NumPy generator takes longer to make than a small function
    to check, so that there is one only where it is asked for.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._state = (seed * 0x9E3779B9) & WORD

    @cached_property
    def generator(self) -> np.random.Generator:
        """NumPy's generator of the same seed."""
        return np.random.default_rng(self._seed)

    def stretch(self, sequence: Array, size: int) -> Array:
        """Return that many numbers of a sequence of POOL, from a drawn place on.

        Beyond REPEATED, what is to be repeated: one less, so that repetitions of an odd length do
        not line up with dimensions.
        """
        self._state = drawn = (self._state * 0x915F77F5 + 0x9E3779B9) & WORD
        if size > REPEATED:
            start, size = (drawn * REPEATED) >> 32, REPEATED - 1
        else:
            start = (drawn * (POOL - size)) >> 32
        return sequence[start : start + size]


def scales(point: Array, parts: list[slice]) -> Array:
    """Return a step scale per element: the power of two at or below its size.

    A relative step neither crosses zero, where so many functions have a kink or an edge, nor is
    lost in the element's roundoff. A zero moves as the largest of its tensor does, and a zero among
    zeros by one.
    """
    if np.count_nonzero(point) < point.size:
        point = np.abs(point)
        for part in parts:
            own = point[part]
            largest = float(np.max(own, initial=0.0, where=np.isfinite(own)))
            own[own == 0.0] = largest or 1.0
    scale: Array = (point.view(np.int64) & EXPONENT).view(np.float64)
    return scale


def along(random: Draws, scale: Array, gradient: Array) -> Array:
    """Return a random direction in proportion to a scale per element.

    Its signs are the gradient's, random where that is zero: terms of one sign do not cancel, so
    that an error in proportion to the gradient shows at its full size. Beyond REPEATED numbers, the
    scale may be the point itself where that has no zeros.
    """
    if scale.size > REPEATED:
        return _along_many(random, scale, gradient)
    drawn = signed(random, scale.size) * scale
    if np.count_nonzero(gradient) < gradient.size:
        np.copysign(drawn, gradient, out=drawn, where=gradient != 0)
    else:
        np.copysign(drawn, gradient, out=drawn)
    return drawn


def _along_many(random: Draws, scale: Array, gradient: Array) -> Array:
    """Return what `along` does, stretch by stretch: each stays in a cache."""
    piece = random.stretch(_pool(), scale.size)
    drawn, powers = np.empty_like(scale), np.empty(piece.size, np.int64)
    for begin in range(0, scale.size, piece.size):
        part = slice(begin, begin + piece.size)
        out, signs = drawn[part], gradient[part]
        own = np.bitwise_and(scale[part].view(np.int64), EXPONENT, out=powers[: out.size])
        np.multiply(piece[: out.size], own.view(np.float64), out=out)
        np.copysign(out, signs, out=out, where=signs != 0)
    return drawn


def signed(random: Draws, size: int, digits: bool = False) -> Array:
    """Return ±(1 + k/64), k below 64: no two errors cancel, and few bits in every float format.

    A stretch of one fixed sequence from a drawn place on, repeated where that is too short. digits:
    times DIGITS, for all the digits that double precision has.
    """
    found = random.stretch(_digits() if digits else _pool(), size)
    return found if found.size == size else np.resize(found, size)


def ones(size: int) -> Array:
    """Return that many ones, to read only: numbers that all share, up to a length."""
    return _ones()[:size] if size <= POOL else np.ones(size)


def jitter(random: Draws, size: int) -> Array:
    """Return factors within 2^-5 of one, all different, likewise taken from one sequence."""
    found = random.stretch(_factors(), size)
    return found if found.size == size else np.resize(found, size)


@cache
def _pool() -> Array:
    drawn = np.random.default_rng(POOL).integers(0, 128, POOL)
    values: Array = (1.0 + (drawn >> 1) / 64.0) * np.where(drawn & 1, 1.0, -1.0)
    values.flags.writeable = False
    return values


@cache
def _digits() -> Array:
    values: Array = _pool() * DIGITS
    values.flags.writeable = False
    return values


@cache
def _ones() -> Array:
    values = np.ones(POOL)
    values.flags.writeable = False
    return values


@cache
def _factors() -> Array:
    values = 1.0 + (np.random.default_rng(POOL + 1).random(POOL) - 0.5) * 2.0**-4
    values.flags.writeable = False
    return values
