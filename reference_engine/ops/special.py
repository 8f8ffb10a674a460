"""Special functions. Their values are SciPy's on NumPy and torch's on torch; the derivatives are in
https://dlmf.nist.gov, chapters 5 (gamma), 7 (error) and 10 (Bessel).
"""

from __future__ import annotations

from math import factorial, inf, log, pi, sqrt
from typing import Any

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY
from reference_engine.ops.complexes import holds_complex
from reference_engine.ops.numpy_functions import ERF_SLOPE, of_scipy
from reference_engine.ops.opdef import composite, elementwise, floating, on, own

# rows are laid out by hand
# fmt: off

_REAL: dict[str, Any] = {"complex": False}
_POSITIVE = {"domain": {"x": (0.0, inf)}, **_REAL}

_SCIPY = {"digamma": "psi", "lgamma": "gammaln", "i0": "i0", "polygamma": "polygamma"}
for _name, _scipy in _SCIPY.items():
    NUMPY.define(_name, of_scipy(_scipy))
for _name in "i0e i1 i1e entr erfcx ndtri log_ndtr zeta xlog1py".split():
    NUMPY.define(f"special_{_name}", of_scipy(_name))
NUMPY.define("copysign", np.copysign)


def _row(name: str, dx: Any, **row: Any) -> None:
    """A row of torch.special alone."""
    floating(f"special.{name}", f"special_{name}", dx=dx, inplace=False, **_REAL | row)


# gamma --------------------------------------------------------------------------------------------
def _polygamma(xp: Any, x: Any, *, n: int) -> Any:
    if n == 1:  # torch's own polygamma(1, x) has 9 digits, and its zeta no half precision
        wide = xp.astype(x, xp.float32) if x.itemsize == 2 else x
        return xp.astype(xp.special_zeta(2.0, wide), x.dtype)
    return xp.digamma(x) if n == 0 else xp.polygamma(n, x)


def _mvlgamma(F: Any, x: Any, p: int) -> Any:
    """Logarithm of the multivariate gamma function, https://dlmf.nist.gov/35.3."""
    return sum((F.lgamma(x - j / 2) for j in range(p)), p * (p - 1) / 4 * log(pi))


floating("lgamma", dx=lambda F, x: F.digamma(x), aliases=("special.gammaln",), **_POSITIVE)
floating("digamma", dx=lambda F, x: F._polygamma(x, n=1), **_POSITIVE,
         aliases=("special.digamma", "special.psi"))
floating("_polygamma", _polygamma, dx=lambda F, x, n: F._polygamma(x, n=n + 1), inplace=False,
         node="PolygammaBackward0", samples=[on((2, 3), n=2)], **_POSITIVE)
# the n-th derivative of digamma; the method takes n second, the function first
composite("polygamma", lambda F, n, x: F._polygamma(n, n=x) if hasattr(n, "shape")
          else F._polygamma(x, n=n), aliases=("special.polygamma",), inplace=True)
composite("mvlgamma", _mvlgamma, aliases=("special.multigammaln",), methods=("mvlgamma",),
          inplace=True, **_REAL)


# Bessel -------------------------------------------------------------------------------------------
_SERIES_I1 = [0.5 / (4**k * factorial(k) * factorial(k + 1)) for k in range(9, -1, -1)]


def _polynomial(z: Any, coefficients: list[float]) -> Any:
    total: Any = 0.0
    for c in coefficients:
        total = total * z + c
    return total


def _over(F: Any, v: Any, x: Any, decays: bool = False) -> Any:
    """v/x for v = I₁(x), or that times e^−|x|; near 0 by its series, which can be differentiated
    again there (https://dlmf.nist.gov/10.25.2).
    """
    near = F.abs(x) < 1
    small = F.where(near, x, 0)
    series = _polynomial(small * small, _SERIES_I1)
    series = series * F.exp(-F.abs(small)) if decays else series
    return F.where(near, series, v / F.where(near, 1, x))


floating("i0", dx=lambda F, x: F.special_i1(x), aliases=("special.i0",), **_REAL)
_row("i0e", lambda F, x, y: F.special_i1e(x) - F.sgn(x) * y, kinks={"x": (0.0,)})
_row("i1", lambda F, x, y: F.i0(x) - _over(F, y, x))
_row("i1e", lambda F, x, y: F.special_i0e(x) - F.sgn(x) * y - _over(F, y, x, True))

# error and normal distribution --------------------------------------------------------------------
def _log_ndtr_slope(F: Any, x: Any) -> Any:
    """Density over distribution; above 0 the scaled erfc would overflow, below it the density."""
    low, high = F.where(x > 0, 0, x), F.where(x > 0, x, 0)
    below = sqrt(2 / pi) / F.special_erfcx(low * -sqrt(0.5))
    above = F.exp(high * high * -0.5) / (F.special_ndtr(high) * sqrt(2 * pi))
    return F.where(x > 0, above, below)


