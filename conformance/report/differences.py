"""Where the observed text departs from the expected one, number by number."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBER = re.compile(
    r"((?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w)|\bnan\b|-?\binf\b)"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text; `differs` where its counterpart is another number."""

    text: str
    differs: bool = False


def compare_texts(expected: str, observed: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Split both texts so that the numbers in which they differ stand apart.

    Marks numbers only where the rest of the two texts agrees, as in `[1., 2.]` and `[1., 3.]`;
    texts of another structure come back whole, as there is no telling what corresponds to what.
    """
    left, right = _NUMBER.split(expected), _NUMBER.split(observed)
    alike = len(left) == len(right) and all(
        _bare(a) == _bare(b) for a, b in zip(left[::2], right[::2], strict=True)
    )
    if not alike:
        return (Part(expected),), (Part(observed),)
    differs = [
        index % 2 == 1 and not _same_number(a, b)
        for index, (a, b) in enumerate(zip(left, right, strict=True))
    ]
    return _parts(left, differs), _parts(right, differs)


def _bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _same_number(left: str, right: str) -> bool:
    a, b = float(left), float(right)
    return a == b or (math.isnan(a) and math.isnan(b))


def _parts(pieces: list[str], differs: list[bool]) -> tuple[Part, ...]:
    parts: list[Part] = []
    for text, differ in zip(pieces, differs, strict=True):
        if parts and not differ and not parts[-1].differs:
            parts[-1] = Part(parts[-1].text + text)
        elif text:
            parts.append(Part(text, differ))
    return tuple(parts)
