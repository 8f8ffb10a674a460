"""Shrinking a random program: its slots, their bytes, then its steps and its numbers."""

from __future__ import annotations

from conformance.program import Program
from conformance.promises import unpromised, up_to
from conformance.random_check import Checked, RandomCheck
from conformance.strategies.facts import Facts
from conformance.strategies.mixture import WIDTH, decode
from conformance.strategies.simplify import Spent, simplify
from conformance.verdict import Outcome

BUDGET = 400
"""Programs that may be judged to shrink one."""


def shrink(data: bytes, cause: str, facts: Facts, check: RandomCheck) -> Checked:
    """Return the smallest program found that fails for the cause, as the program of `data` does.

    First slots are emptied, many at once, then single bytes; what remains is a program whose steps
    are dropped and bypassed and whose leaves get short decimals (`simplify`).
    """
    shrinking = _Shrinking(cause, check)
    best = data
    try:
        size = len(data) // WIDTH
        while size >= 1:
            best = _emptied(best, size * WIDTH, facts, shrinking)
            size //= 2
        best = _emptied(best, 1, facts, shrinking)
    except Spent:
        pass
    found = shrinking.kept or check.check(decode(data, facts))
    program = up_to(unpromised(found.program), found.finding.step)
    smallest = simplify(program, shrinking.fails)
    plain = check.plainly(smallest)
    if plain.finding.outcome is Outcome.VIOLATED and plain.finding.cause == cause:
        return plain
    return shrinking.kept or found


def _emptied(data: bytes, width: int, facts: Facts, shrinking: _Shrinking) -> bytes:
    """Return the bytes with zeros wherever `width` of them can be had, the last ones first."""
    for at in range(len(data) - width, -1, -width):
        candidate = data[:at] + bytes(width) + data[at + width :]
        if candidate != data and shrinking.fails(decode(candidate, facts)):
            data = candidate
    return data


class _Shrinking:
    """Whether programs fail for a cause; how many more may be judged; the last that failed."""

    def __init__(self, cause: str, check: RandomCheck) -> None:
        self.cause, self.check = cause, check
        self.budget = BUDGET
        self.kept: Checked | None = None
        self._known: dict[Program, bool] = {}

    def fails(self, program: Program) -> bool:
        """Whether the program fails for the cause. Raises `Spent` once the budget is spent."""
        known = self._known.get(program)
        if known is False:
            return False
        if self.budget <= 0:
            raise Spent
        self.budget -= 1
        found = self.check.check(program)
        fails = found.finding.outcome is Outcome.VIOLATED and found.finding.cause == self.cause
        self._known[program] = fails
        if fails:
            self.kept = found
        return fails
