"""Functions of one number: each row states its derivative, in terms of the input ``x`` or the
output ``y``.
"""

from __future__ import annotations

from math import inf, pi
from typing import Any

from reference_engine.ops.numpy_functions import ERF_SLOPE, LOG_2, LOG_10
from reference_engine.ops.opdef import elementwise

_NONZERO = {"x": (0.0,)}
_POSITIVE = {"x": (0.0, inf)}
_UNIT = {"x": (-1.0, 1.0)}

# exponentials and logarithms
elementwise("exp", "exp", dx=lambda F, y: y, promotion="float")
elementwise("exp2", "exp2", dx=lambda F, y: y * LOG_2, promotion="float")
elementwise("expm1", "expm1", dx=lambda F, y: y + 1, promotion="float")
elementwise("log", "log", dx=lambda F, x: 1 / x, promotion="float", domain=_POSITIVE)
elementwise("log2", "log2", dx=lambda F, x: 1 / (x * LOG_2), promotion="float", domain=_POSITIVE)
elementwise("log10", "log10", dx=lambda F, x: 1 / (x * LOG_10), promotion="float", domain=_POSITIVE)
elementwise(
    "log1p", "log1p", dx=lambda F, x: 1 / (x + 1), promotion="float", domain={"x": (-1.0, inf)}
)

# powers
elementwise("sqrt", "sqrt", dx=lambda F, y: 0.5 / y, promotion="float", domain=_POSITIVE)
elementwise("rsqrt", "rsqrt", dx=lambda F, y: y * y * y * -0.5, promotion="float", domain=_POSITIVE)
elementwise("square", "square", dx=lambda F, x: x * 2, node="PowBackward0")
elementwise("reciprocal", "reciprocal", dx=lambda F, y: -(y * y), promotion="float", kinks=_NONZERO)

# trigonometric and hyperbolic
elementwise("sin", "sin", dx=lambda F, x: F.cos(x), promotion="float")
elementwise("cos", "cos", dx=lambda F, x: -F.sin(x), promotion="float")
elementwise("tan", "tan", dx=lambda F, y: y * y + 1, promotion="float",
            domain={"x": (-pi / 2, pi / 2)})  # fmt: skip
elementwise("sinh", "sinh", dx=lambda F, x: F.cosh(x), promotion="float")
elementwise("cosh", "cosh", dx=lambda F, x: F.sinh(x), promotion="float")
elementwise("tanh", "tanh", dx=lambda F, y: 1 - y * y, promotion="float",
            aliases=("nn.functional.tanh",))  # fmt: skip
# 1 − x² as a product keeps its digits near ±1
elementwise("asin", "asin", dx=lambda F, x: F.rsqrt((1 - x) * (1 + x)), promotion="float",
            domain=_UNIT, aliases=("arcsin",))  # fmt: skip
elementwise("acos", "acos", dx=lambda F, x: -F.rsqrt((1 - x) * (1 + x)), promotion="float",
            domain=_UNIT, aliases=("arccos",))  # fmt: skip
elementwise("atan", "atan", dx=lambda F, x: 1 / (x * x + 1), promotion="float", aliases=("arctan",))
elementwise("asinh", "asinh", dx=lambda F, x: F.rsqrt(x * x + 1), promotion="float",
            aliases=("arcsinh",))  # fmt: skip
# √(x − 1) √(x + 1), not √(x² − 1): the branch that complex acosh takes
elementwise("acosh", "acosh", dx=lambda F, x: F.rsqrt(x - 1) * F.rsqrt(x + 1), promotion="float",
            domain={"x": (1.0, inf)}, aliases=("arccosh",))  # fmt: skip
elementwise("atanh", "atanh", dx=lambda F, x: 1 / ((1 - x) * (1 + x)), promotion="float",
            domain=_UNIT, aliases=("arctanh",))  # fmt: skip

# saturating
elementwise("sigmoid", "sigmoid", dx=lambda F, y: y * (1 - y), promotion="float",
            aliases=("special.expit", "nn.functional.sigmoid"))  # fmt: skip
elementwise("erf", "erf", dx=lambda F, x: F.exp(-(x * x)) * ERF_SLOPE, promotion="float",
            complex=False, aliases=("special.erf",))  # fmt: skip
elementwise("erfc", "erfc", dx=lambda F, x: F.exp(-(x * x)) * -ERF_SLOPE, promotion="float",
            complex=False, aliases=("special.erfc",))  # fmt: skip
elementwise("erfinv", "erfinv", dx=lambda F, y: F.exp(y * y) / ERF_SLOPE, promotion="float",
            complex=False, domain=_UNIT)  # fmt: skip

# sign and rounding
elementwise("neg", "negative", dx=-1, aliases=("negative",))
elementwise("positive", lambda xp, x: x, dx=1, inplace=False)
elementwise("sign", "sign", dx=0, complex=False, kinks=_NONZERO)
elementwise("floor", "floor", dx=0, complex=False, kinks={"x": "integers"})
elementwise("ceil", "ceil", dx=0, complex=False, kinks={"x": "integers"})
elementwise("trunc", "trunc", dx=0, complex=False, kinks={"x": "integers"}, aliases=("fix",))
elementwise("frac", lambda xp, x: x - xp.trunc(x), dx=1, complex=False, kinks={"x": "integers"})
elementwise("deg2rad", lambda xp, x: x * (pi / 180), dx=pi / 180, promotion="float", complex=False)
elementwise("rad2deg", lambda xp, x: x * (180 / pi), dx=180 / pi, promotion="float", complex=False)


def _round(xp: Any, x: Any, *, decimals: int = 0) -> Any:
    """Halves go to the even neighbour."""
    if decimals == 0:
        return xp.round(x)
    scale = 10.0**decimals
    return xp.round(x * scale) / scale


elementwise("round", _round, dx=0, complex=False, kinks={"x": "integers"}, nodes={"decimals": 1})
