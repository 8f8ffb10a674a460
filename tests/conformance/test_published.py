"""The published scoreboard: nothing on it is unexplained."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.archive import read_ledger
from conformance.defects.triage import engine_of, triage
from conformance.ledger import Ledger
from conformance.verdict import ClauseResult, Level, Violation

ROOT = Path(__file__).resolve().parents[2]
#: seen in whole runs only: no script shows it, so it is no recorded defect, and its page says so
UNREPRODUCED = {("mindspore", "HIGH-8"), ("mindspore", "MOD-8")}


@pytest.mark.parametrize("path", sorted((ROOT / "reports").glob("*.json.gz")), ids=lambda p: p.name)
def test_every_violation_on_the_published_scoreboard_is_triaged(path: Path) -> None:
    published = read_ledger(path)
    known, engine = triage(published), engine_of(published)
    assert engine in path.name
    assert [
        f"{clause.id}: {violation.message}"
        for clause, violation in _violations(published)
        if not known[clause.id, violation.cause] and (engine, clause.id) not in UNREPRODUCED
    ] == []


def test_what_is_listed_as_not_reproduced_is_still_unexplained() -> None:
    seen = set()
    for engine in {engine for engine, _ in UNREPRODUCED}:
        published = read_ledger(ROOT / "reports" / f"{engine}.json.gz")
        known = triage(published)
        seen |= {(engine, c.id) for c, v in _violations(published) if not known[c.id, v.cause]}
    assert seen == UNREPRODUCED


def _violations(published: Ledger) -> list[tuple[ClauseResult, Violation]]:
    return [
        (clause, violation)
        for clause in published.clauses
        if clause.level is Level.MUST
        for violation in clause.violations
    ]
