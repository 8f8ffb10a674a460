"""Reductions."""

from __future__ import annotations

from typing import Any

from reference_engine.ops.opdef import linear


def keep_dims(F: Any, g: Any, shape: tuple[int, ...], dim: Any, keepdim: bool) -> Any:
    """A reduced cotangent with the reduced dimensions back, as ones."""
    if keepdim:
        return g
    reduced = reduced_dims(dim, len(shape))
    return F.reshape(g, shape=tuple(1 if i in reduced else n for i, n in enumerate(shape)))


def reduced_dims(dim: Any, ndim: int) -> frozenset[int]:
    """The dimensions that ``dim`` names: all of them for None or ()."""
    if dim is None or dim == ():
        return frozenset(range(ndim))
    return frozenset(d % ndim if ndim else 0 for d in ((dim,) if isinstance(dim, int) else dim))


linear(
    "sum",
    lambda xp, x, *, dim=None, keepdim=False: xp.sum(x, axis=dim or None, keepdims=keepdim)
    if dim != 0
    else xp.sum(x, axis=0 if x.ndim else None, keepdims=keepdim),
    transpose=lambda F, g, x_shape, dim, keepdim: F.expand(
        keep_dims(F, g, x_shape, dim, keepdim), size=x_shape
    ),
)
