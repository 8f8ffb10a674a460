"""Functions of two and three numbers, which broadcast."""

from __future__ import annotations

from math import inf, log, nan
from typing import Any

from reference_engine.ops.complexes import holds_complex
from reference_engine.ops.opdef import composite, elementwise, floating, linear, on

# rows are laid out by hand
# fmt: off

_POSITIVE = (0.0, inf)


# arithmetic -------------------------------------------------------------------------------------
def _div(xp: Any, x: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode is None:
        return x / other
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div got rounding_mode={rounding_mode!r}; expected None, 'floor' or 'trunc'")
    if not xp.isdtype(x.dtype, "integral"):
        quotient = xp.floor_divide if rounding_mode == "floor" else xp.divide
        return xp.trunc(quotient(x, other))
    if not xp.all(other != 0):
        raise RuntimeError("ZeroDivisionError: div of integers by 0")
    down = xp.floor_divide(x, other)
    # the floor of a negative quotient that is not whole lies 1 below its integer part
    up = (down < 0) & (down * other != x)
    return down if rounding_mode == "floor" else xp.where(up, down + 1, down)


elementwise("add", lambda xp, x, other, *, alpha=1: x + other if alpha == 1 else x + alpha * other,
            dx=1, dother=lambda F, alpha: alpha)
elementwise("sub", lambda xp, x, other, *, alpha=1: x - other if alpha == 1 else x - alpha * other,
            dx=1, dother=lambda F, alpha: -alpha, aliases=("subtract",))
elementwise("rsub", lambda xp, x, other, *, alpha=1: other - x if alpha == 1 else other - alpha * x,
            dx=lambda F, alpha: -alpha, dother=1, inplace=False, methods=())
elementwise("mul", lambda xp, x, other: x * other, dx=lambda F, other: other,
            dother=lambda F, x: x, aliases=("multiply",))
floating("div", _div, dx=lambda F, other: 1 / other,
         dother=lambda F, x, other: -(x / other) / other, kinks={"other": (0.0,)},
         variants={"rounding_mode": "_div_whole"}, aliases=("true_divide", "divide"))
# integers stay integers
elementwise("_div_whole", _div, dx=0, dother=0, node="DivBackward3", nodes={"other": 2},
            complex=False, samples=[on((2, 3), (3,), rounding_mode="floor"),
                                    on((2, 3), (3,), rounding_mode="trunc")])
elementwise("remainder", dx=1, dother=lambda F, x, other: -F.floor(x / other), nodes={"other": 1},
            complex=False, kinks="ties", domain={"other": _POSITIVE})
elementwise("fmod", dx=1, dother=lambda F, x, other: -F.trunc(x / other), nodes={"other": 1},
            complex=False, kinks="ties", domain={"other": _POSITIVE})


# powers and exponentials ------------------------------------------------------------------------
def _power_slope(F: Any, x: Any, exponent: Any) -> Any:
    """n·xⁿ⁻¹; where x and n are both 0 the factor 0 would meet an infinity."""
    slope = exponent * x ** (exponent - 1)
    if isinstance(exponent, (int, float, complex)) and exponent != 0:
        return slope
    return F.where(F.logical_and(x == 0, exponent == 0), 0, slope)


def _exponent_slope(F: Any, x: Any, exponent: Any, y: Any) -> Any:
    """y·log x; its limit at x = 0 is 0 for exponents with a real part that is not negative."""
    real = F.real(exponent) if holds_complex(exponent) else exponent
    at_zero = F.logical_and(x == 0, real >= 0)
    return F.where(at_zero, 0, y * F.log(F.where(at_zero, 1, x)))


elementwise("pow", lambda xp, x, exponent: x**exponent, dx=_power_slope, dexponent=_exponent_slope,
            nodes={"exponent": 1}, domain={"x": _POSITIVE})
floating("logaddexp", dx=lambda F, x, other: F._sigmoid(x - other),
         dother=lambda F, x, other: F._sigmoid(other - x), inplace=False)
floating("logaddexp2", dx=lambda F, x, other: F._sigmoid((x - other) * log(2)),
         dother=lambda F, x, other: F._sigmoid((other - x) * log(2)), complex=False, inplace=False)


_PAIR = [on((2, 3), (2, 3)), on((3,), (2, 1)), on((), ())]
# v = 0 counts for more than an infinite logarithm
floating("xlogy", lambda xp, x, other: xp.where(
             xp.isnan(other), nan, x * xp.log(xp.where(x == 0, xp.ones_like(x), other))),
         dx=lambda F, v, x, other: F.where(
             (x == 0) & (other <= 0), 0, F.xlogy(v, other)),
         dother=lambda F, v, x, other: v * x / other, complex=False, domain={"other": _POSITIVE},
         samples=_PAIR, aliases=("special.xlogy",))

# distance, angle and mixtures -------------------------------------------------------------------
def _over_square(F: Any, v: Any, x: Any, other: Any) -> Any:
    """v over the square of the distance from 0, which may not be a number; 0 at 0, as PyTorch."""
    none = F.logical_and(x == 0, other == 0)
    distance = F.hypot(x, F.where(none, 1, other))
    return F.where(none, 0, v / distance / distance)


def _lerp(xp: Any, x: Any, end: Any, weight: Any) -> Any:
    """From the nearer end, so that both ends are met exactly."""
    near, far = x + weight * (end - x), end - (1 - weight) * (end - x)
    if isinstance(weight, (int, float, complex)):
        return near if abs(weight) < 0.5 else far
    return xp.where(xp.abs(weight) < 0.5, near, far)


floating("hypot", dx=lambda F, x, y: x / y, dother=lambda F, other, y: other / y, complex=False)
floating("atan2", dx=lambda F, x, other: _over_square(F, other, x, other),
         dother=lambda F, x, other: _over_square(F, -x, x, other),
         complex=False, aliases=("arctan2",))
elementwise("lerp", _lerp, nodes={"weight": 1},
            dx=lambda F, weight: 1 - weight, dend=lambda F, weight: weight,
            dweight=lambda F, x, end: end - x)
elementwise("addcmul", lambda xp, x, tensor1, tensor2, *, value=1: x + value * tensor1 * tensor2,
            dx=1, dtensor1=lambda F, tensor2, value: tensor2 * value,
            dtensor2=lambda F, tensor1, value: tensor1 * value)
elementwise("addcdiv", lambda xp, x, tensor1, tensor2, *, value=1: x + value * tensor1 / tensor2,
            dx=1, dtensor1=lambda F, tensor2, value: value / tensor2, kinks={"tensor2": (0.0,)},
            dtensor2=lambda F, tensor1, tensor2, value: -value * (tensor1 / tensor2) / tensor2)


# choice -----------------------------------------------------------------------------------------
def _clamped(F: Any, x: Any, min: Any, max: Any, v: Any, of_min: Any, of_max: Any) -> Any:
    """What belongs to ``x`` inside the bounds (ends included), to the bound outside."""
    part = v if min is None else F.where(x < min, of_min, v)
    if max is None:
        return part
    above = x > max if min is None else F.logical_or(x > max, min > max)
    return F.where(above, of_max, part)


def _clamp(xp: Any, x: Any, min: Any = None, max: Any = None) -> Any:
    if min is None and max is None:
        raise RuntimeError("clamp needs min, max or both, got neither")
    # a bound that is nan makes nan
    y = x if min is None else xp.where((x < min) | (min != min), min, x)
    return y if max is None else xp.where((y > max) | (max != max), max, y)


_CHOICE: dict[str, Any] = {"complex": False, "kinks": "ties"}
# at a tie half of each
elementwise("maximum", "maximum", inplace=False, samples=_PAIR, **_CHOICE,
            dx=lambda F, v, x, other: F.where(x == other, v / 2, F.where(x < other, 0, v)),
            dother=lambda F, v, x, other: F.where(x == other, v / 2, F.where(x < other, v, 0)))
elementwise("minimum", "minimum", inplace=False, samples=_PAIR, **_CHOICE,
            dx=lambda F, v, x, other: F.where(x == other, v / 2, F.where(x < other, v, 0)),
            dother=lambda F, v, x, other: F.where(x == other, v / 2, F.where(x < other, 0, v)))
elementwise("clamp", _clamp, node="ClampBackward1", nodes={"min": 0, "max": 0}, aliases=("clip",),
            dx=lambda F, v, x, min, max: _clamped(F, x, min, max, v, 0, 0),
            dmin=lambda F, v, x, min, max: _clamped(F, x, min, max, F.zeros_like(v), v, 0),
            dmax=lambda F, v, x, min, max: _clamped(F, x, min, max, F.zeros_like(v), 0, v),
            samples=[on((2, 3), -0.5, 0.5), on((2, 3), None, 0.5), on((2, 3), (3,), (2, 1))],
            **_CHOICE)
elementwise("clamp_min", lambda xp, x, min: _clamp(xp, x, min), nodes={"min": 1},
            dx=lambda F, v, x, min: F.where(x >= min, v, 0), **_CHOICE,
            dmin=lambda F, v, x, min: F.where(x < min, v, 0),
            samples=[on((2, 3), 0.1), on((2, 3), (3,))])
elementwise("clamp_max", lambda xp, x, max: _clamp(xp, x, None, max), nodes={"max": 1},
            dx=lambda F, v, x, max: F.where(x <= max, v, 0), **_CHOICE,
            dmax=lambda F, v, x, max: F.where(x > max, v, 0),
            samples=[on((2, 3), 0.1), on((2, 3), (3,))])
linear("where", lambda xp, condition, x, other: xp.where(condition, x, other),
       transpose_x=lambda F, g, condition: F.where(condition, g, 0),
       transpose_other=lambda F, g, condition: F.where(condition, 0, g),
       promotion="promote", methods=(), fill={"condition": "bool"},
       samples=[on((2, 3), (2, 3), (2, 3)), on((2, 1), (3,), ())])
composite("_where", lambda F, x, condition, other: F.where(condition, x, other), methods=("where",))
