"""What the page of one engine shows, worked out from its ledger; no markup here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.ledger import Ledger
from conformance.program import Json
from conformance.report.causes import shared_key, sharing_words
from conformance.report.differences import Part, compare_texts
from conformance.report.graph import Picture, picture
from conformance.report.listing import Line, program_listing, script_listing
from conformance.report.outcomes import (
    BY_KEY,
    DEPARTURES,
    NOT_ASKED,
    Count,
    Outcome,
    count,
    outcome_of,
    outcome_of_kind,
    severity,
)
from conformance.verdict import ClauseResult, Level, OperationResult, Violation


@dataclass(frozen=True, slots=True)
class ViolationView:
    """One departure: its record, its listings and the picture of its graph."""

    record: Violation
    outcome: Outcome
    program: tuple[Line, ...]
    script: tuple[Line, ...]
    expected: tuple[Part, ...]
    observed: tuple[Part, ...]
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class ClauseView:
    """One clause. `anchor` is its permanent link within the page; `seconds` what it took."""

    record: ClauseResult
    outcome: Outcome
    anchor: str
    violations: tuple[ViolationView, ...]
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ThemeView:
    """The clauses of one theme, in the order of the specification."""

    name: str
    title: str
    clauses: tuple[ClauseView, ...]
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One operation and what was seen of it in each dtype of the table, None where nothing was."""

    name: str
    outcome: Outcome
    cells: tuple[OperationResult | None, ...]


@dataclass(frozen=True, slots=True)
class Headline:
    """The result in one sentence and one more; `outcome` gives it its colour and its sign."""

    outcome: Outcome
    sentence: str
    detail: str


@dataclass(frozen=True, slots=True)
class EngineView:
    """Everything that the page of one engine shows.

    worst: each cause once, at the first clause that it violates, and words that name the others.
    """

    ledger: Ledger
    headline: Headline
    counts: tuple[Count, ...]
    themes: tuple[ThemeView, ...]
    worst: tuple[tuple[ClauseView, ViolationView, str], ...]
    dtypes: tuple[str, ...]
    operations: tuple[OperationRow, ...]
    command: str
    machine: tuple[tuple[str, str], ...]

    @property
    def clauses(self) -> tuple[ClauseView, ...]:
        """All clauses, in order."""
        return tuple(clause for theme in self.themes for clause in theme.clauses)


def engine_view(ledger: Ledger) -> EngineView:
    """Work out the page of one engine."""
    themes = _themes(ledger)
    clauses = [clause for theme in themes for clause in theme.clauses]
    worst = _worst(clauses)
    dtypes = tuple(dict.fromkeys(row.dtype for row in ledger.operations))
    return EngineView(
        ledger=ledger,
        headline=headline(ledger.clauses),
        counts=count(clause.outcome for clause in clauses),
        themes=themes,
        worst=tuple(sorted(worst, key=lambda row: severity(row[1].outcome))),
        dtypes=dtypes,
        operations=_operations(ledger.operations, dtypes),
        command=command(ledger),
        machine=tuple(
            (key.replace("_", " "), plain(value))
            for key, value in ledger.machine.items()
            if not isinstance(value, dict)  # the times of the clauses stand with the clauses
        ),
    )


def _worst(clauses: Sequence[ClauseView]) -> list[tuple[ClauseView, ViolationView, str]]:
    pairs = [(clause, violation) for clause in clauses for violation in clause.violations]
    causes: dict[object, list[tuple[ClauseView, ViolationView]]] = {}
    for clause, violation in pairs:
        causes.setdefault(shared_key(violation.record) or id(violation), []).append(
            (clause, violation)
        )
    worst = []
    for (clause, violation), *others in causes.values():
        also = dict.fromkeys(other.record.id for other, _ in others if other is not clause)
        worst.append((clause, violation, sharing_words(list(also)) if also else ""))
    return worst


def theme_title(name: str) -> str:
    """Return a theme's name for readers: `grad_modes` becomes `Grad modes`."""
    words = re.sub(r"[_\s]+", " ", name).strip()
    return words[:1].upper() + words[1:]


def oracle_words(oracle: str) -> str:
    """Return who judged, for readers: `finite_difference` becomes `finite difference`."""
    return "the clause's figure" if oracle == "clause" else oracle.replace("_", " ")


def anchor(identifier: str) -> str:
    """Return the permanent link of a clause: its id, made safe for a URL fragment."""
    return re.sub(r"[^\w.-]+", "-", identifier)


def in_themes(results: Iterable[ClauseResult]) -> dict[str, list[ClauseResult]]:
    """Group by theme; themes and clauses keep the order in which they come."""
    grouped: dict[str, list[ClauseResult]] = {}
    for result in results:
        grouped.setdefault(result.theme, []).append(result)
    return grouped


def _themes(ledger: Ledger) -> tuple[ThemeView, ...]:
    themes, times = [], ledger.machine.get("clause_seconds")
    seconds = times if isinstance(times, dict) else {}
    for name, members in in_themes(ledger.clauses).items():
        clauses = tuple(_clause(member, seconds.get(member.id)) for member in members)
        counts = count(clause.outcome for clause in clauses)
        themes.append(ThemeView(name, theme_title(name), clauses, counts))
    return tuple(themes)


