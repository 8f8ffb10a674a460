from __future__ import annotations

from dataclasses import replace

from conformance.report.outcomes import (
    BY_KEY,
    DEPARTURES,
    OUTCOMES,
    count,
    outcome_of,
    severity,
)
from conformance.verdict import ClauseResult, Kind, Level, Status
from tests.sample_ledgers import CRASH, LOUD, MISSING, SILENT, clause, violated


def test_every_status_and_every_kind_has_a_row() -> None:
    known = {status.value for status in Status} | {kind.value for kind in Kind}
    assert known | {"convention"} == set(BY_KEY)


def test_a_documented_convention_is_told_apart_from_a_missing_capability() -> None:
    lacking = ClauseResult(
        id="COT-3", theme="cotangents", level=Level.MUST, title="", status=Status.UNSUPPORTED
    )
    assert outcome_of(lacking).key == "unsupported"
    departing = replace(lacking, note="convention implicit_cotangent: E documents that …")
    assert outcome_of(departing).key == "convention"


def test_a_violated_clause_shows_its_worst_kind() -> None:
    assert outcome_of(violated("detach", 1, LOUD, MISSING, SILENT)).key == "silently-wrong"
    assert outcome_of(violated("detach", 1, LOUD, MISSING)).key == "not-refused"
    assert outcome_of(violated("detach", 1, LOUD)).key == "refused-loudly"


def test_a_violation_without_evidence_is_still_a_departure() -> None:
    bare = outcome_of(clause("detach", 1, Status.VIOLATED))
    assert bare.key == "violated"
    assert bare.key in DEPARTURES


def test_a_crash_is_a_crash_whatever_was_recorded() -> None:
    assert outcome_of(clause("detach", 1, Status.CRASHED, violations=(CRASH,))).key == "crashed"


def test_departures_come_before_everything_else() -> None:
    last = max(severity(BY_KEY[key]) for key in DEPARTURES)
    assert last < min(severity(row) for row in OUTCOMES if row.key not in DEPARTURES)


def test_every_outcome_can_be_told_without_colour() -> None:
    assert len({row.label for row in OUTCOMES}) == len({row.letter for row in OUTCOMES}) == 11


def test_counting_keeps_the_order_of_severity_and_leaves_out_zeros() -> None:
    rows = [BY_KEY[key] for key in ("holds", "crashed", "holds", "silently-wrong")]
    assert [(c.outcome.key, c.number) for c in count(rows)] == [
        ("silently-wrong", 1),
        ("crashed", 1),
        ("holds", 2),
    ]
