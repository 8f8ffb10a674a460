from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from conformance.report.model import command, engine_view, headline, plain, score, theme_title
from conformance.verdict import ClauseResult, Level, Status
from tests.sample_ledgers import (
    EMPTY,
    FAULTY,
    GOOD,
    LOUD,
    REFERENCE,
    SILENT,
    clause,
    violated,
)

HOLDS = clause("detach", 1)
WRONG = violated("detach", 2, SILENT)
REFUSES = violated("detach", 3, LOUD)
ADVICE = violated("detach", 8, LOUD)
UNJUDGED = clause("detach", 4, Status.INCONCLUSIVE)
LACKING = clause("detach", 5, Status.UNSUPPORTED)


@pytest.mark.parametrize(
    ("results", "outcome", "sentence"),
    [
        ((), "unexercised", "Nothing was run."),
        ((HOLDS,), "holds", "Every clause holds."),
        ((HOLDS, LACKING), "holds", "Every clause that it supports holds."),
        ((LACKING,), "unsupported", "It supports none of these clauses."),
        ((HOLDS, UNJUDGED), "inconclusive", "No violation; 1 clause not judged."),
        ((HOLDS, WRONG), "silently-wrong", "Silently wrong on 1 clause."),
        ((WRONG, REFUSES), "silently-wrong", "Silently wrong on 1 clause, 1 more violated."),
        ((REFUSES, ADVICE), "refused-loudly", "Refuses to run 2 clauses."),
        ((ADVICE,), "refused-loudly", "No MUST clause is violated; 1 SHOULD clause not kept."),
    ],
)  # fmt: skip
def test_the_headline_says_the_worst_first(
    results: tuple[ClauseResult, ...], outcome: str, sentence: str
) -> None:
    found = headline(results)
    assert (found.outcome.key, found.sentence) == (outcome, sentence)


def test_a_run_that_judged_nothing_never_reads_as_a_pass() -> None:
    for status in (Status.INCONCLUSIVE, Status.UNEXERCISED, Status.UNSUPPORTED):
        found = headline((clause("detach", 1, status),))
        assert found.outcome.key == status.value
        assert "holds" not in found.sentence


def test_unsupported_clauses_do_not_count_against_an_engine() -> None:
    figures = score((HOLDS, WRONG, LACKING, UNJUDGED, ADVICE), Level.MUST)
    assert (figures.held, figures.judged) == (1, 3)
    assert score((HOLDS, ADVICE), Level.SHOULD).judged == 1
    assert score((HOLDS, ADVICE)).judged == 2


def test_the_detail_accounts_for_every_clause() -> None:
    detail = headline((HOLDS, WRONG, LACKING, UNJUDGED, ADVICE)).detail
    assert detail == (
        "1 of 3 MUST clauses hold; 0 of 1 SHOULD clause holds; 1 not judged; 1 unsupported."
    )


def test_violations_are_listed_silently_wrong_first() -> None:
    view = engine_view(FAULTY)
    keys = [violation.outcome.key for _, violation, _ in view.worst]
    assert keys == ["silently-wrong"] * 3 + ["not-refused"] + ["refused-loudly"] * 2 + ["crashed"]
    (accumulation,) = [c for c in view.clauses if c.record.id == "ACC-2"]
    assert [v.outcome.key for v in accumulation.violations] == ["silently-wrong", "refused-loudly"]


def test_every_clause_of_the_ledger_is_shown_once_in_its_order() -> None:
    for ledger in (GOOD, FAULTY, REFERENCE, EMPTY):
        shown = [clause.record for clause in engine_view(ledger).clauses]
        assert shown == list(ledger.clauses)


def test_operations_become_a_table_with_the_worst_row_first() -> None:
    view = engine_view(FAULTY)
    assert view.dtypes == ("float32", "float64")
    assert view.operations[0].name == "matmul"
    (summed,) = [row for row in view.operations if row.name == "sum"]
    assert [cell is None for cell in summed.cells] == [True, False]


def test_the_command_repeats_the_run_in_any_shell() -> None:
    odd = replace(REFERENCE, run=replace(REFERENCE.run, select="ACC-*", seed=7))
    text = command(odd)
    assert "'reference[backend=torch,device=cuda]'" in text
    assert shlex.split(text)[-4:] == ["--seed", "7", "--select", "ACC-*"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (True, "yes"),
        (41.7312, "41.73"),
        ([1, "a"], "1, a"),
    ],
)
def test_machine_facts_read_as_words(value: object, text: str) -> None:
    assert plain(value) == text  # type: ignore[arg-type]


def test_themes_are_titled() -> None:
    assert theme_title("grad_modes") == "Grad modes"


def test_times_stand_with_their_clauses_and_never_break_a_report() -> None:
    timed = replace(GOOD, machine={"clause_seconds": {"ACC-1": 0.25, "ACC-2": "long"}, "jobs": 2})
    view = engine_view(timed)
    times = {clause.record.id: clause.seconds for clause in view.clauses}
    assert (times["ACC-1"], times["ACC-2"], times["ACC-3"]) == (0.25, None, None)
    assert view.machine == (("jobs", "2"),)
    assert engine_view(replace(GOOD, machine={"clause_seconds": 3})).clauses[0].seconds is None
