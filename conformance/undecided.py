"""Random programs about which nothing was decided: where they are found again, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from conformance.compare.difference import DISAGREEMENT

FIRST = 3
"""How many places are kept of a reason that need not be looked at."""


@dataclass(frozen=True, slots=True, order=True)
class Undecided:
    """A program about which nothing was decided.

    chunk, number: its place in the run. text: the program, where the oracles disagree about it.
    """

    chunk: int
    number: int
    reason: str
    text: str = ""

    @property
    def place(self) -> str:
        """Return where the run has the program, in words."""
        return f"chunk {self.chunk}, number {self.number}"


def disagreed(reason: str) -> bool:
    """Tell whether the reason is that the oracles disagree."""
    return reason.startswith(DISAGREEMENT)


def worth_keeping(found: Iterable[Undecided]) -> list[Undecided]:
    """Return all that the oracles disagree about and the first few of every other reason, in order.

    What is kept of parts is enough for the whole: the order in which parts end changes nothing.
    """
    seen: Counter[str] = Counter()
    kept = []
    for one in sorted(found):
        seen[one.reason] += 1
        if disagreed(one.reason) or seen[one.reason] <= FIRST:
            kept.append(one)
    return kept


def sentences(doubts: Counter[str], places: Iterable[Undecided]) -> Iterator[str]:
    """Yield how often each reason came up, and where it did, as far as that was kept."""
    where: dict[str, list[str]] = {}
    for one in places:
        where.setdefault(one.reason, []).append(one.place)
    for reason, times in sorted(doubts.items()):
        kept = where.get(reason, [])
        first = "first " if len(kept) < times else ""
        yield f"{times} x {reason}" + (f" ({first}{'; '.join(kept)})" if kept else "")
