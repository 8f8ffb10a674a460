"""Choices: decisions read off one byte string, simplest first.

Hypothesis draws the bytes of a whole program at once, which is several times faster than one draw a
decision. Zero bytes, and those after the end, choose the simplest alternative, so that shrinking
the bytes shrinks the program. Decisions that belong together are read from a part of fixed width:
changing them leaves the meaning of all later bytes as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """A reader of decisions from bytes."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """Return the next byte, 0 after the end."""
        at = self._at
        self._at = at + 1
        return self._data[at] if at < len(self._data) else 0

    def below(self, count: int) -> int:
        """Return one of 0 … count - 1; count is at most 256."""
        return self.byte() % count

    def between(self, least: int, most: int) -> int:
        """Return one of least … most, `least` being the simplest."""
        return least + self.byte() % (most - least + 1)

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items, the first being the simplest."""
        return items[self.byte() % len(items)]

    def flag(self) -> bool:
        """Return a truth value, False being the simplest."""
        return self.byte() % 2 == 1

    def seed(self) -> int:
        """Return a seed of two bytes for the numbers of a leaf."""
        return self.byte() * 256 + self.byte()

    def part(self, width: int) -> Choices:
        """Return the decisions of the next `width` bytes, and go on after them."""
        at = self._at
        self._at = at + width
        return Choices(self._data[at : at + width])