_row("entr", lambda F, x: -F.log(x) - 1, **_POSITIVE)
_row("erfcx", lambda F, x, y: x * y * 2 - ERF_SLOPE)
_row("ndtri", lambda F, y: F.exp(y * y * 0.5) * sqrt(2 * pi), domain={"x": (0.0, 1.0)})
_row("log_ndtr", _log_ndtr_slope)
# torch's own ndtr cancels for negative x
floating("special.ndtr", lambda xp, x: xp.erfc(x * -sqrt(0.5)) * 0.5, inplace=False, **_REAL,
         dx=lambda F, x: F.exp(x * x * -0.5) * (1 / sqrt(2 * pi)))


# others -------------------------------------------------------------------------------------------
_SERIES_SINC = [2 * k * (-1) ** k / factorial(2 * k + 1) for k in range(9, 0, -1)]


def _sinc_slope(F: Any, x: Any) -> Any:
    """(cos πx − sin πx/(πx))/x; near 0, where that cancels, by its series."""
    near = F.abs(x) < 0.3
    far, small = F.where(near, 1, x) * pi, F.where(near, x, 0) * pi
    series = _polynomial(small * small, _SERIES_SINC) * small
    return F.where(near, series, (F.cos(far) - F.sin(far) / far) / far) * pi


def _logit(xp: Any, x: Any, *, eps: float | None = None) -> Any:
    x = x if eps is None else xp.clip(x, eps, 1 - eps)
    return xp.log(x / (1 - x))


def _logit_slope(F: Any, x: Any, eps: float | None) -> Any:
    """1/(x(1 − x)); constant beyond the ends that eps sets, undefined beyond 0 and 1."""
    low, beyond = (0.0, float("nan")) if eps is None else (eps, 0.0)
    inside = F.logical_and(x >= low, x <= 1 - low)
    return F.where(inside, 1 / F.where(inside, x * (1 - x), 1), beyond)


def _finite(F: Any, v: Any, x: Any) -> Any:
    if holds_complex(x):
        return F.complex(*(_finite(F, part(v), part(x)) for part in (F.real, F.imag)))
    return F.where(F.isfinite(x), v, 0)


def _two_to(F: Any, exponent: Any, like: Any) -> Any:
    """Powers of 2, of real numbers in the dtype of ``like``."""
    return F.pow(F.zeros_of(F.real(like), size=()) + 2.0, exponent)


floating("sinc", dx=_sinc_slope, aliases=("special.sinc",))
floating("logit", _logit, dx=_logit_slope, aliases=("special.logit",), domain={"x": (0.0, 1.0)},
         samples=[on((2, 3)), on((2, 3), eps=0.1)], **_REAL)
_row("xlog1py", lambda F, v, x, other: F.where(
         (x == 0) & (other <= -1), 0, F.special_xlog1py(v, other)),
     dother=lambda F, v, x, other: v * x / (other + 1),
     domain={"other": (-1.0, inf)}, samples=[on((2, 3), (2, 3)), on((3,), (2, 1))])
elementwise("nan_to_num", lambda xp, x, *, nan=None, posinf=None, neginf=None: xp.nan_to_num(
                x, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf),
            dx=_finite, promotion="keep", **_REAL, samples=[on((2, 3))])
own("frexp", lambda xp, x: tuple(xp.frexp(x)), outputs=("mantissa", "exponent"), **_REAL,
    vjp_x=lambda F, g_mantissa, exponent: g_mantissa * _two_to(F, -exponent, g_mantissa),
    jvp=lambda F, exponent, t_x: t_x * _two_to(F, -exponent, t_x), samples=[on((2, 3))])


# of two numbers -----------------------------------------------------------------------------------
def _double(v: Any) -> Any:
    if isinstance(v, (int, float, complex)):
        return v
    return v.cdouble() if v.dtype.is_complex else v.double()


def _better_row(name: str, least: bool) -> None:
    """Of fmax or fmin: x where it is better, at a tie too, and never a nan beside a number."""

    def better(F: Any, x: Any, other: Any) -> Any:
        return (x <= other if least else x >= other) | F.isnan(other)

    elementwise(name, dx=lambda F, v, x, other: F.where(better(F, x, other), v, 0), kinks="ties",
                dother=lambda F, v, x, other: F.where(better(F, x, other), 0, v), inplace=False,
                samples=[on((3,), (2, 1))], **_REAL)


elementwise("_copysign", "copysign", dx=lambda F, x, y: F.sgn(x) * F.sgn(y), dother=0,
            node="CopysignBackward0", kinks={"x": (0.0,)}, promotion="float", **_REAL)
composite("copysign", lambda F, x, other: F._copysign(x, other), inplace=True, **_REAL)
# an integer's power is of x's dtype, as in PyTorch
composite("ldexp", lambda F, x, other: x * (
    F.pow(2.0, other) if other.dtype.differentiable else _two_to(F, other, x)), inplace=True)
composite("float_power", lambda F, x, exponent: F.pow(_double(x), _double(exponent)))
_better_row("fmax", least=False)
_better_row("fmin", least=True)
