"""What the page that compares engines shows: clauses × engines; no markup here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

from conformance.ledger import Ledger, file_stem
from conformance.report.model import Headline, Score, anchor, headline, score, theme_title
from conformance.report.outcomes import DEPARTURES, Count, Outcome, count, outcome_of, severity
from conformance.report.triaged import Triage
from conformance.verdict import ClauseResult, Level

Facts = tuple[tuple[str, str], ...]
"""Names and values, in the order in which a page shows them."""


@dataclass(frozen=True, slots=True)
class Column:
    """One engine: its ledger, the link of its page, its score, and how its run differed.

    triage: how many of its defects are recorded, and how many violations of MUST clauses are not
    explained by one; None where nobody has looked.
    """

    ledger: Ledger
    href: str
    headline: Headline
    counts: tuple[Count, ...]
    score: Score
    facts: Facts
    triage: tuple[int, int] | None = None

    def number(self, key: str) -> int:
        """Return how many clauses have the outcome of that key."""
        return next((c.number for c in self.counts if c.outcome.key == key), 0)


@dataclass(frozen=True, slots=True)
class Row:
    """One clause and its outcome on each engine, None where it was not run there."""

    id: str
    title: str
    why: str
    source: str
    level: Level
    anchor: str
    outcomes: tuple[Outcome | None, ...]
    worst: Outcome

    @property
    def differs(self) -> bool:
        """Whether the engines disagree."""
        return len({outcome.key for outcome in self.outcomes if outcome is not None}) > 1

    @property
    def departs(self) -> bool:
        """Whether any engine departs from it."""
        return self.worst.key in DEPARTURES


@dataclass(frozen=True, slots=True)
class ThemeRows:
    """The rows of one theme, and each engine's score in it."""

    name: str
    title: str
    rows: tuple[Row, ...]
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that the page shows.

    counts: how many clauses have each outcome on at least one engine. shared: the facts that
    hold of every run.
    """

    columns: tuple[Column, ...]
    themes: tuple[ThemeRows, ...]
    counts: tuple[Count, ...]
    shared: Facts

    @property
    def triage(self) -> tuple[int, int] | None:
        """All recorded defects and unexplained violations; None where nobody has looked.

        Variants of an engine (`torch[compile=eager]`) have its defects, which count once.
        """
        looked = [(c.ledger.engine.name, c.triage) for c in self.columns if c.triage is not None]
        recorded = {name.partition("[")[0]: number for name, (number, _) in looked}
        return (sum(recorded.values()), sum(u for _, (_, u) in looked)) if looked else None

    @property
    def rows(self) -> tuple[Row, ...]:
        """All clauses, in order."""
        return tuple(row for theme in self.themes for row in theme.rows)


def page_names(ledgers: Sequence[Ledger]) -> tuple[str, ...]:
    """Return the file name of each engine's page; versions tell runs of one engine apart."""
    stems = [file_stem(ledger.engine.name) for ledger in ledgers]
    names: list[str] = []
    for ledger, stem in zip(ledgers, stems, strict=True):
        if stems.count(stem) > 1 or stem in ("index", "specification"):
            stem = f"{stem}-{file_stem(ledger.engine.version)}"
        number, name = 2, f"{stem}.html"
        while name in names:
            number, name = number + 1, f"{stem}-{number}.html"
        names.append(name)
    return tuple(names)


def comparison(
    ledgers: Sequence[Ledger], triage: Mapping[str, Triage] = MappingProxyType({})
) -> Comparison:
    """Work out the comparison. The pages of the engines are those of `page_names`, beside it.

    triage: what has been recorded of engines, by name.
    """
    facts = [_facts(ledger) for ledger in ledgers]
    shared = {
        name: value
        for name, value in (facts[0].items() if facts else ())
        if all(other.get(name) == value for other in facts)
    }
    columns = tuple(
        Column(
            ledger,
            quote(page),
            headline(ledger.clauses),
            count(map(outcome_of, ledger.clauses)),
            score(ledger.clauses, Level.MUST),
            tuple((name, value) for name, value in own.items() if name not in shared),
            _triage(ledger, triage.get(ledger.engine.name)),
        )
        for ledger, page, own in zip(ledgers, page_names(ledgers), facts, strict=True)
    )
    themes = _themes(ledgers)
    seen = [o for theme in themes for row in theme.rows for o in set(row.outcomes) if o is not None]
    return Comparison(columns, themes, count(seen), tuple(shared.items()))


def _triage(ledger: Ledger, triage: Triage | None) -> tuple[int, int] | None:
    return None if triage is None else (triage.recorded, triage.untriaged(ledger.clauses))


def _facts(ledger: Ledger) -> dict[str, str]:
    run = ledger.run
    facts = {"profile": run.profile, "seed": str(run.seed)}
    facts |= {"clauses": run.select} if run.select != "*" else {}
    facts |= {"operations": ledger.engine.catalogue} if ledger.engine.catalogue else {}
    return {**facts, **ledger.tool}


def _themes(ledgers: Sequence[Ledger]) -> tuple[ThemeRows, ...]:
    known = [{result.id: result for result in ledger.clauses} for ledger in ledgers]
    themes: dict[str, set[str]] = {}
    for ledger in ledgers:
        for result in ledger.clauses:
            themes.setdefault(result.theme, set()).add(result.id)
    return tuple(_theme(name, sorted(ids, key=_natural), known) for name, ids in themes.items())


def _theme(name: str, ids: list[str], known: list[dict[str, ClauseResult]]) -> ThemeRows:
    scores = tuple(score(clauses[i] for i in ids if i in clauses) for clauses in known)
    return ThemeRows(name, theme_title(name), tuple(_row(i, known) for i in ids), scores)


def _natural(identifier: str) -> list[tuple[int, str]]:
    """Order `ACC-2` before `ACC-10`."""
    pieces = re.split(r"(\d+)", identifier)
    return [(int(piece), "") if piece.isdigit() else (0, piece) for piece in pieces]


def _row(identifier: str, known: list[dict[str, ClauseResult]]) -> Row:
    results = [clauses.get(identifier) for clauses in known]
    first = next(result for result in results if result is not None)
    outcomes = tuple(None if result is None else outcome_of(result) for result in results)
    worst = min((outcome for outcome in outcomes if outcome is not None), key=severity)
    words = (identifier, first.title, first.why, first.source)
    return Row(*words, first.level, anchor(identifier), outcomes, worst)
