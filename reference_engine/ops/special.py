"""Special functions. Their values are SciPy's on NumPy and torch's on torch; the derivatives are in
https://dlmf.nist.gov, chapters 5 (gamma), 7 (error) and 10 (Bessel).
"""

from __future__ import annotations

from math import inf, log, pi, sqrt
from typing import Any

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY
from reference_engine.ops.numpy_functions import ERF_SLOPE, of_scipy
from reference_engine.ops.opdef import composite, elementwise, own

_ROW: dict[str, Any] = {"promotion": "float", "complex": False}
_SPECIAL: dict[str, Any] = {**_ROW, "inplace": False}
_POSITIVE = {"x": (0.0, inf)}

for _name, _scipy in (
    ("digamma", "psi"), ("lgamma", "gammaln"), ("i0", "i0"), ("special_i0e", "i0e"),
    ("special_i1", "i1"), ("special_i1e", "i1e"), ("special_entr", "entr"),
    ("special_erfcx", "erfcx"), ("special_ndtri", "ndtri"),
    ("special_log_ndtr", "log_ndtr"), ("polygamma", "polygamma"), ("special_zeta", "zeta"),
):  # fmt: skip
    NUMPY.define(_name, of_scipy(_scipy))
NUMPY.define("copysign", np.copysign)

# gamma --------------------------------------------------------------------------------------------
elementwise("lgamma", "lgamma", dx=lambda F, x: F.digamma(x), domain=_POSITIVE,
            aliases=("special.gammaln",), **_ROW)  # fmt: skip
elementwise("digamma", "digamma", dx=lambda F, x: F._polygamma(x, n=1), domain=_POSITIVE,
            aliases=("special.digamma", "special.psi"), **_ROW)  # fmt: skip


def _polygamma(xp: Any, x: Any, *, n: int) -> Any:
    if n == 1:  # torch's own polygamma(1, x) has 9 digits, and its zeta no half precision
        wide = xp.astype(x, xp.float32) if x.itemsize == 2 else x
        return xp.astype(xp.special_zeta(2.0, wide), x.dtype)
    return xp.digamma(x) if n == 0 else xp.polygamma(n, x)


elementwise("_polygamma", _polygamma,
            dx=lambda F, x, n: F._polygamma(x, n=n + 1), node="PolygammaBackward0",
            domain=_POSITIVE, samples=[(((2, 3),), {"n": 2})], **_SPECIAL)  # fmt: skip


def _polygamma(F: Any, n: Any, x: Any) -> Any:
    """The n-th derivative of digamma; the method takes n second, the function first."""
    return F._polygamma(n, n=x) if hasattr(n, "shape") else F._polygamma(x, n=n)


def _mvlgamma(F: Any, x: Any, p: int) -> Any:
    """Logarithm of the multivariate gamma function, https://dlmf.nist.gov/35.3."""
    total = p * (p - 1) / 4 * log(pi)
    for j in range(p):
        total = total + F.lgamma(x - j / 2)
    return total


composite("polygamma", _polygamma, aliases=("special.polygamma",))
composite("mvlgamma", _mvlgamma, complex=False, aliases=("special.multigammaln",),
          methods=("mvlgamma",))  # fmt: skip


# Bessel -------------------------------------------------------------------------------------------
def _over(F: Any, v: Any, x: Any) -> Any:
    """v/x for an odd function v with slope ½ at 0."""
    return F.where(x == 0, 0.5, v / F.where(x == 0, 1, x))


elementwise("i0", "i0", dx=lambda F, x: F.special_i1(x), aliases=("special.i0",), **_ROW)
elementwise("special.i0e", "special_i0e", dx=lambda F, x, y: F.special_i1e(x) - F.sgn(x) * y,
            kinks={"x": (0.0,)}, **_SPECIAL)  # fmt: skip
elementwise("special.i1", "special_i1", dx=lambda F, x, y: F.i0(x) - _over(F, y, x), **_SPECIAL)
elementwise("special.i1e", "special_i1e", dx=lambda F, x, y: F.special_i0e(x) - F.sgn(
                x) * y - _over(F, y, x), **_SPECIAL)  # fmt: skip

# error and normal distribution --------------------------------------------------------------------
elementwise("special.entr", "special_entr", dx=lambda F, x: -F.log(x) - 1, domain=_POSITIVE,
            **_SPECIAL)  # fmt: skip
elementwise("special.erfcx", "special_erfcx", dx=lambda F, x, y: x * y * 2 - ERF_SLOPE, **_SPECIAL)
# torch's own ndtr cancels for negative x
elementwise("special.ndtr", lambda xp, x: xp.erfc(x * -sqrt(0.5)) * 0.5, **_SPECIAL,
            dx=lambda F, x: F.exp(x * x * -0.5) * (1 / sqrt(2 * pi)))  # fmt: skip
elementwise("special.ndtri", "special_ndtri", domain={"x": (0.0, 1.0)}, **_SPECIAL,
            dx=lambda F, y: F.exp(y * y * 0.5) * sqrt(2 * pi))  # fmt: skip
elementwise("special.log_ndtr", "special_log_ndtr", **_SPECIAL,
            dx=lambda F, x: sqrt(2 / pi) / F.special_erfcx(x * -sqrt(0.5)))  # fmt: skip


# others -------------------------------------------------------------------------------------------
def _sinc_slope(F: Any, x: Any) -> Any:
    """(cos πx − sin πx/(πx))/x, and its limit 0 at 0."""
    safe = F.where(x == 0, 1, x)
    return F.where(x == 0, 0, (F.cos(safe * pi) - F.sin(safe * pi) / (safe * pi)) / safe)


