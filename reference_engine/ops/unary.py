"""Functions of one number: each row states its derivative, in terms of the input ``x`` or the
output ``y``.
"""

from __future__ import annotations

from math import inf, pi
from typing import Any

from reference_engine.ops.numpy_functions import ERF_SLOPE, LOG_2, LOG_10
from reference_engine.ops.opdef import composite, elementwise, floating

# rows are laid out by hand
# fmt: off

_POSITIVE = {"x": (0.0, inf)}
_UNIT = {"x": (-1.0, 1.0)}
_NONZERO: dict[str, Any] = {"kinks": {"x": (0.0,)}}
_STEPS: dict[str, Any] = {"complex": False, "kinks": {"x": "integers"}}

# exponentials and logarithms
floating("exp", dx=lambda F, y: y)
floating("exp2", dx=lambda F, y: y * LOG_2)
floating("expm1", dx=lambda F, y: y + 1)
floating("log", dx=lambda F, x: 1 / x, domain=_POSITIVE)
floating("log2", dx=lambda F, x: 1 / (x * LOG_2), domain=_POSITIVE)
floating("log10", dx=lambda F, x: 1 / (x * LOG_10), domain=_POSITIVE)
floating("log1p", dx=lambda F, x: 1 / (x + 1), domain={"x": (-1.0, inf)})

# powers
floating("sqrt", dx=lambda F, y: 0.5 / y, domain=_POSITIVE)
floating("rsqrt", dx=lambda F, y: y * y * y * -0.5, domain=_POSITIVE)
elementwise("square", dx=lambda F, x: x * 2, node="PowBackward0")
floating("reciprocal", dx=lambda F, y: -(y * y), **_NONZERO)

# trigonometric and hyperbolic
floating("sin", dx=lambda F, x: F.cos(x))
floating("cos", dx=lambda F, x: -F.sin(x))
floating("tan", dx=lambda F, y: y * y + 1, domain={"x": (-pi / 2, pi / 2)})
floating("sinh", dx=lambda F, x: F.cosh(x))
floating("cosh", dx=lambda F, x: F.sinh(x))
floating("tanh", dx=lambda F, y: 1 - y * y, aliases=("nn.functional.tanh",))
# 1 − x² as a product keeps its digits near ±1
floating("asin", dx=lambda F, x: F.rsqrt((1 - x) * (1 + x)), domain=_UNIT, aliases=("arcsin",))
floating("acos", dx=lambda F, x: -F.rsqrt((1 - x) * (1 + x)), domain=_UNIT, aliases=("arccos",))
floating("atan", dx=lambda F, x: 1 / (x * x + 1), aliases=("arctan",))
floating("asinh", dx=lambda F, x: F.rsqrt(x * x + 1), aliases=("arcsinh",))
# √(x − 1) √(x + 1), not √(x² − 1): the branch that complex acosh takes
floating("acosh", dx=lambda F, x: F.rsqrt(x - 1) * F.rsqrt(x + 1), domain={"x": (1.0, inf)},
         aliases=("arccosh",))
floating("atanh", dx=lambda F, x: 1 / ((1 - x) * (1 + x)), domain=_UNIT, aliases=("arctanh",))

# saturating
floating("sigmoid", dx=lambda F, y: y * (1 - y), aliases=("special.expit", "nn.functional.sigmoid"))
# of which 1 − y would have lost the digits: for what is differentiated again
floating("_sigmoid", "sigmoid", dx=lambda F, x: F._sigmoid(x) * F._sigmoid(-x), inplace=False,
         node="SigmoidBackward0")
floating("erf", dx=lambda F, x: F.exp(-(x * x)) * ERF_SLOPE, complex=False,
         aliases=("special.erf",))
floating("erfc", dx=lambda F, x: F.exp(-(x * x)) * -ERF_SLOPE, complex=False,
         aliases=("special.erfc",))
floating("erfinv", dx=lambda F, y: F.exp(y * y) / ERF_SLOPE, complex=False, domain=_UNIT)


def _round(xp: Any, x: Any, *, decimals: int = 0) -> Any:
    """Halves go to the even neighbour."""
    if decimals and xp.isdtype(x.dtype, ("bool", "integral")):
        raise NotImplementedError(f"round to decimals is not implemented for {x.dtype}")
    scale = 10.0**decimals
    return xp.round(x * scale) / scale if decimals else xp.round(x)


# sign and rounding
elementwise("neg", "negative", dx=-1, aliases=("negative",))
composite("positive", lambda F, x: x)
elementwise("sign", dx=0, complex=False, **_NONZERO)
elementwise("floor", dx=0, **_STEPS)
elementwise("ceil", dx=0, **_STEPS)
elementwise("trunc", dx=0, aliases=("fix",), **_STEPS)
elementwise("frac", lambda xp, x: x - xp.trunc(x), dx=1, **_STEPS)
elementwise("round", _round, dx=0, nodes={"decimals": 1}, **_STEPS)
floating("deg2rad", lambda xp, x: x * (pi / 180), dx=pi / 180, complex=False)
floating("rad2deg", lambda xp, x: x * (180 / pi), dx=180 / pi, complex=False)
