"""Shrinking a random program: its slots, their bytes, then its steps and its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from conformance.execute import execute
from conformance.leaves import leaf_array
from conformance.program import Program
from conformance.promises import observed, unpromised, up_to
from conformance.random_check import FLOATS_OF_ORACLES, Checked, RandomCheck
from conformance.strategies.facts import Facts
from conformance.strategies.mixture import WIDTH, decode
from conformance.strategies.shapes import Shape
from conformance.strategies.simplify import Spent, simplify
from conformance.verdict import Outcome

BUDGET = 400
"""Programs that may be judged to shrink one."""
QUICK_BUDGET = 1500
"""Programs that may be run on both engines, without a judge, to shrink one."""


def shrink(data: bytes, cause: str, facts: Facts, check: RandomCheck) -> Checked:
    """Return the smallest program found that fails for the cause, as the program of `data` does.

    First slots are emptied, many at once, then single bytes; what remains is a program whose steps
    are dropped and bypassed and whose leaves get short decimals (`simplify`). Programs that part
    from the oracle as the first one does are taken to fail for its cause; only the last of them is
    judged. Where it then fails for another, all is done again with a judge for every program.
    """
    if check.dtype in FLOATS_OF_ORACLES:
        quick = _quickly(data, cause, facts, check)
        if quick is not None:
            return quick
    judged = _Judged(cause, check)
    best = _emptied_slots(data, facts, judged.fails)
    found = judged.kept or check.check(decode(best, facts))
    program = up_to(unpromised(found.program), found.finding.step)
    simpler = simplify(program, judged.fails, partial(shapes_of, check))
    smallest = _plainly(check, simpler, cause)
    return smallest or judged.kept or found


def _quickly(data: bytes, cause: str, facts: Facts, check: RandomCheck) -> Checked | None:
    best = _emptied_slots(data, facts, _Parting(decode(data, facts), check).fails)
    found = check.check(decode(best, facts))
    if found.finding.outcome is not Outcome.VIOLATED or found.finding.cause != cause:
        return None
    program = up_to(unpromised(found.program), found.finding.step)
    smallest = simplify(program, _Parting(program, check).fails, partial(shapes_of, check))
    return _plainly(check, smallest, cause)


def shapes_of(check: RandomCheck, program: Program) -> Mapping[str, Shape]:
    """Return the shapes of leaves, and those that results have on the oracle."""
    watched = observed(program)
    events = execute(check.oracle, watched, check.dtype).events
    found: dict[str, Shape] = {}
    for step, event in zip(watched.walk(), events, strict=True):
        if step.verb == "leaf":
            found[step.out[0]] = leaf_array(step, check.dtype).shape
        elif step.verb == "value" and isinstance(event.value, np.ndarray):
            found.setdefault(step.args[0], event.value.shape)
    return found


def _plainly(check: RandomCheck, program: Program, cause: str) -> Checked | None:
    found = check.plainly(program)
    wanted = found.finding.outcome is Outcome.VIOLATED and found.finding.cause == cause
    return found if wanted else None


def _emptied_slots(data: bytes, facts: Facts, fails: Callable[[Program], bool]) -> bytes:
    try:
        size = len(data) // WIDTH
        while size >= 1:
            data = _emptied(data, size * WIDTH, facts, fails)
            size //= 2
        return _emptied(data, 1, facts, fails)
    except _Stopped as stopped:
        return stopped.data


class _Stopped(Exception):
    """Carries the bytes at which a budget was spent."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


def _emptied(data: bytes, width: int, facts: Facts, fails: Callable[[Program], bool]) -> bytes:
    """Return the bytes with zeros wherever `width` of them can be had, the last ones first."""
    for at in range(len(data) - width, -1, -width):
        candidate = data[:at] + bytes(width) + data[at + width :]
        try:
            if candidate != data and fails(decode(candidate, facts)):
                data = candidate
        except Spent:
            raise _Stopped(data) from None
    return data


class _Parting:
    """Whether programs part from the oracle as a first one does."""

    def __init__(self, program: Program, check: RandomCheck) -> None:
        self._check, self._budget = check, QUICK_BUDGET
        self._known: dict[Program, bool] = {}
        self._departure = check.departure(program)

    def fails(self, program: Program) -> bool:
        """Whether the program does. Raises `Spent` once the budget is spent."""
        if program not in self._known:
            if self._budget <= 0:
                raise Spent
            self._budget -= 1
            self._known[program] = self._check.departure(program) == self._departure != ""
        return self._known[program]


class _Judged:
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
