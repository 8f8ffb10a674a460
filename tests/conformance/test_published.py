"""The published scoreboard: nothing on it is unexplained."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.archive import read_ledger
from conformance.defects.triage import engine_of, triage
from conformance.ledger import Ledger
from conformance.verdict import ClauseResult, Level, Violation

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "reports").glob("*.json.gz")), ids=lambda p: p.name)
def test_every_violation_on_the_published_scoreboard_is_triaged(path: Path) -> None:
    published = read_ledger(path)
    known = triage(published)
    assert engine_of(published) in path.name
    assert [
        f"{clause.id}: {violation.message}"
        for clause, violation in _violations(published)
        if not known[clause.id, violation.cause]
    ] == []


def _violations(published: Ledger) -> list[tuple[ClauseResult, Violation]]:
    return [
        (clause, violation)
        for clause in published.clauses
        if clause.level is Level.MUST
        for violation in clause.violations
    ]
