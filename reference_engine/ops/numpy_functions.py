"""Functions that torch has and NumPy lacks, so that rows find them on both backends under one
name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import log, pi, sqrt
from types import ModuleType
from typing import Any, Final

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY

Array = np.ndarray[Any, np.dtype[Any]]


@lru_cache(maxsize=1)
def _special() -> ModuleType:
    # scipy.special takes 0.1 s to import, and most programs never ask for it
    import scipy.special

    module: ModuleType = scipy.special
    return module


def of_scipy(name: str) -> Callable[..., Any]:
    """A function of scipy.special, imported when first called, in the inputs' dtype."""

    def function(*args: Any) -> Any:
        out = getattr(_special(), name)(*args)
        kind = np.result_type(*args)
        return out if out.dtype == kind or kind.kind not in "fcV" else out.astype(kind)

    function.__name__ = name
    return function


def sigmoid(x: Array) -> Any:
    """1 / (1 + e^−x): e^−x overflows to inf only where the quotient is 0 to rounding."""
    return 1 / (1 + np.exp(-x))


def rsqrt(x: Array) -> Any:
    """1 / √x."""
    return 1 / np.sqrt(x)


def sgn(x: Array) -> Any:
    """x / |x|, and 0 at 0; for real numbers the sign."""
    if x.dtype.kind != "c":
        return np.sign(x)
    size = np.abs(x)
    return x / np.where(size == 0, 1, size)


def logaddexp(a: Array, b: Array) -> Any:
    """log(eᵃ + eᵇ), for complex numbers too."""
    if np.result_type(a, b).kind != "c":
        return np.logaddexp(a, b)
    high, low = np.where(a.real >= b.real, a, b), np.where(a.real >= b.real, b, a)
    return high + np.log1p(np.exp(low - high))


def expm1(x: Array) -> Any:
    """eˣ − 1."""
    return np.expm1(x)


LOG_2: Final = log(2.0)
LOG_10: Final = log(10.0)
#: derivative of erf at 0
ERF_SLOPE: Final = 2 / sqrt(pi)

NUMPY.define("sigmoid", sigmoid)
NUMPY.define("rsqrt", rsqrt)
NUMPY.define("sgn", sgn)
NUMPY.define("logaddexp", logaddexp)
for _name in ("erf", "erfc", "erfinv"):
    NUMPY.define(_name, of_scipy(_name))
