"""Writing whole tensors, and moving them: copy_, fill_, and the way to another device."""

from __future__ import annotations

from typing import Any

from reference_engine.ops.call import in_place_of
from reference_engine.ops.opdef import REGISTRY, linear
from reference_engine.tensor import Tensor

linear(
    "_to_device",
    lambda xp, x, *, device: device.backend.asarray(x, xp.dtype_of(x), device.raw),
    transpose=lambda F, g, x_device: F._to_device(g, device=x_device),
    node="ToCopyBackward0",
)


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:  # noqa: ARG001
    """Writes ``src``, broadcast and converted, into this tensor."""
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_ needs a Tensor, got {type(src).__name__}")
    if src.device != self.device:
        src = src.to(self.device)
    if src.dtype is not self.dtype:
        src = src.to(self.dtype)
    written: Tensor = in_place_of(REGISTRY["copy"])(self, src)
    return written


def fill_(self: Tensor, value: Any) -> Tensor:
    """Sets every element to one value, a number or a 0-d tensor."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"fill_ needs a number or a 0-d tensor, got shape {list(value.shape)}")
    written: Tensor = in_place_of(REGISTRY["fill"])(self, value)
    return written
