"""Tensors like another, and what is written into tensors."""

from __future__ import annotations

from typing import Any

from reference_engine.ops.opdef import elementwise, linear, nondiff

nondiff("zeros_like", lambda xp, x: xp.zeros_like(x), methods=())
nondiff("ones_like", lambda xp, x: xp.ones_like(x), methods=())
# for rules: zeros of another size
nondiff("zeros_of", lambda xp, x, *, size: xp.zeros(tuple(size), dtype=x.dtype, device=x.device),
        methods=())  # fmt: skip


def _written(xp: Any, x: Any, value: Any) -> Any:
    """``value`` in the shape and dtype of ``x``."""
    if not hasattr(value, "shape"):
        return xp.full_like(x, value)
    return xp.copy(xp.expand(xp.cast(value, xp.dtype_of(x)), tuple(x.shape)))


elementwise("fill", _written, dx=0, dvalue=1, promotion="keep", methods=("fill",),
            samples=[(((2, 3), ()), {})])  # fmt: skip
elementwise("copy", lambda xp, x, src, *, non_blocking=False: _written(xp, x, src), dx=0, dsrc=1,
            promotion="keep", methods=("copy",), node="CopyBackwards",
            samples=[(((2, 3), (3,)), {})])  # fmt: skip
elementwise("zero", lambda xp, x: xp.zeros_like(x), dx=0, promotion="keep", methods=("zero",))
linear("clone", lambda xp, x, *, memory_format=None: xp.copy(x), transpose=lambda F, g: g)
linear("_to_copy", lambda xp, x, *, dtype: xp.copy(x) if xp.dtype_of(x) is dtype else xp.cast(x,
       dtype),
       transpose=lambda F, g: g, node="ToCopyBackward0")  # fmt: skip
