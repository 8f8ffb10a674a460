"""Random programs in bulk: ledgers that depend on the seed alone, are replayed, and never lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import fuzzing
from conformance.archive import ledger_text
from conformance.errors import EngineLoadError
from conformance.fuzzing import Fuzz
from conformance.ledger import Ledger
from conformance.replay import replay_ledger
from conformance.verdict import Kind, Outcome, Status
from conformance.workers import Done, Lost, Notes

PLANTED = "benchmarks.planted_engines:SecondBackwardReplaces"
PROGRAMS = 40
"""Enough for two chunks, and for a violation."""


class Here:
    """Workers in this process, which need no engine to be loaded again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def run(
        self, function: Callable[..., Any], items: list[tuple[Any, ...]], timeout: float
    ) -> Iterator[Done[Any]]:
        for index, item in enumerate(items):
            yield Done(index, function(*item, Notes(self.folder / "note")), 0.0)


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    """Deal out programs by the twenty, so that a few of them are work for several processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzzing, "CHUNK", 20)
        yield


@pytest.fixture(scope="module")
def book(small_chunks: None, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzzing, "Workers", lambda jobs: Here(tmp_path_factory.mktemp("here")))
        return Fuzz(PLANTED, PROGRAMS, 5, 1).execute()


def test_a_ledger_is_the_same_for_any_number_of_processes(book: Ledger) -> None:
    assert book.clauses[0].violations
    assert ledger_text(Fuzz(PLANTED, PROGRAMS, 5, 2).execute()) == ledger_text(book)


def test_a_planted_bug_is_recorded_with_a_short_script(book: Ledger) -> None:
    (result,) = book.clauses
    assert result.status is Status.VIOLATED
    least = min(result.violations, key=lambda found: len(found.program["steps"]))  # type: ignore[arg-type]
    assert least.kind is Kind.SILENTLY_WRONG
    assert least.text.count("backward") == 2
    assert all(len(found.reproduction.splitlines()) <= 15 for found in result.violations)


def test_a_ledger_is_replayed_and_what_is_mended_is_marked(book: Ledger) -> None:
    one = replace(book.clauses[0], violations=book.clauses[0].violations[:1])
    short = replace(book, clauses=(one,))
    assert [row.state for row in replay_ledger(short, jobs=1)] == ["still violated"]
    assert [row.state for row in replay_ledger(short, "reference", jobs=1)] == ["fixed"]


class LosesShrinking(Here):
    """Workers in this process, in which no shrinking ever ends."""

    def run(
        self, function: Callable[..., Any], items: list[tuple[Any, ...]], timeout: float
    ) -> Iterator[Done[Any]]:
        for index, item in enumerate(items):
            if function.__name__ == "shrink_item":
                yield Done(index, Lost("timed-out", f"no answer within {timeout:g} s", ""), timeout)
            else:
                yield Done(index, function(*item, Notes(self.folder / "note")), 0.0)


def test_programs_are_as_long_as_asked(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzzing, "Workers", lambda jobs: Here(tmp_path))
        fuzz = Fuzz(PLANTED, PROGRAMS, 5, 1, slots=20)
        (result,) = fuzz.execute().clauses
    assert result.violations
    assert {len(text) for text in fuzz.source.texts(0)} == {126}


def test_a_violation_whose_shrinking_is_lost_stays_a_violation(tmp_path: Path) -> None:
    fuzz = Fuzz("reference", 500, 3)
    cause = "silently-wrong/grad/value"
    fuzz.found, fuzz.times[cause], fuzz.outcomes[Outcome.VIOLATED] = {cause: (0, 7)}, 1, 1
    fuzz._shrink(LosesShrinking(tmp_path))  # type: ignore[arg-type]
    result = fuzz.result()
    assert result.status is Status.VIOLATED
    (found,) = result.violations
    assert (found.cause, found.kind) == (cause, Kind.SILENTLY_WRONG)
    assert "not shrunk: no answer within 120 s" in found.message
    assert found.text
    assert found.reproduction


class DiesAtThree(LosesShrinking):
    """Workers of whom one dies at program 3, and says so only where programs run one by one."""

    def run(
        self, function: Callable[..., Any], items: list[tuple[Any, ...]], timeout: float
    ) -> Iterator[Done[Any]]:
        without, alone = items[0][5:7] if function.__name__ == "fuzz_chunk" else ({3}, True)
        if 3 not in without:
            note = "3" if alone else "0"
            yield Done(0, Lost("crashed", "the process died of SIGABRT", note), timeout)
        else:
            yield from super().run(function, items, timeout)


def test_a_crash_is_pinned_to_its_program_and_the_others_are_judged(tmp_path: Path) -> None:
    fuzz = Fuzz("reference", 20, 3)
    fuzz._judge(DiesAtThree(tmp_path))  # type: ignore[arg-type]
    (found,) = fuzz.violations
    assert found.kind is Kind.CRASHED
    assert found.message.startswith("program 3 of chunk 0: the process died of SIGABRT")
    assert fuzz.outcomes == {Outcome.HOLDS: 19, Outcome.VIOLATED: 1}


def test_an_engine_that_dies_before_its_first_program_cannot_be_loaded() -> None:
    with pytest.raises(EngineLoadError, match="before its first program"):
        Fuzz("tests.engines.failing_processes:Aborted", 1, 1, 1).execute()
