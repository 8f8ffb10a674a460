"""Activation functions of neural networks."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from reference_engine.ops.opdef import composite, elementwise, on

# rows are laid out by hand
# fmt: off

_ROW: dict[str, Any] = {"complex": False, "promotion": "keep"}
_KINK: dict[str, Any] = {**_ROW, "kinks": {"x": (0.0,)}}


def _prelu(F: Any, x: Any, weight: Any) -> Any:
    """One slope for all, or one for each channel of x (N, C, ...)."""
    shape = (-1, *(1,) * (x.ndim - 2)) if weight.ndim and x.ndim > 1 else ()
    return F._prelu(x, F.reshape(weight, shape=shape))


# pieces of straight lines -------------------------------------------------------------------------
def _piece(F: Any, passes: Any, v: Any, other: Any, x: Any) -> Any:
    """``v`` on some pieces of x and ``other`` elsewhere: to PyTorch a function of x too, whose
    derivative is 0, and so one that can be differentiated again.
    """
    return F._beside(F.where(passes, v, other), x)


elementwise("_beside", lambda xp, value, x: value, dvalue=1, dx=lambda F, v: F.zeros_like(v),
            samples=[on((2, 3), (2, 3)), on((), ())])
elementwise("relu", lambda xp, x: xp.where(x > 0, x, xp.where(xp.isnan(x), x, 0)),
            dx=lambda F, v, y: _piece(F, y > 0, v, 0, y), samples=[on((2, 3)), on(())], **_KINK)
composite("nn.functional.relu", lambda F, x, inplace=False: x.relu_() if inplace else F.relu(x),
          complex=False, samples=[on((2, 3))])
elementwise("nn.functional.leaky_relu", lambda xp, x, *, negative_slope=0.01: xp.where(
                x > 0, x, x * negative_slope), **_KINK,
            dx=lambda F, v, x, negative_slope: _piece(F, x > 0, v, v * negative_slope, x))
elementwise("nn.functional.hardtanh", lambda xp, x, *, min_val=-1.0, max_val=1.0: xp.clip(
                x, min_val, max_val), kinks={"x": ("min_val", "max_val")}, **_ROW,
            dx=lambda F, v, x, min_val, max_val: _piece(
                F, F.logical_and(x > min_val, x < max_val), v, 0, x))
elementwise("nn.functional.relu6", lambda xp, x: xp.clip(x, 0.0, 6.0), node="HardtanhBackward0",
            dx=lambda F, v, x: _piece(F, F.logical_and(x > 0, x < 6), v, 0, x),
            kinks={"x": (0.0, 6.0)}, **_ROW)
elementwise("nn.functional.hardsigmoid", lambda xp, x: xp.clip(x + 3, 0.0, 6.0) / 6, **_ROW,
            dx=lambda F, v, x: F.where(F.logical_and(x > -3, x < 3), v / 6, 0),
            kinks={"x": (-3.0, 3.0)})
elementwise("nn.functional.hardswish", lambda xp, x: x * xp.clip(x + 3, 0.0, 6.0) / 6, **_ROW,
            dx=lambda F, x: F.where(x <= -3, 0, F.where(x < 3, x / 3 + 0.5, 1)),
            kinks={"x": (-3.0, 3.0)})
elementwise("nn.functional.threshold", lambda xp, x, *, threshold, value: xp.where(
                x > threshold, x, value), kinks={"x": ("threshold",)}, **_ROW,
            dx=lambda F, v, x, threshold: _piece(F, x > threshold, v, 0, x),
            samples=[on((2, 3), threshold=0.1, value=2.0)])
for _name, _forward in (
    ("hardshrink", lambda xp, x, *, lambd=0.5: xp.where(xp.abs(x) <= lambd, 0, x)),
    ("softshrink", lambda xp, x, *, lambd=0.5: x - xp.clip(x, -lambd, lambd))):
    elementwise(f"nn.functional.{_name}", _forward, kinks={"x": (0.5, -0.5)}, **_ROW,
                dx=lambda F, v, x, lambd: _piece(F, F.abs(x) > lambd, v, 0, x))
elementwise("_prelu", lambda xp, x, weight: xp.where(x > 0, x, weight * x), **_KINK,
            dx=lambda F, x, weight: _piece(F, x > 0, 1, weight, x),
            dweight=lambda F, x: F.where(x > 0, 0, x), node="PreluKernelBackward0")
composite("nn.functional.prelu", _prelu, complex=False, samples=[
    on((2, 3), (1,)), on((2, 3, 2), (3,)), on((), (1,))])


# exponential --------------------------------------------------------------------------------------
def _elu(xp: Any, x: Any, alpha: float, scale: float = 1.0, inner: float = 1.0) -> Any:
    bent = xp.expm1(xp.where(x > 0, 0, x) * inner) * (alpha * scale)
    return xp.where(x > 0, x * scale, bent)


def _elu_slope(F: Any, x: Any, alpha: float, scale: float = 1.0, inner: float = 1.0) -> Any:
    # the exponential of what is not selected must not overflow: its gradient would be 0 · inf; at
    # 0 that of the slope is 0, as in PyTorch
    bent = F.exp(F.where(x >= 0, 0, x) * inner) * (alpha * scale * inner)
    return F.where(x > 0, scale, bent)


def _softplus(xp: Any, x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    z = x * beta
    # log(1 + eᶻ) = max(z, 0) + log1p(e^−|z|)
    smooth = xp.where(z > 0, z, 0) + xp.log1p(xp.exp(-xp.abs(z)))
    return xp.where(z > threshold, x, smooth / beta)


_SELU = 1.6732632423543772, 1.0507009873554805
elementwise("nn.functional.elu", lambda xp, x, *, alpha=1.0: _elu(xp, x, alpha),
            dx=lambda F, x, alpha: _elu_slope(F, x, alpha), **_KINK)
elementwise("nn.functional.celu", lambda xp, x, *, alpha=1.0: _elu(xp, x, alpha, 1.0, 1 / alpha),
            dx=lambda F, x, alpha: _elu_slope(F, x, alpha, 1.0, 1 / alpha), **_KINK)
elementwise("nn.functional.selu", lambda xp, x: _elu(xp, x, *_SELU), node="EluBackward0",
            dx=lambda F, x: _elu_slope(F, x, *_SELU), **_KINK)
elementwise("nn.functional.softplus", _softplus, dx=lambda F, x, beta, threshold: F.where(
                x * beta > threshold, 1, F._sigmoid(x * beta)), **_ROW)
elementwise("nn.functional.logsigmoid", lambda xp, x: -_softplus(xp, -x, threshold=1e300),
            dx=lambda F, x: F._sigmoid(-x), node="LogSigmoidBackward0", **_ROW)


# smooth gates -------------------------------------------------------------------------------------
_BEND = sqrt(2 / pi)


def _gelu(xp: Any, x: Any, *, approximate: str = "none") -> Any:
    """Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415."""
    if approximate == "tanh":
        return x * 0.5 * (1 + xp.tanh(_BEND * (x + 0.044715 * x * x * x)))
    if approximate != "none":
        raise RuntimeError(f"gelu got approximate={approximate!r}; expected 'none' or 'tanh'")
    return x * 0.5 * xp.erfc(x * -sqrt(0.5))


def _gelu_slope(F: Any, x: Any, approximate: str) -> Any:
    if approximate == "tanh":
        bend = F.tanh((x + x * x * x * 0.044715) * _BEND)
        inner = (x * x * (3 * 0.044715) + 1) * _BEND
        return (bend + 1) * 0.5 + x * 0.5 * (1 - bend * bend) * inner
    density = F.exp(x * x * -0.5) * (1 / sqrt(2 * pi))
    return F.erfc(x * -sqrt(0.5)) * 0.5 + x * density


def _mish_slope(F: Any, x: Any) -> Any:
    bend = F.tanh(F.softplus(x))
    return bend + x * (1 - bend * bend) * F._sigmoid(x)


def _glu(F: Any, x: Any, dim: int = -1) -> Any:
    if x.shape[dim] % 2:
        raise RuntimeError(f"glu halves dimension {dim}, which has the odd size {x.shape[dim]}")
    value, gate = F.chunk(x, chunks=2, dim=dim)
    return value * F.sigmoid(gate)


elementwise("nn.functional.gelu", _gelu, dx=_gelu_slope, **_ROW,
            samples=[on((2, 3)), on((2, 3), approximate="tanh")])
elementwise("nn.functional.silu", lambda xp, x: x * xp.sigmoid(x), **_ROW,
            dx=lambda F, x: F._sigmoid(x) * (x * F._sigmoid(-x) + 1))
elementwise("nn.functional.mish", lambda xp, x: x * xp.tanh(_softplus(xp, x)), dx=_mish_slope,
            **_ROW)
composite("nn.functional.softsign", lambda F, x: x / (F.abs(x) + 1), samples=[on((2, 3))])
composite("nn.functional.tanhshrink", lambda F, x: x - F.tanh(x), samples=[on((2, 3))])
composite("nn.functional.softmin", lambda F, x, dim, *, dtype=None: F.softmax(
    -x, dim=dim, dtype=dtype), complex=False, samples=[on((2, 3), dim=1)])
composite("nn.functional.glu", _glu, complex=False, samples=[on((2, 4))])
