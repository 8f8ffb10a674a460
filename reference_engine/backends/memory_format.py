"""Orders of elements in memory that a copy may be asked for."""

from __future__ import annotations

from enum import Enum
from typing import Any


class memory_format(Enum):  # noqa: N801  (PyTorch's name)
    """``torch.memory_format``: its value is the number of dimensions that it is for, if not any."""

    contiguous_format = "contiguous"
    preserve_format = "preserve"
    channels_last = 4
    channels_last_3d = 5


def laid_out(xp: Any, x: Any, order: memory_format | None) -> Any:
    """A copy of an array with its elements in an order; RuntimeError for another rank."""
    if order is None or isinstance(order.value, str):
        return xp.copy(x)
    if x.ndim != order.value:
        raise RuntimeError(f"{order.name} is for {order.value} dimensions, got {x.ndim}")
    back = (0, x.ndim - 1, *range(1, x.ndim - 1))
    return xp.permute_dims(xp.copy(xp.permute_dims(x, (0, *range(2, x.ndim), 1))), back)


def arranged_like(xp: Any, x: Any, like: Any) -> Any:
    """A copy of an array with its elements in the order of another of its shape, or row-major where
    that one's have gaps or overlap.

    Source: the "Default gradient layouts" of torch.autograd's documentation.
    """
    strides, due = xp.strides(like), 1
    if list(strides) == sorted(strides, reverse=True):  # nearly always
        return xp.copy(x)
    order = sorted(range(like.ndim), key=strides.__getitem__, reverse=True)
    for dim in reversed(order):
        if like.shape[dim] != 1 and strides[dim] != due:
            return xp.copy(x)
        due *= like.shape[dim]
    back = sorted(range(like.ndim), key=order.__getitem__)
    return xp.permute_dims(xp.copy(xp.permute_dims(x, tuple(order))), tuple(back))
