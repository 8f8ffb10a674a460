"""Activation functions of neural networks."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

from reference_engine.ops.opdef import composite, elementwise, own

_ZERO = {"x": (0.0,)}
_ROW: dict[str, Any] = {"complex": False, "promotion": "keep"}
_KINK: dict[str, Any] = {**_ROW, "kinks": _ZERO}


def _at(F: Any, inside: Any, x: Any, within: Any, beyond: Any) -> Any:
    """``within`` where ``inside`` holds, else ``beyond``, in the dtype of ``x``."""
    return F.where(inside, F.ones_like(x) * within, beyond)


# pieces of straight lines -------------------------------------------------------------------------
own("relu", lambda xp, x: xp.where(x > 0, x, xp.where(xp.isnan(x), x, 0)),
    complex=False, inplace=True,
    vjp_x=lambda F, g, y: F.where(y > 0, g, 0), jvp=lambda F, y, t_x: F.where(y > 0, t_x, 0),
    kinks=_ZERO, samples=[(((2, 3),), {}), (((),), {})])  # fmt: skip
elementwise("nn.functional.leaky_relu", lambda xp, x, *, negative_slope=0.01: xp.where(
                x > 0, x, x * negative_slope),
            dx=lambda F, x, negative_slope: _at(F, x > 0, x, 1, negative_slope),
            **_KINK)  # fmt: skip
elementwise("nn.functional.hardtanh", lambda xp, x, *, min_val=-1.0, max_val=1.0: xp.clip(
                x, min_val, max_val),
            dx=lambda F, x, min_val, max_val: _at(
                F, F.logical_and(x > min_val, x < max_val), x, 1, 0),
            kinks={"x": ("min_val", "max_val")}, **_ROW)  # fmt: skip
elementwise("nn.functional.relu6", lambda xp, x: xp.clip(x, 0.0, 6.0), node="HardtanhBackward0",
            dx=lambda F, x: _at(F, F.logical_and(x > 0, x < 6), x, 1, 0),
            kinks={"x": (0.0, 6.0)}, **_ROW)  # fmt: skip
elementwise("nn.functional.hardsigmoid", lambda xp, x: xp.clip(x + 3, 0.0, 6.0) / 6,
            dx=lambda F, x: _at(F, F.logical_and(x > -3, x < 3), x, 1 / 6, 0),
            kinks={"x": (-3.0, 3.0)}, **_ROW)  # fmt: skip
elementwise("nn.functional.hardswish", lambda xp, x: x * xp.clip(x + 3, 0.0, 6.0) / 6,
            dx=lambda F, x: F.where(x < -3, 0, F.where(x <= 3, x / 3 + 0.5, 1)),
            kinks={"x": (-3.0, 3.0)}, **_ROW)  # fmt: skip
elementwise("nn.functional.hardshrink", lambda xp, x, *, lambd=0.5: xp.where(
                xp.abs(x) <= lambd, 0, x),
            dx=lambda F, x, lambd: _at(F, F.abs(x) > lambd, x, 1, 0), kinks={"x": (0.5, -0.5)},
            **_ROW)  # fmt: skip
elementwise("nn.functional.softshrink", lambda xp, x, *, lambd=0.5: x - xp.clip(x, -lambd, lambd),
            dx=lambda F, x, lambd: _at(F, F.abs(x) > lambd, x, 1, 0), kinks={"x": (0.5, -0.5)},
            **_ROW)  # fmt: skip
elementwise("nn.functional.threshold", lambda xp, x, *, threshold, value: xp.where(
                x > threshold, x, value),
            dx=lambda F, x, threshold: _at(F, x > threshold, x, 1, 0),
            kinks={"x": ("threshold",)}, samples=[(((2, 3),), {"threshold": 0.1, "value": 2.0})],
            **_ROW)  # fmt: skip
elementwise("_prelu", lambda xp, x, weight: xp.where(x > 0, x, weight * x),
            dx=lambda F, x, weight: F.where(x > 0, 1, weight),
            dweight=lambda F, x: F.where(x > 0, 0, x), node="PreluKernelBackward0",
            **_KINK)  # fmt: skip


def _prelu(F: Any, x: Any, weight: Any) -> Any:
    """One slope for all, or one for each channel of x (N, C, ...)."""
    shape = (-1, *(1,) * (x.ndim - 2)) if weight.ndim and x.ndim > 1 else ()
    return F._prelu(x, F.reshape(weight, shape=shape))


composite("nn.functional.prelu", _prelu, complex=False, samples=[
    (((2, 3), (1,)), {}), (((2, 3, 2), (3,)), {}), (((), (1,)), {})])  # fmt: skip


# exponential --------------------------------------------------------------------------------------
def _elu(xp: Any, x: Any, alpha: float, scale: float, inner: float) -> Any:
    bent = xp.expm1(xp.where(x > 0, 0, x) * inner) * (alpha * scale)
    return xp.where(x > 0, x * scale, bent)


def _elu_slope(F: Any, x: Any, alpha: float, scale: float, inner: float) -> Any:
    # the exponential of what is not selected must not overflow: its gradient would be 0 · inf
    bent = F.exp(F.where(x > 0, 0, x) * inner) * (alpha * scale * inner)
    return F.where(x > 0, scale, bent)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
elementwise("nn.functional.elu", lambda xp, x, *, alpha=1.0: _elu(xp, x, alpha, 1.0, 1.0),
            dx=lambda F, x, alpha: _elu_slope(F, x, alpha, 1.0, 1.0), **_KINK)  # fmt: skip
elementwise("nn.functional.celu", lambda xp, x, *, alpha=1.0: _elu(xp, x, alpha, 1.0, 1 / alpha),
            dx=lambda F, x, alpha: _elu_slope(F, x, alpha, 1.0, 1 / alpha), **_KINK)  # fmt: skip
elementwise("nn.functional.selu", lambda xp, x: _elu(xp, x, _SELU_ALPHA, _SELU_SCALE, 1.0),
            dx=lambda F, x: _elu_slope(F, x, _SELU_ALPHA, _SELU_SCALE, 1.0), node="EluBackward0",
            **_KINK)  # fmt: skip


def _softplus(xp: Any, x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    z = x * beta
    # log(1 + eᶻ) = max(z, 0) + log1p(e^−|z|)
    smooth = xp.where(z > 0, z, 0) + xp.log1p(xp.exp(-xp.abs(z)))
    return xp.where(z > threshold, x, smooth / beta)


elementwise("nn.functional.softplus", _softplus, dx=lambda F, x, beta, threshold: F.where(
                x * beta > threshold, 1, F.sigmoid(x * beta)), **_ROW)  # fmt: skip
elementwise("nn.functional.logsigmoid", lambda xp, x: -_softplus(xp, -x, threshold=1e300),
            dx=lambda F, x: F.sigmoid(-x), node="LogSigmoidBackward0", **_ROW)  # fmt: skip


# smooth gates -------------------------------------------------------------------------------------
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


_BEND = sqrt(2 / pi)
elementwise("nn.functional.gelu", _gelu, dx=_gelu_slope,
            samples=[(((2, 3),), {}), (((2, 3),), {"approximate": "tanh"})], **_ROW)  # fmt: skip


def _silu_slope(F: Any, x: Any) -> Any:
    s = F.sigmoid(x)
    return s * (x * (1 - s) + 1)


def _mish_slope(F: Any, x: Any) -> Any:
    bend = F.tanh(F.softplus(x))
    return bend + x * (1 - bend * bend) * F.sigmoid(x)


elementwise("nn.functional.silu", lambda xp, x: x * xp.sigmoid(x), dx=_silu_slope, **_ROW)
elementwise("nn.functional.mish", lambda xp, x: x * xp.tanh(_softplus(xp, x)), dx=_mish_slope,
            **_ROW)  # fmt: skip
composite("nn.functional.softsign", lambda F, x: x / (F.abs(x) + 1), samples=[(((2, 3),), {})])
composite("nn.functional.tanhshrink", lambda F, x: x - F.tanh(x), samples=[(((2, 3),), {})])
composite("nn.functional.softmin", lambda F, x, dim, *, dtype=None: F.softmax(
              -x, dim=dim, dtype=dtype), complex=False,
          samples=[(((2, 3),), {"dim": 1})])  # fmt: skip


def _glu(F: Any, x: Any, dim: int = -1) -> Any:
    if x.shape[dim] % 2:
        raise RuntimeError(f"glu halves dimension {dim}, which has the odd size {x.shape[dim]}")
    value, gate = F.chunk(x, chunks=2, dim=dim)
    return value * F.sigmoid(gate)


composite("nn.functional.glu", _glu, complex=False, samples=[(((2, 4),), {})])


def _relu(F: Any, x: Any, inplace: bool = False) -> Any:
    return x.relu_() if inplace else F.relu(x)


composite("nn.functional.relu", _relu, complex=False, samples=[(((2, 3),), {})])
