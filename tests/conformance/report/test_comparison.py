from __future__ import annotations

from dataclasses import replace

from conformance.report.comparison import comparison, page_names
from tests.sample_ledgers import ALL, EMPTY, FAULTY, GOOD, REFERENCE, clause, ledger


def test_each_row_has_an_outcome_per_engine() -> None:
    view = comparison(ALL)
    (row,) = [row for row in view.rows if row.id == "ACC-2"]
    assert [o.key for o in row.outcomes if o] == ["holds", "holds", "silently-wrong"]
    assert row.differs
    assert row.departs
    assert row.worst.key == "silently-wrong"


def test_a_clause_that_an_engine_did_not_run_is_blank_there() -> None:
    short = ledger("short", "1", (clause("detach", 3),))
    view = comparison([short, GOOD])
    assert len(view.rows) == len(GOOD.clauses)
    (row,) = [row for row in view.rows if row.id == "DET-2"]
    assert row.outcomes[0] is None
    assert not row.differs


def test_clauses_keep_their_numbering_whatever_ledger_comes_first() -> None:
    few = ledger("few", "1", (clause("detach", 10), clause("detach", 2)))
    more = ledger("more", "1", tuple(clause("detach", n) for n in (1, 2, 3)))
    rows = comparison([few, more]).rows
    assert [row.id for row in rows] == ["DET-1", "DET-2", "DET-3", "DET-10"]


def test_facts_of_every_run_are_told_once() -> None:
    other = replace(GOOD, run=replace(GOOD.run, seed=5))
    view = comparison([GOOD, other])
    assert ("profile", "default") in view.shared
    assert "seed" not in dict(view.shared)
    assert [column.facts for column in view.columns] == [(("seed", "0"),), (("seed", "5"),)]


def test_a_filter_counts_the_rows_that_it_would_show() -> None:
    view = comparison(ALL)
    for c in view.counts:
        rows = [r for r in view.rows if any(o == c.outcome for o in r.outcomes)]
        assert len(rows) == c.number


def test_two_runs_of_one_engine_get_pages_of_their_own() -> None:
    newer = replace(GOOD, engine=replace(GOOD.engine, version="2.14.0"))
    assert page_names([GOOD, newer, FAULTY]) == (
        "torch-2.13.0+cpu.html",
        "torch-2.14.0.html",
        "tinytape.html",
    )
    assert page_names([GOOD, GOOD, GOOD])[1:] == (
        "torch-2.13.0+cpu-2.html",
        "torch-2.13.0+cpu-3.html",
    )


def test_no_engine_can_take_the_place_of_the_index() -> None:
    odd = replace(GOOD, engine=replace(GOOD.engine, name="index"))
    assert page_names([odd]) == ("index-2.13.0+cpu.html",)


def test_links_survive_odd_names() -> None:
    (column,) = comparison([REFERENCE]).columns
    assert column.href == "reference%5Bbackend%3Dtorch%2Cdevice%3Dcuda%5D.html"


def test_no_engine_and_no_clause_compare_as_nothing() -> None:
    assert comparison([]).rows == ()
    assert comparison([EMPTY]).counts == ()
