"""Functions that torch has and NumPy lacks, so that rows find them on both backends under one
name.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, sqrt
from typing import Any, Final

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY

LOG_2: Final = log(2.0)
LOG_10: Final = log(10.0)
#: derivative of erf at 0
ERF_SLOPE: Final = 2 / sqrt(pi)


def of_scipy(name: str) -> Callable[..., Any]:
    """A function of scipy.special, imported when first called (it takes 0.1 s, and most programs
    never ask for it), in the inputs' dtype.
    """

    def function(*args: Any) -> Any:
        import scipy.special

        out = getattr(scipy.special, name)(*args)
        kind = np.result_type(*args)
        return out if out.dtype == kind or kind.kind not in "fcV" else out.astype(kind)

    return function


def _sgn(x: Any) -> Any:
    """x / |x|, and 0 at 0; for real numbers the sign."""
    size = np.abs(x)
    return x / np.where(size == 0, 1, size) if x.dtype.kind == "c" else _sign(x)


def _sign(x: Any) -> Any:
    return x.copy() if x.dtype.kind == "b" else np.sign(x)


def _modulo(function: Any) -> Any:
    def divide(x: Any, other: Any) -> Any:
        """NumPy's remainder by an integer 0 is 0, with a warning."""
        if np.result_type(x, other).kind in "biu" and np.any(np.equal(other, 0)):
            raise RuntimeError("remainder of a division of integers by 0; use floating numbers")
        return function(x, other)

    return divide


def _logaddexp(a: Any, b: Any) -> Any:
    """log(eᵃ + eᵇ), for complex numbers too."""
    if np.result_type(a, b).kind != "c":
        return np.logaddexp(a, b)
    high, low = np.where(a.real >= b.real, a, b), np.where(a.real >= b.real, b, a)
    return high + np.log1p(np.exp(low - high))


# e^−x overflows to inf only where the quotient is 0 to rounding
NUMPY.define("sigmoid", lambda x: 1 / (1 + np.exp(-x)))
NUMPY.define("rsqrt", lambda x: 1 / np.sqrt(x))
NUMPY.define("sgn", _sgn)
NUMPY.define("sign", _sign)
NUMPY.define("cumulative_sum", np.cumsum)  # names of NumPy 2.1 on
NUMPY.define("cumulative_prod", np.cumprod)
NUMPY.define("square", lambda x: np.square(x, dtype=np.int64 if x.dtype.kind == "b" else None))
NUMPY.define("remainder", _modulo(np.remainder))
NUMPY.define("fmod", _modulo(np.fmod))
NUMPY.define("logaddexp", _logaddexp)
for _name in ("erf", "erfc", "erfinv"):
    NUMPY.define(_name, of_scipy(_name))
