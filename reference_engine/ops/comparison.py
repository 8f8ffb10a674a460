"""Questions about numbers, and other functions without a derivative."""

from __future__ import annotations

from functools import partial
from typing import Any

from reference_engine.ops.dims import axes, axis
from reference_engine.ops.opdef import composite, elementwise, nondiff

# rows are laid out by hand
# fmt: off

_ORDER: dict[str, Any] = {"promotion": "promote", "inplace": True}
_BITS = _ORDER | {"inputs": ("x", "other")}

# operators, because torch.equal is another function, and Python numbers may be on either side
nondiff("eq", lambda xp, x, other: x == other, **_ORDER)
nondiff("ne", lambda xp, x, other: x != other, **_ORDER, aliases=("not_equal",))
nondiff("lt", lambda xp, x, other: x < other, **_ORDER, aliases=("less",))
nondiff("le", lambda xp, x, other: x <= other, **_ORDER, aliases=("less_equal",))
nondiff("gt", lambda xp, x, other: x > other, **_ORDER, aliases=("greater",))
nondiff("ge", lambda xp, x, other: x >= other, **_ORDER, aliases=("greater_equal",))


def _truth(xp: Any, x: Any) -> Any:
    return x if x.dtype == xp.bool else x != 0


def _place_of(xp: Any, x: Any, *, verb: str, dim: int | None = None, keepdim: bool = False) -> Any:
    where = None if dim is None or not x.ndim else axis(dim, x.ndim)
    return getattr(xp, verb)(x, axis=where, keepdims=keepdim)


nondiff("logical_and", lambda xp, x, other: _truth(xp, x) & _truth(xp, other), inplace=True)
nondiff("logical_or", lambda xp, x, other: _truth(xp, x) | _truth(xp, other), inplace=True)
nondiff("logical_xor", lambda xp, x, other: _truth(xp, x) ^ _truth(xp, other), inplace=True)
nondiff("logical_not", lambda xp, x: ~_truth(xp, x), inplace=True)
nondiff("bitwise_not", lambda xp, x: ~x, inplace=True)
for _name in ("bitwise_and", "bitwise_or", "bitwise_xor", "floor_divide"):
    nondiff(_name, **_BITS)
for _name in ("isnan", "isinf", "isfinite", "signbit"):
    nondiff(_name)
for _name in ("all", "any"):
    # over no dimensions, each element's own: other reductions take that for all
    nondiff(_name, partial(lambda xp, x, *, verb, dim=None, keepdim=False: getattr(xp, verb)(
        _truth(xp, x), axis=() if dim == () else axes(dim, x.ndim), keepdims=keepdim), verb=_name))
for _name in ("argmax", "argmin"):
    nondiff(_name, partial(_place_of, verb=_name))
# the neighbour of x moves with it
elementwise("nextafter", dx=1, dother=0, complex=False, kinks="ties")
nondiff("isclose", lambda xp, x, other, *, rtol=1e-5, atol=1e-8, equal_nan=False: xp.isclose(
    x, other, rtol=rtol, atol=atol, equal_nan=equal_nan))
nondiff("count_nonzero", lambda xp, x, *, dim=None: xp.sum(
    xp.astype(_truth(xp, x), xp.int64), axis=axes(dim, x.ndim)))
nondiff("_nonzero", lambda xp, x: xp.stack(xp.nonzero(x), -1) if x.ndim else xp.zeros(
    (int(x != 0), 0), dtype=xp.int64, device=x.device))
composite("nonzero", lambda F, x, *, as_tuple=False: F.unbind(F._nonzero(x), dim=1) if as_tuple
          else F._nonzero(x))