def _sinc(xp: Any, x: Any) -> Any:
    z = xp.where(x == 0, 1, x) * pi
    return xp.where(x == 0, 1, xp.sin(z) / z)


elementwise("sinc", _sinc, dx=_sinc_slope, promotion="float", aliases=("special.sinc",))


def _logit(xp: Any, x: Any, *, eps: float | None = None) -> Any:
    x = x if eps is None else xp.clip(x, eps, 1 - eps)
    return xp.log(x / (1 - x))


def _logit_slope(F: Any, x: Any, eps: float | None) -> Any:
    """1/(x(1 − x)); constant beyond the ends that eps sets, undefined beyond 0 and 1."""
    low, beyond = (0.0, float("nan")) if eps is None else (eps, 0.0)
    inside = F.logical_and(x >= low, x <= 1 - low)
    return F.where(inside, 1 / F.where(inside, x * (1 - x), 1), beyond)


elementwise("logit", _logit, dx=_logit_slope, aliases=("special.logit",), promotion="float",
            complex=False, domain={"x": (0.0, 1.0)},
            samples=[(((2, 3),), {}), (((2, 3),), {"eps": 0.1})])  # fmt: skip


def _xlog1py(xp: Any, x: Any, other: Any) -> Any:
    return xp.where(xp.isnan(other), other, x * xp.log1p(xp.where(x == 0, 0, other)))


def _xlog1py_slope(F: Any, v: Any, x: Any, other: Any) -> Any:
    return F.where(F.logical_and(x == 0, other <= -1), 0, F.special_xlog1py(v, other))


own("special.xlog1py", _xlog1py, vjp_x=lambda F, g, x, other: _xlog1py_slope(F, g, x, other),
    vjp_other=lambda F, g, x, other: g * x / (other + 1), promotion="float", complex=False,
    jvp=lambda F, x, other, t_x, t_other: _xlog1py_slope(F, t_x, x, other)
    + t_other * x / (other + 1), domain={"other": (-1.0, inf)},
    samples=[(((2, 3), (2, 3)), {}), (((3,), (2, 1)), {})])  # fmt: skip


def _nan_to_num(xp: Any, x: Any, *, nan: float | None = None, posinf: float | None = None,
                neginf: float | None = None) -> Any:  # fmt: skip
    if xp.isdtype(x.dtype, ("bool", "integral")):
        return xp.copy(x)
    most = float(xp.finfo(x.dtype).max)
    if xp.isdtype(x.dtype, "complex floating"):
        parts = (_nan_to_num(xp, v, nan=nan, posinf=posinf, neginf=neginf)
                 for v in (xp.real(x), xp.imag(x)))  # fmt: skip
        return xp.complex(*parts)
    x = xp.where(xp.isnan(x), 0.0 if nan is None else nan, x)
    x = xp.where(x == inf, most if posinf is None else posinf, x)
    return xp.where(x == -inf, -most if neginf is None else neginf, x)


def _finite(F: Any, v: Any, x: Any) -> Any:
    if x.dtype.is_complex if hasattr(x.dtype, "is_complex") else x.dtype.kind == "c":
        parts = zip(*((F.real(w), F.imag(w)) for w in (v, x)), strict=True)
        return F.complex(*(_finite(F, a, b) for a, b in parts))
    return F.where(F.isfinite(x), v, 0)


own("nan_to_num", _nan_to_num, vjp_x=lambda F, g, x: _finite(F, g, x),
    jvp=lambda F, x, t_x: _finite(F, t_x, x), samples=[(((2, 3),), {})], inplace=True,
    complex=False)  # fmt: skip
own("frexp", lambda xp, x: tuple(xp.frexp(x)), outputs=("mantissa", "exponent"), complex=False,
    vjp_x=lambda F, g_mantissa, exponent: F.ldexp(g_mantissa, -exponent),
    jvp=lambda F, exponent, t_x: F.ldexp(t_x, -exponent), samples=[(((2, 3),), {})])  # fmt: skip

# of two numbers -----------------------------------------------------------------------------------
elementwise("_copysign", "copysign", dx=lambda F, x, y: F.sgn(x) * F.sgn(y), dother=0,
            node="CopysignBackward0", kinks={"x": (0.0,)}, **_ROW)  # fmt: skip
composite("copysign", lambda F, x, other: F._copysign(x, other), complex=False)
composite("ldexp", lambda F, x, other: x * F.pow(2.0, other))
composite("float_power", lambda F, x, exponent: F.pow(_double(x), _double(exponent)))


def _double(v: Any) -> Any:
    if isinstance(v, (int, float, complex)):
        return v
    return v.cdouble() if v.dtype.is_complex else v.double()


_BETTER: dict[str, Any] = {
    "promotion": "promote", "complex": False, "kinks": "ties",
    "samples": [(((3,), (2, 1)), {})],  # no ties among these
}  # fmt: skip


def _takes_x(F: Any, x: Any, other: Any, least: bool) -> Any:
    """Where fmax or fmin gives x: the better one, at a tie x, and never a nan beside a number."""
    better = x <= other if least else x >= other
    return F.logical_or(better, F.isnan(other))


def _better_row(name: str, least: bool) -> None:
    own(name, lambda xp, x, other: (xp.fmin if least else xp.fmax)(x, other),
        vjp_x=lambda F, g, x, other: F.where(_takes_x(F, x, other, least), g, 0),
        vjp_other=lambda F, g, x, other: F.where(_takes_x(F, x, other, least), 0, g),
        jvp=lambda F, x, other, t_x, t_other: F.where(
            _takes_x(F, x, other, least), t_x, t_other), **_BETTER)  # fmt: skip


_better_row("fmax", least=False)
_better_row("fmin", least=True)