def _clause(result: ClauseResult, seconds: Json) -> ClauseView:
    violations = sorted(map(_violation, result.violations), key=lambda v: severity(v.outcome))
    took = float(seconds) if isinstance(seconds, (int, float)) else None
    return ClauseView(result, outcome_of(result), anchor(result.id), tuple(violations), took)


def _violation(record: Violation) -> ViolationView:
    expected, observed = compare_texts(record.expected, record.observed)
    return ViolationView(
        record,
        outcome_of_kind(record.kind),
        program_listing(record.program, record.text, record.step),
        script_listing(record.reproduction),
        expected,
        observed,
        picture(record.graph),
    )


def _operations(
    results: tuple[OperationResult, ...], dtypes: tuple[str, ...]
) -> tuple[OperationRow, ...]:
    grouped: dict[str, dict[str, OperationResult]] = {}
    for result in results:
        grouped.setdefault(result.name, {})[result.dtype] = result
    rows = [
        OperationRow(
            name,
            min((BY_KEY[cell.status.value] for cell in cells.values()), key=severity),
            tuple(cells.get(dtype) for dtype in dtypes),
        )
        for name, cells in grouped.items()
    ]
    return tuple(sorted(rows, key=lambda row: (severity(row.outcome), row.name)))


@dataclass(frozen=True, slots=True)
class Score:
    """How many clauses an engine supports, and how many of them hold."""

    held: int
    judged: int


def score(results: Iterable[ClauseResult], level: Level | None = None) -> Score:
    """Count the clauses (of `level`, where given) that the engine supports, and those that hold."""
    keys = [outcome_of(r).key for r in results if level in (None, r.level)]
    return Score(keys.count("holds"), sum(key not in NOT_ASKED for key in keys))


def headline(results: tuple[ClauseResult, ...]) -> Headline:
    """Say the result in a sentence: departures first, then what could not be judged."""
    if not results:
        return Headline(BY_KEY["unexercised"], "Nothing was run.", "No clause was selected.")
    outcomes = [outcome_of(result) for result in results]
    worst = min(outcomes, key=severity)
    return Headline(worst, _sentence(results, outcomes, worst), _detail(results, outcomes))


def _sentence(results: tuple[ClauseResult, ...], outcomes: list[Outcome], worst: Outcome) -> str:
    if worst.key in DEPARTURES:
        departing = [r for r, o in zip(results, outcomes, strict=True) if o.key in DEPARTURES]
        if all(r.level is Level.SHOULD for r in departing):
            return f"No MUST clause is violated; {_clauses(len(departing), 'SHOULD')} not kept."
        number = outcomes.count(worst)
        others = len(departing) - number
        return _departure(worst, number) + (f", {others} more violated." if others else ".")
    if worst.key == "holds":
        lacking = any(o.key in NOT_ASKED for o in outcomes)
        return "Every clause that it supports holds." if lacking else "Every clause holds."
    if worst.key in NOT_ASKED:
        return "It supports none of these clauses."
    unjudged = sum(o.key in ("inconclusive", "unexercised") for o in outcomes)
    return f"No violation; {_clauses(unjudged)} not judged."


def _holding(score: Score, level: str) -> str:
    return f"{score.held} of {_clauses(score.judged, level)} hold{'s' if score.judged == 1 else ''}"


def _clauses(number: int, level: str = "") -> str:
    return f"{number} {level} clause{'' if number == 1 else 's'}".replace("  ", " ")


def _departure(outcome: Outcome, number: int) -> str:
    words = {
        "silently-wrong": "Silently wrong on",
        "not-refused": "An owed error is missing on",
        "refused-loudly": "Refuses to run",
        "crashed": "Crashes on",
        "timed-out": "Does not come back on",
    }
    return f"{words.get(outcome.key, 'Violates')} {_clauses(number)}"


def _detail(results: tuple[ClauseResult, ...], outcomes: list[Outcome]) -> str:
    must, should = score(results, Level.MUST), score(results, Level.SHOULD)
    said = [_holding(must, "MUST")] if must.judged else []
    said += [_holding(should, "SHOULD")] if should.judged else []
    keys = [outcome.key for outcome in outcomes]
    unjudged = keys.count("inconclusive") + keys.count("unexercised")
    said += [f"{unjudged} not judged"] if unjudged else []
    for key, words in (("convention", "by another convention"), ("unsupported", "unsupported")):
        said += [f"{keys.count(key)} {words}"] if key in keys else []
    return "; ".join(said) + "."


def command(ledger: Ledger) -> str:
    """Return the command that repeats the run."""
    words = ["autograd-conformance", "run", "--engine", ledger.engine.name]
    words += ["--profile", ledger.run.profile, "--seed", str(ledger.run.seed)]
    if ledger.run.select != "*":
        words += ["--select", ledger.run.select]
    return shlex.join(words)


def plain(value: Json) -> str:
    """Return a fact of the machine section in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    return "unknown" if value is None else str(value)
