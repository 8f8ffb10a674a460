"""The arrays that the leaves of a program start from: its literals, or seeded numbers.

Seeded numbers are decoded by SplitMix64 (Steele, Lea, Flood 2014,
https://doi.org/10.1145/2660193.2660195) applied to a counter, in integer arithmetic: they depend on
the seed alone, not on a NumPy version.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from conformance.errors import InvalidProgram
from conformance.observation import Array
from conformance.program import Param, Step

GRID = 64
"""Seeded numbers are multiples of 1/GRID: exact from float16 on, and so are their small sums."""
LOW, HIGH = -2.0, 2.0
"""The default range of seeded numbers."""

_WEYL = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def dtype_named(name: str) -> np.dtype[np.generic]:
    """Return the NumPy dtype of that name, `bfloat16` and the float8 family included.

    Raises `InvalidProgram` where there is none.
    """
    try:
        found: np.dtype[np.generic] = np.dtype(name)
        return found
    except TypeError:
        import ml_dtypes  # only on demand: NumPy alone has the usual dtypes

        extension = getattr(ml_dtypes, name, None)
        if extension is None:
            raise InvalidProgram(
                f"dtype {name!r} is unknown; expected a name such as float32, complex64 or int64"
            ) from None
        registered: np.dtype[np.generic] = np.dtype(extension)
        return registered


def leaf_array(step: Step, dtype: str) -> Array:
    """Return a fresh array for a `leaf` step; `dtype` is used where the step names none.

    A literal has the shape that its nesting says; seeded numbers have `shape` and lie in
    [`low`, `high`]. Raises `InvalidProgram` for a ragged literal or an unusable parameter.
    """
    named = step.param("dtype")
    target = dtype_named(dtype if named is None else str(named))
    value = step.param("value")
    if value is None:
        return _seeded(step, target)
    return literal_array(value, target)


def literal_array(value: Param, dtype: npt.DTypeLike | None = None) -> Array:
    """Return a literal as a fresh array, a complex one in a complex dtype whatever `dtype` is.

    Raises `InvalidProgram` where the nesting is ragged or holds something else than numbers.
    """
    try:
        plain = np.array(value)
        if plain.dtype.kind not in "biufc":
            raise ValueError(f"its items are of type {plain.dtype}")
        if dtype is None or (plain.dtype.kind == "c" and np.dtype(dtype).kind != "c"):
            return plain
        return plain.astype(dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidProgram(
            f"the literal {value!r} is not an array of numbers ({error}); give nested lists of"
            " equal lengths"
        ) from error


def counter_words(seed: int, count: int, stream: int = 0) -> npt.NDArray[np.uint64]:
    """Return `count` 64-bit words, a function of `seed` and `stream` alone (SplitMix64)."""
    start = np.uint64((seed * 0xD1342543DE82EF95 + stream * 0x2545F4914F6CDD1D) & _MASK)
    with np.errstate(over="ignore"):
        z = start + _WEYL * np.arange(1, count + 1, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        words: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return words


def _seeded(step: Step, dtype: np.dtype[np.generic]) -> Array:
    seed, low, high = step.param("seed", 0), step.param("low", LOW), step.param("high", HIGH)
    if (
        not isinstance(seed, int)
        or not isinstance(low, (int, float))
        or not isinstance(high, (int, float))
        or not (math.isfinite(low) and math.isfinite(high) and low <= high)
    ):
        raise InvalidProgram(
            f"leaf: seed={seed!r}, low={low!r}, high={high!r}; expected an integer and a finite"
            " range with low <= high"
        )
    numbers: Array = _grid_numbers(_shape(step.param("shape")), seed, low, high, dtype).copy()
    return numbers


@lru_cache(maxsize=1024)  # an oracle runs the same program again; the generator costs 30 µs
def _grid_numbers(
    shape: tuple[int, ...], seed: int, low: float, high: float, dtype: np.dtype[np.generic]
) -> Array:
    grid = 1 if dtype.kind in "biu" else GRID
    first, last = math.ceil(low * grid), math.floor(high * grid)
    if last < first:
        raise InvalidProgram(f"leaf: no multiple of 1/{grid} lies in [{low}, {high}]; widen it")
    count = math.prod(shape)
    steps = _steps(seed, count, first, last, 0)
    if dtype.kind == "b":
        odd: Array = (steps % 2 == 1).reshape(shape)
        return odd
    values: Array = steps / grid if grid > 1 else steps
    if dtype.kind == "c":
        values = values + 1j * (_steps(seed, count, first, last, 1) / grid)
    array: Array = values.astype(dtype).reshape(shape)
    return array


def _steps(seed: int, count: int, first: int, last: int, stream: int) -> npt.NDArray[np.int64]:
    words = counter_words(seed, count, stream) % np.uint64(last - first + 1)
    steps: npt.NDArray[np.int64] = words.astype(np.int64) + first
    return steps


def _shape(value: Param) -> tuple[int, ...]:
    sizes = value if isinstance(value, tuple) else (value,)
    found = tuple(size for size in sizes if isinstance(size, int) and size >= 0)
    if len(found) != len(sizes):
        raise InvalidProgram(f"leaf: shape {value!r}; expected a list of sizes of zero or more")
    return found
