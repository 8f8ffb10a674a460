"""Comparing arrays: shape, dtype, values within an allowance; the worst difference in words."""

from __future__ import annotations

import numpy as np

from conformance.compare.difference import Difference
from conformance.compare.tolerance import complex_name, is_inexact, real_name
from conformance.observation import Array, describe


def shape_difference(observed: Array, expected: Array) -> Difference | None:
    """Return the difference of the shapes, or None."""
    if observed.shape == expected.shape:
        return None
    return Difference(
        "shape",
        f"{_shape(expected)} {describe(expected)}",
        f"{_shape(observed)} {describe(observed)}",
        f"the shape is {_shape(observed)}; expected {_shape(expected)}",
    )


def dtype_difference(observed: Array, expected: str) -> Difference | None:
    """Return the difference from the dtype named `expected`, or None.

    Integer dtypes of any width are one: engines differ in their default integer.
    """
    found = observed.dtype.name
    kinds = {observed.dtype.kind, _kind(expected)}
    if found == expected or kinds <= {"i", "u"}:
        return None
    words = f"the dtype is {found}; expected {expected}"
    if (found, expected) == ("float32", "float64"):
        words += " (an adapter of what computes in float32 names it first in `dtypes`)"
    return Difference("dtype", expected, found, words)


def value_difference(observed: Array, expected: Array, allowed: Array) -> Difference | None:
    """Return the worst difference of two arrays of one shape that exceeds `allowed`, or None.

    NaN equals NaN, an infinity equals the infinity of its sign; complex numbers are compared by
    modulus where finite, else part by part.
    """
    with np.errstate(all="ignore"):
        if not (is_inexact(observed.dtype) or is_inexact(expected.dtype)):
            return _exact_difference(observed, expected)
        got, want = widened(observed), widened(expected)
        finite = np.isfinite(got) & np.isfinite(want)
        strange = ~finite & ~_same_nonfinite(got, want)
        if strange.any():
            index = _first(strange)
            return _at("nonfinite", index, got, want, "")
        excess = np.where(finite, np.abs(got - want) - allowed, -1.0)
        if excess.size == 0 or not (excess > 0).any():
            return None
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), excess.shape))
        error, limit = float(np.abs(got[index] - want[index])), float(allowed[index])
        return _at("value", index, got, want, f" (error {error:.3g}, allowed {limit:.3g})")


def widened(array: Array) -> Array:
    """Return the array in float64 or complex128, in which all comparison is done."""
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    return array.astype(np.float64)


def expected_dtype(oracle: Array, dtype: str) -> str:
    """Return the dtype that a float64 run's result has in a run in `dtype`."""
    if oracle.dtype.kind == "c":
        return complex_name(dtype)
    if is_inexact(oracle.dtype):
        return real_name(dtype)
    return str(oracle.dtype.name)


def saturated(expected: Array, dtype_max: float) -> Array:
    """Return `expected` with what overflows a dtype of that maximum replaced by infinity."""
    if expected.dtype.kind == "c":
        return expected
    with np.errstate(all="ignore"):
        return np.where(np.abs(expected) > dtype_max, np.sign(expected) * np.inf, expected)


def _same_nonfinite(got: Array, want: Array) -> Array:
    if got.dtype.kind != "c" and want.dtype.kind != "c":
        same: Array = (got == want) | (np.isnan(got) & np.isnan(want))
        return same
    real, imag = (
        (a == b) | (np.isnan(a) & np.isnan(b)) | (np.isfinite(a) & np.isfinite(b))
        for a, b in ((np.real(got), np.real(want)), (np.imag(got), np.imag(want)))
    )
    both: Array = real & imag
    return both


def _exact_difference(observed: Array, expected: Array) -> Difference | None:
    wrong = observed != expected
    return _at("value", _first(wrong), observed, expected, "") if wrong.any() else None


def _first(mask: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0])


def _at(
    aspect: str, index: tuple[int, ...], observed: Array, expected: Array, note: str
) -> Difference:
    where = f"element {list(index)} is" if index else "the value is"
    digits = 8 if describe(expected) != describe(observed) else 17
    return Difference(
        aspect,
        describe(expected, digits=digits),
        describe(observed, digits=digits),
        "{} {}; expected {}{}".format(where, *_apart(observed[index], expected[index]), note),
    )


def _apart(*values: object) -> list[str]:
    """Return texts of two numbers with as many digits as it takes to tell them apart."""
    texts: list[str] = []
    for digits in (9, 13, 17):
        texts = [
            f"{value:.{digits}g}" if isinstance(value, (float, complex, np.inexact)) else str(value)
            for value in values
        ]
        if len(set(texts)) > 1:
            break
    return texts


def _shape(array: Array) -> str:
    return str(tuple(array.shape)).replace(",)", ")")


def _kind(name: str) -> str:
    return "i" if name.startswith(("int", "uint")) else name[:1]
