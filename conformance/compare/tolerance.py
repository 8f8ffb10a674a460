"""The only numbers by which values are accepted: unit roundoff times measured conditioning.

An error is allowed up to MULTIPLE · √n · s. s is what one rounding does to the result: measured by
stochastic arithmetic (`conformance.oracles.perturbed`), and never less than u·|value|, the rounding
of the result itself (u: unit roundoff of the dtype). √n is how n rounding errors add up inside one
operation when they are independent, n being the most elements that any tensor of the program has;
MULTIPLE is the λ of that model, with failure probability about 2·exp(-λ²/2) (Higham and Mary 2019,
"A new approach to probabilistic rounding error analysis", https://doi.org/10.1137/18M1226312).
"""

from __future__ import annotations

import math
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from conformance.leaves import dtype_named
from conformance.observation import Array

MULTIPLE = 8.0
"""λ: eight standard deviations; it also leaves room for library functions good to a few ulp."""
SAMPLES = (4, 24)
"""How many perturbed runs measure a spread: at first, and once more before anyone is blamed."""

_FAR = 64.0
"""Times a bound at which an error is far beyond it."""

_COMPLEX_PARTS = {"complex64": "float32", "complex128": "float64"}
_COMPLEX_OF = {"float32": "complex64", "float64": "complex128", "float16": "complex64"}


def real_name(dtype: str) -> str:
    """Return the name of the real dtype that a complex one is made of; others unchanged."""
    return _COMPLEX_PARTS.get(dtype, dtype)


def complex_name(dtype: str) -> str:
    """Return the name of the complex dtype made of the real one; a complex one unchanged."""
    return _COMPLEX_OF.get(dtype, dtype)


def is_inexact(dtype: np.dtype[np.generic]) -> bool:
    """Tell whether values of the dtype are rounded: floats and complex, extension floats too."""
    return dtype.kind in "fc" or (dtype.kind == "V" and "float" in dtype.name)


@cache
def limits(dtype: str) -> tuple[float, float, float, float]:
    """Return unit roundoff, largest, smallest normal and smallest subnormal of a float dtype.

    Exact dtypes (integers, bool) have unit roundoff 0 and no limits.
    """
    named: np.dtype[Any] = dtype_named(real_name(dtype))
    info: Any
    if named.kind == "f":
        info = np.finfo(named)
    elif is_inexact(named):
        info = import_module("ml_dtypes").finfo(named)  # NumPy does not know the dtype
    else:
        return 0.0, math.inf, 0.0, 0.0
    return (
        float(info.eps) / 2,
        float(info.max),
        float(info.smallest_normal),
        float(info.smallest_subnormal),
    )


def unit_roundoff(dtype: str) -> float:
    """Return half the distance from 1 to the next number of the dtype; 0 for an exact dtype."""
    return limits(dtype)[0]


def allowance(
    expected: Array, dtype: str, size: int, spread: Array | None = None, decimals: int | None = None
) -> Array:
    """Return the allowed absolute error of every element of `expected`, an array of its shape.

    size: the most elements of any tensor of the program. spread: what one rounding does to each
    element, where measured. decimals: a figure printed with so many decimals is known to half a
    unit of the last of them.
    """
    _, _, _, subnormal = limits(dtype)
    one = unit_roundoff(dtype) * _magnitude(expected) + subnormal / 2
    if spread is not None:
        one = np.maximum(one, spread)
    printed = 0.0 if decimals is None else 0.5 * 10.0**-decimals
    allowed: Array = MULTIPLE * math.sqrt(max(size, 1)) * one + printed
    return allowed


def ulp_error(observed: Array, expected: Array, dtype: str, spread: Array | None = None) -> float:
    """Return the largest error in units in the last place of the largest entry of either array.

    Where a measured spread is larger than that unit, as after cancellation, the unit is twice the
    spread: what one rounding does to the result. Entries that are not finite are left out; 0 where
    nothing remains.
    """
    finite = np.isfinite(observed) & np.isfinite(expected)
    u = unit_roundoff(dtype)
    if u == 0 or not finite.any():
        return 0.0
    error = float(np.max(np.abs(observed[finite] - expected[finite])))
    largest = max(float(np.max(_magnitude(a[finite]))) for a in (observed, expected))
    if error == 0 or largest == 0:
        return 0.0
    unit = max(math.ldexp(2 * u, math.frexp(largest)[1] - 1), limits(dtype)[3])
    if spread is not None:
        unit = max(unit, 2 * float(np.max(spread, initial=0.0)))
    return error / unit


def ill_conditioned(spread: Array, largest: float, dtype: str) -> bool:
    """Tell whether one rounding changes a result by more than half of the digits of the dtype.

    That is: more than √u times `largest`, the largest magnitude that the program met. At a kink or
    a tie a rounding decides between two answers, and neither of them convicts an engine.
    """
    if spread.size == 0:
        return False
    worst = float(np.max(spread))
    return not math.isfinite(worst) or worst > math.sqrt(unit_roundoff(dtype)) * largest


def beyond_rounding(error: Array, allowed: Array, largest: float, dtype: str) -> bool:
    """Tell whether more samples could not explain an error.

    Signs that happen to cancel in every sample leave a spread too small. They do not matter where
    an error is far beyond what is allowed to any element, and to a result as large as `largest`,
    the largest magnitude that the program met.
    """
    one = unit_roundoff(dtype) * largest * MULTIPLE
    worst = max(float(np.max(allowed, initial=0.0)), one)
    return bool(np.max(_magnitude(error), initial=0.0) > _FAR * worst)


def _magnitude(array: Array) -> Array:
    with np.errstate(all="ignore"):
        magnitude: Array = np.abs(array)
    return np.where(np.isfinite(magnitude), magnitude, 0.0)
