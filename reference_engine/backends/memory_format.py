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
