"""What becomes of recorded violations when they are run again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.adapters.load import load_engine
from conformance.errors import EngineLoadError, InvalidLedger
from conformance.judge import judge
from conformance.ledger import Ledger
from conformance.notation import parse
from conformance.program import to_json
from conformance.replay import replay_ledger
from conformance.verdict import Outcome, Status, Violation
from tests.conformance.samples import ledger, result, violation

SOUND = "tests.engines.sound_tape:SoundTape"
DOUBLED = "tests.engines.wrong_tapes:Doubled"
PROGRAM = parse(
    """
    x = leaf([1.0, 2.0], requires_grad=True)
    y = mul(x, x)
    out = sum(y)
    backward(out)
    assert grad(x) == [2.0, 4.0]
    """
)
UNSUPPORTED = parse("x = leaf([1.0])\ny = cos(x)\nassert value(y) == approx([0.54], 2)")


@pytest.fixture(scope="module")
def cause() -> str:
    finding = judge(load_engine(DOUBLED), PROGRAM)
    assert finding.outcome is Outcome.VIOLATED
    return finding.cause


def recorded(*violations: Violation, clause: str = "LEAF-2", engine: str = DOUBLED) -> Ledger:
    row = replace(result(clause, Status.VIOLATED), violations=violations)
    return ledger(row, engine=engine)


def of(cause: str, program: object = PROGRAM) -> Violation:
    form = {"steps": [], "tags": []} if program is None else to_json(program)  # type: ignore[arg-type]
    return replace(violation(cause), program=form)


def test_each_violation_is_told_apart_and_in_order(cause: str) -> None:
    book = recorded(of("another cause"), of("none", None), of(cause), of("odd", UNSUPPORTED))
    rows = replay_ledger(book, jobs=1)
    assert [row.state for row in rows] == [
        "violated otherwise", "inconclusive", "still violated", "unsupported",
    ]  # fmt: skip
    assert [row.violation.cause for row in rows] == ["another cause", "none", cause, "odd"]
    assert rows[1].message == "it was recorded without a program; run its clause again"
    assert "expected" in rows[2].message


def test_a_sound_engine_has_fixed_them(cause: str) -> None:
    (row,) = replay_ledger(recorded(of(cause)), SOUND, jobs=1)
    assert (row.clause, row.state) == ("LEAF-2", "fixed")


def test_a_clause_that_the_specification_dropped_is_replayed_all_the_same(cause: str) -> None:
    (row,) = replay_ledger(recorded(of(cause), clause="GONE-1"), jobs=1)
    assert row.state == "still violated"


def test_a_crash_is_told_from_a_fix() -> None:
    (row,) = replay_ledger(recorded(of("x")), "tests.engines.failing_processes:Killed")
    assert (row.state, row.message) == ("crashed", "the process died of SIGKILL")


def test_a_ledger_without_violations_starts_no_engine() -> None:
    assert replay_ledger(ledger(result("LEAF-2"), engine="no such engine")) == []


def test_a_damaged_program_is_refused_before_anything_runs() -> None:
    odd = replace(violation("a"), program={"steps": [{"verb": "explode"}]})
    with pytest.raises(
        InvalidLedger, match=r"program for a violation of LEAF-2 is damaged: .*explode"
    ):
        replay_ledger(recorded(odd, engine="no such engine"))


def test_an_engine_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(EngineLoadError, match="'tortch'"):
        replay_ledger(recorded(of("x")), "tortch")
