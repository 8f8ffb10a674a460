"""What a reader is told about a clause: one row per outcome, the worst first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.verdict import ClauseResult, Kind, Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """A status, split by kind where it is a violation: silent wrongness never looks like the rest.

    key: stable name, used in markup. label: the words shown. meaning: one sentence for the legend.
    letter: one character for places too narrow for the label.
    """

    key: str
    label: str
    letter: str
    meaning: str


OUTCOMES: tuple[Outcome, ...] = (
    Outcome(
        "silently-wrong",
        "silently wrong",
        "✗",
        "The engine returned a wrong value, gradient or flag and raised nothing.",
    ),
    Outcome("not-refused", "not refused", "!", "An error was owed, and none came."),
    Outcome("refused-loudly", "refused loudly", "E", "The engine raised where it should run."),
    Outcome("violated", "violated", "V", "The engine departed from the clause."),
    Outcome("crashed", "crashed", "C", "The engine took its process down."),
    Outcome("timed-out", "timed out", "T", "The engine did not come back in time."),
    Outcome(
        "inconclusive", "inconclusive", "?", "The oracles could not settle it, which is no pass."
    ),
    Outcome("unexercised", "unexercised", "○", "No program reached the clause, which is no pass."),
    Outcome("holds", "holds", "✓", "Every program that reached the clause did what it promises."),
    Outcome(
        "convention",
        "convention",
        "≠",
        "The engine documents that it does otherwise; its sentence is cited.",
    ),
    Outcome(
        "unsupported", "unsupported", "–", "The engine lacks a capability that the clause needs."
    ),
)
"""In order of severity; `holds` and those after it need nobody's attention."""
NOT_ASKED = frozenset(("convention", "unsupported"))
"""Outcomes that say nothing for or against an engine."""

BY_KEY = {outcome.key: outcome for outcome in OUTCOMES}
SEVERITY = {outcome.key: rank for rank, outcome in enumerate(OUTCOMES)}
DEPARTURES = frozenset(
    ("silently-wrong", "not-refused", "refused-loudly", "violated", "crashed", "timed-out")
)
"""Outcomes that count against an engine."""


def outcome_of(result: ClauseResult) -> Outcome:
    """Return the outcome of a clause: its status, or the worst kind among its violations.

    A clause is unsupported by convention where the note that its judge left says so.
    """
    if result.status is Status.UNSUPPORTED and result.note.startswith("convention "):
        return BY_KEY["convention"]
    if result.status is Status.VIOLATED and result.violations:
        return min((outcome_of_kind(v.kind) for v in result.violations), key=severity)
    return BY_KEY[result.status.value]


def outcome_of_kind(kind: Kind) -> Outcome:
    """Return the outcome that a violation of this kind gives."""
    return BY_KEY[kind.value]


def severity(outcome: Outcome) -> int:
    """Return the place in `OUTCOMES`, 0 for the worst."""
    return SEVERITY[outcome.key]


@dataclass(frozen=True, slots=True)
class Count:
    """How many clauses had an outcome."""

    outcome: Outcome
    number: int


def count(outcomes: Iterable[Outcome]) -> tuple[Count, ...]:
    """Count the outcomes that occur, the worst first."""
    keys = [outcome.key for outcome in outcomes]
    return tuple(Count(row, keys.count(row.key)) for row in OUTCOMES if row.key in keys)
