"""Comparing refusals: whether an error was owed, and whether it came."""

from __future__ import annotations

from enum import Enum

from conformance.observation import Event


class Answer(Enum):
    """How one engine took one step."""

    RAN = "ran"
    REFUSED = "refused"
    SKIPPED = "skipped"


def answer(event: Event) -> Answer:
    """Return how the step of `event` was taken."""
    if event.skipped:
        return Answer.SKIPPED
    return Answer.RAN if event.refusal is None else Answer.REFUSED


class Debt(Enum):
    """What the comparison of two answers says, the oracle's being right."""

    SETTLED = "settled"
    """Both ran, or both refused."""
    UNEXPECTED = "unexpected"
    """The engine refused what should run."""
    UNPROMISED = "unpromised"
    """The engine ran what the oracle refuses; only a clause can say that an error was owed."""
    UNKNOWN = "unknown"
    """One of the two never came to the step."""


def debt(engine: Event, oracle: Event) -> Debt:
    """Compare the answers of an engine and of an oracle to one step that no clause speaks of."""
    mine, theirs = answer(engine), answer(oracle)
    if Answer.SKIPPED in (mine, theirs):
        return Debt.UNKNOWN
    if mine is theirs:
        return Debt.SETTLED
    return Debt.UNEXPECTED if mine is Answer.REFUSED else Debt.UNPROMISED
