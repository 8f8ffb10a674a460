"""Tensors like another, and what is written into tensors."""

from __future__ import annotations

from typing import Any

from reference_engine.backends.dtypes import int64
from reference_engine.backends.memory_format import laid_out
from reference_engine.ops.opdef import elementwise, linear, nondiff, on, own

# rows are laid out by hand
# fmt: off


def _written(xp: Any, x: Any, value: Any) -> Any:
    """``value`` in the shape and dtype of ``x``."""
    if not hasattr(value, "shape"):
        return xp.full_like(x, value)
    return xp.copy(xp.expand(xp.cast(value, xp.dtype_of(x)), tuple(x.shape)))


def _drawn(kind: str, xp: Any, x: Any) -> Any:
    """Random numbers in the shape of x."""
    return xp.random(kind, tuple(x.shape), xp.dtype_of(x), str(x.device))


_UNRELATED: dict[str, Any] = {
    "inplace": True, "vjp_x": lambda F, g: F.zeros_like(g), "jvp": lambda F, t_x: F.zeros_like(t_x)}
nondiff("zeros_like", lambda xp, x: xp.zeros_like(x), methods=())
nondiff("ones_like", lambda xp, x: xp.ones_like(x), methods=())
# for rules: zeros of another size, and integers
nondiff("zeros_of", lambda xp, x, *, size: xp.zeros(tuple(size), dtype=x.dtype, device=x.device),
        methods=())
nondiff("_numbers_of", lambda xp, x, *, values: xp.asarray(values, int64, x.device))
elementwise("fill", _written, dx=0, dvalue=1, promotion="keep", nodes={"value": 1},
            samples=[on((2, 3), ())])
elementwise("copy", lambda xp, x, src, *, non_blocking=False: _written(xp, x, src), dx=0, dsrc=1,
            promotion="keep", node="CopyBackwards", samples=[on((2, 3), (3,))])
elementwise("zero", lambda xp, x: xp.zeros_like(x), dx=0, promotion="keep")
own("uniform", lambda xp, x, *, a=0.0, b=1.0: _drawn("uniform", xp, x) * (b - a) + a, **_UNRELATED)
own("normal", lambda xp, x, *, mean=0.0, std=1.0: _drawn("normal", xp, x) * std + mean,
    **_UNRELATED)
linear("clone", lambda xp, x, *, memory_format=None: laid_out(xp, x, memory_format),
       transpose=lambda F, g: g)
linear("_to_copy",
       lambda xp, x, *, dtype: xp.copy(x) if xp.dtype_of(x) is dtype else xp.cast(x, dtype),
       transpose=lambda F, g, x_dtype: F._to_copy(g, dtype=x_dtype))
linear("_to_device", lambda xp, x, *, device: device.backend.asarray(
           x, xp.dtype_of(x), device.raw), node="ToCopyBackward0",
       transpose=lambda F, g, x_device: F._to_device(g, device=x_device))
