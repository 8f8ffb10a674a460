"""The shape of a tensor, as PyTorch gives it: a tuple that knows its number of elements."""

from __future__ import annotations

from math import prod


class Size(tuple[int, ...]):
    """The shape of a tensor."""

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements."""
        return prod(self)

    def __repr__(self) -> str:
        return f"Size({list(self)})"
