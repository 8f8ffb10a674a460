"""Recorded defects on the pages: named beside what they explain, and what is left is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from conformance.report import render_engine, render_index, write_reports
from conformance.report.triaged import Triage
from conformance.verdict import Level, Status
from tests.conformance.samples import ledger, result

TWO = ledger(result("ACC-1", Status.VIOLATED, "a", "b"), result("ACC-2"))
HALF = Triage(7, {("ACC-1", "a"): (("torch-3", "A gradient is `overwritten` & lost."),)})


def test_what_no_defect_explains_is_counted() -> None:
    assert HALF.untriaged(TWO.clauses) == 1
    assert Triage().untriaged(TWO.clauses) == 2


def test_another_clause_with_the_same_cause_is_not_explained() -> None:
    assert HALF.untriaged((result("ACC-3", Status.VIOLATED, "a"),)) == 1


def test_a_clause_that_was_lost_without_a_program_counts() -> None:
    lost = [result(f"ACC-{n}", s) for n, s in enumerate((Status.TIMED_OUT, Status.HOLDS))]
    assert Triage().untriaged(lost) == 1


def test_a_should_clause_needs_no_triage() -> None:
    assert Triage().untriaged((result("ACC-1", Status.VIOLATED, "a", level=Level.SHOULD),)) == 0


def test_the_page_of_an_engine_names_the_defect_at_its_violation() -> None:
    page = render_engine(TWO, triage=HALF)
    assert "<b>torch-3</b> A gradient is <code>overwritten</code> &amp; lost." in page
    assert page.count("torch-3") == 1
    assert "torch-3" not in render_engine(TWO)


def test_the_scoreboard_counts_defects_conventions_and_what_is_untriaged() -> None:
    page = render_index([TWO], triage={"torch": HALF})
    assert "7 defects recorded · 0 by convention · 1 untriaged" in page
    assert "7 defects are recorded; 1 violation of a MUST clause is untriaged." in page
    assert "untriaged" not in render_index([TWO])


def test_the_defects_of_an_engine_with_variants_count_once() -> None:
    variant = replace(TWO, engine=replace(TWO.engine, name="torch[compile=eager]"))
    page = render_index([TWO, variant], triage={"torch": HALF, "torch[compile=eager]": HALF})
    assert "7 defects are recorded; 2 violations of a MUST clause are untriaged." in page


def test_pages_are_written_with_the_triage_of_their_engine(tmp_path: Path) -> None:
    write_reports([TWO], tmp_path, triage={"torch": HALF, "jax": Triage(1)})
    assert "torch-3" in (tmp_path / "torch.html").read_text(encoding="utf-8")
