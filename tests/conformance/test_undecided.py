"""Programs about which nothing was decided are found again by their place in the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from conformance import fuzzing
from conformance.adapters.load import load_engine
from conformance.cli.fuzzing import _print_doubts
from conformance.compare.difference import DISAGREEMENT, FAULT
from conformance.fuzzing import Fuzz, fuzz_chunk
from conformance.notation import render
from conformance.program import Program
from conformance.random_check import Checked, RandomCheck, Steps
from conformance.strategies.mixture import common_facts, decode
from conformance.undecided import FIRST, Undecided, sentences, worth_keeping
from conformance.verdict import Finding, Outcome
from conformance.workers import Notes

ROUNDING = "one rounding changes the result by more than half of its digits"
CONTRADICTED = f"{DISAGREEMENT}: reference contradicts, and no second oracle applies"
DOUBTED = {ROUNDING: (2, 3, 5, 7, 11), CONTRADICTED: (4, 6, 8, 9, 13)}
FAULTY = 12


class Doubting(RandomCheck):
    """A check that decides nothing about some programs of every chunk, and fails at one."""

    def agreeing(self, programs: Sequence[Steps]) -> list[bool]:
        self.rest = [number for number in range(len(programs)) if number in DUE]
        return [number not in DUE for number in range(len(programs))]

    def slowly(self, program: Program) -> Checked:
        number = self.rest.pop(0)
        if number == FAULTY:
            raise LookupError("an index is off")
        (reason,) = (reason for reason, numbers in DOUBTED.items() if number in numbers)
        return Checked(program, Finding(Outcome.INCONCLUSIVE, self.dtype, message=reason))


DUE = {FAULTY, *(number for numbers in DOUBTED.values() for number in numbers)}


@pytest.fixture
def fuzz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fuzz:
    engine = load_engine("reference")
    facts = common_facts(engine, load_engine("torch"))
    monkeypatch.setattr(fuzzing, "_session", lambda *_: (Doubting(engine), facts))
    monkeypatch.setattr(fuzzing, "CHUNK", 20)
    fuzz = Fuzz("reference", 60, 41)
    for chunk in (2, 0, 1):  # as their processes may end
        item = (fuzz.engine, None, fuzz.source, chunk, 20, frozenset(), False)
        fuzz._add(chunk, fuzz_chunk(*item, Notes(tmp_path / "note")))
    return fuzz


def test_a_run_knows_where_all_disagreements_are_and_the_first_of_other_doubts(fuzz: Fuzz) -> None:
    fault = f"{FAULT}: LookupError: an index is off"
    assert fuzz.doubts == {ROUNDING: 15, CONTRADICTED: 15, fault: 3}
    places: dict[str, list[tuple[int, int]]] = {}
    for one in fuzz.places:
        places.setdefault(one.reason, []).append((one.chunk, one.number))
    assert places == {
        ROUNDING: [(0, number) for number in DOUBTED[ROUNDING][:FIRST]],
        CONTRADICTED: [(chunk, number) for chunk in range(3) for number in DOUBTED[CONTRADICTED]],
        fault: [(chunk, FAULTY) for chunk in range(3)],
    }


def test_the_program_at_a_place_is_that_of_the_seed(fuzz: Fuzz) -> None:
    facts = common_facts(load_engine("reference"), load_engine("torch"))
    for one in fuzz.places:
        program = render(decode(fuzz.source.texts(one.chunk)[one.number], facts))
        assert one.text == (program if one.reason == CONTRADICTED else "")


def test_places_are_in_the_ledger_and_printed(
    fuzz: Fuzz, capsys: pytest.CaptureFixture[str]
) -> None:
    rounding = f"15 x {ROUNDING} (first chunk 0, number 2; chunk 0, number 3; chunk 0, number 5)"
    assert rounding in fuzz.result().note
    assert "15 x oracles disagree" in fuzz.result().note
    assert "chunk 2, number 13" in fuzz.result().note
    _print_doubts(fuzz.doubts, fuzz.places)
    printed = capsys.readouterr().out
    assert rounding in printed
    last = next(one for one in fuzz.places if (one.chunk, one.number) == (2, 13))
    assert f"chunk 2, number 13:\n{last.text}" in printed


def test_what_is_kept_does_not_depend_on_the_order_in_which_parts_end() -> None:
    undecided = [
        Undecided(chunk, number, reason)
        for chunk in range(4)
        for reason, numbers in DOUBTED.items()
        for number in numbers
    ]
    whole = worth_keeping(undecided)
    for seed in range(5):
        Random(seed).shuffle(undecided)
        first, second = worth_keeping(undecided[:17]), worth_keeping(undecided[17:])
        assert worth_keeping([*second, *first]) == whole


def test_a_doubt_without_a_place_is_counted() -> None:
    assert list(sentences(Counter({ROUNDING: 2}), [])) == [f"2 x {ROUNDING}"]
