"""Complex numbers: their parts, and numbers made of parts. Linear over the reals."""

from __future__ import annotations

from math import inf, pi
from typing import Any

import numpy as np

from reference_engine.backends.numpy_backend import NUMPY
from reference_engine.ops.opdef import composite, linear, on, own
from reference_engine.ops.reduction import is_complex

# rows are laid out by hand
# fmt: off

_COMPLEX: dict[str, Any] = {"fill": {"x": "complex"}, "samples": [on((2, 3)), on(())]}
_REAL: dict[str, Any] = {"complex": False, "promotion": "promote", "methods": ()}


def holds_complex(x: Any) -> bool:
    """Whether a raw array, tensor or number is complex."""
    kind = getattr(x, "dtype", None)
    if kind is None:
        return isinstance(x, complex)
    return bool(kind.is_complex) if hasattr(kind, "is_complex") else kind.kind == "c"


def _needing_complex(name: str, x: Any) -> Any:
    if not holds_complex(x):
        raise RuntimeError(f"{name} needs a complex tensor, got dtype {x.dtype}")
    return x


def _as_complex(xp: Any, x: Any) -> Any:
    if x.ndim == 0 or x.shape[-1] != 2:
        raise RuntimeError(
            f"view_as_complex needs a last dimension of 2, got shape {tuple(x.shape)}")
    if xp.strides(x)[-1] != 1:
        raise RuntimeError("view_as_complex needs a last dimension of neighbours; use contiguous()")
    return xp.view_as_complex(x)


def _numpy_complex(real: Any, imag: Any) -> Any:
    # not real + 1j * imag, which makes nan of an infinite part
    out = np.empty(
        np.broadcast_shapes(np.shape(real), np.shape(imag)), np.result_type(real, np.complex64))
    out.real, out.imag = real, imag
    return out


NUMPY.define("view_as_real", lambda x: x[..., None].view(x.real.dtype))
NUMPY.define("view_as_complex", lambda x: x.view(np.result_type(x, np.complex64))[..., 0])
NUMPY.define("complex", _numpy_complex)
linear("_conj", lambda xp, x: xp.conj(x), transpose=lambda F, g: F.conj(g), node="ConjBackward0",
       **_COMPLEX)
linear("_real", lambda xp, x: xp.real(x), view=True, transpose=lambda F, g: F.complex(g, g * 0),
       node="SelectBackward0", **_COMPLEX)
linear("_imag", lambda xp, x: xp.imag(x), view=True, transpose=lambda F, g: F.complex(g * 0, g),
       node="SelectBackward0", **_COMPLEX)
# the conjugate and the real part of a real tensor are that tensor, as in PyTorch
composite("conj", lambda F, x: F._conj(x) if holds_complex(x) else x, aliases=("conj_physical",))
composite("resolve_conj", lambda F, x: x)
composite("real", lambda F, x: F._real(x) if holds_complex(x) else x, methods=())
composite("imag", lambda F, x: F._imag(_needing_complex("imag", x)), methods=())
linear("view_as_real", lambda xp, x: xp.view_as_real(_needing_complex("view_as_real", x)),
       transpose=lambda F, g: F.view_as_complex(F.clone(g)), view=True, methods=(), **_COMPLEX)
linear("view_as_complex", _as_complex, transpose=lambda F, g: F.view_as_real(g), view=True,
       methods=(), complex=False, samples=[on((3, 2)), on((2,))])
linear("complex", lambda xp, real, imag: xp.complex(real, imag), **_REAL,
       transpose_real=lambda F, g: F.real(g), transpose_imag=lambda F, g: F.imag(g),
       samples=[on((2, 3), (2, 3)), on((), ())])
own("polar", lambda xp, abs, angle: xp.complex(abs * xp.cos(angle), abs * xp.sin(angle)), **_REAL,
    vjp_abs=lambda F, g, angle: F.real(g * F.complex(F.cos(angle), -F.sin(angle))),
    vjp_angle=lambda F, g, y: F.real(g * F.conj(y * 1j)),
    jvp=lambda F, angle, y, t_abs, t_angle: F.complex(
        F.cos(angle), F.sin(angle)) * t_abs + y * 1j * t_angle,
    domain={"abs": (0.0, inf)}, samples=[on((2, 3), (2, 3))])


# magnitude and direction --------------------------------------------------------------------------
_NONZERO: Any = {"kinks": {"x": (0.0,)}, "samples": _COMPLEX["samples"]}


def _tangential(F: Any, v: Any, x: Any, y: Any) -> Any:
    """What of ``v`` turns the unit vector y = x/|x|, divided by |x|; 0 at x = 0, as in PyTorch.

    The map is its own transpose, so it serves as vjp and as jvp.
    """
    if not holds_complex(x):
        return v * 0
    size = F.abs(x)
    across = v - y * F.real(F.conj(y) * v)
    return F.where(size == 0, 0, across / F.where(size == 0, 1, size))


def _angle(xp: Any, x: Any) -> Any:
    if is_complex(xp, x):
        return xp.atan2(xp.imag(x), xp.real(x))
    return xp.where(xp.isnan(x), x, xp.where(x < 0, xp.full_like(x, pi), 0))


def _normal(F: Any, x: Any) -> Any:
    """Direction in which the angle grows, over |x|: i·x/|x|²; 0 for real numbers and at 0."""
    if not holds_complex(x):
        return F.nan_to_num(x) * 0
    squared = F.square(F.real(x)) + F.square(F.imag(x))
    return F.where(squared == 0, 0, x * 1j / F.where(squared == 0, 1, squared))


own("abs", "abs", vjp_x=lambda F, g, x: g * F.sgn(x), promotion="promote", inplace=True,
    jvp=lambda F, x, t_x: F.real(F.conj(F.sgn(x)) * t_x), aliases=("absolute",), **_NONZERO)
own("sgn", "sgn", vjp_x=lambda F, g, x, y: _tangential(F, g, x, y), promotion="promote",
    jvp=lambda F, t_x, x, y: _tangential(F, t_x, x, y), inplace=True, **_NONZERO)
own("angle", _angle, vjp_x=lambda F, g, x: g * _normal(F, x), promotion="float",
    jvp=lambda F, t_x, x: F.real(F.conj(_normal(F, x)) * t_x), **_NONZERO)
