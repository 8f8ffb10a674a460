"""Examining: statuses, counts, one violation per cause, shortened programs, determinism."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from conformance.adapters.base import Engine
from conformance.errors import UsageError
from conformance.examine import examine
from conformance.judge import judge
from conformance.notation import parse
from conformance.program import Program, from_json
from conformance.spec.clause import Clause, scenario
from conformance.verdict import ClauseResult, Finding, Kind, Level, Outcome, Status
from tests.engines.wrong_torch import (
    LacksExp,
    NeverFrees,
    RefusesExp,
    Sound,
    WrongMul,
    WrongSine,
)

DOUBLES = scenario(
    """
    x = leaf([1.0, 2.0], requires_grad=True)
    unused = leaf([5.0])
    also = mul(unused, other=3.0)
    y = mul(x, other=2.0)
    requires_grad(y)
    backward(y, gradient=[1.0, 1.0])
    assert grad(x) == [2.0, 2.0]
    assert requires_grad(y)
    """,
    "B7",
)
EXP = scenario("x = leaf([0.0])\ny = exp(x)\nassert value(y) == [1.0]", "B2")
SINE = scenario(
    "x = leaf([0.5])\nw = leaf([1.0])\ny = sin(x)\nz = sin(y)\nvalue(y)\nvalue(z)", "A1"
)


def clause(
    scenarios: Sequence[Program] = (),
    generated: Sequence[str] = (),
    needs: Sequence[str] = (),
) -> Clause:
    return Clause(
        id="TST-1",
        theme="test",
        level=Level.MUST,
        title="A clause of a test.",
        why="Because.",
        source="here",
        scenarios=tuple(scenarios),
        generated=tuple(generated),
        needs=frozenset(needs),
    )


def examined(engine: Engine, row: Clause, seed: int = 0) -> ClauseResult:
    return examine(engine, row, "smoke", seed)


def test_a_clause_holds_where_its_programs_do() -> None:
    result = examined(Sound(), clause([DOUBLES, EXP]))
    assert (result.status, result.programs, result.violations) == (Status.HOLDS, 2, ())
    assert (result.id, result.theme, result.title) == ("TST-1", "test", "A clause of a test.")
    assert result.tags == ("B7", "B2")
    assert result.max_error_ulp == 0.0


def test_a_clause_without_programs_is_unexercised_and_never_passes() -> None:
    result = examined(Sound(), clause())
    assert (result.status, result.note) == (
        Status.UNEXERCISED,
        "no program of the clause was run",
    )


def test_a_clause_whose_needs_are_missing_is_unsupported() -> None:
    result = examined(Sound(), clause([DOUBLES], needs=["threads_of_execution"]))
    assert (result.status, result.programs) == (Status.UNSUPPORTED, 0)
    assert result.note == "needs threads_of_execution"


def test_unsupported_programs_are_counted_and_do_not_hide_others() -> None:
    result = examined(LacksExp(), clause([DOUBLES, EXP]))
    assert (result.status, result.programs, result.unsupported) == (Status.HOLDS, 1, 1)
    alone = examined(LacksExp(), clause([EXP]))
    assert (alone.status, alone.note) == (Status.UNSUPPORTED, "exp")


def test_programs_that_decide_nothing_make_no_clause_hold() -> None:
    result = examined(Sound(), clause([scenario("x = leaf([1.0])")]))
    assert (result.status, result.programs, result.inconclusive) == (Status.INCONCLUSIVE, 0, 1)
    assert result.note == "nothing in the program could be compared"


def test_a_violation_carries_all_that_a_report_needs() -> None:
    result = examined(WrongSine(), clause([SINE]))
    assert result.status is Status.VIOLATED
    (violation,) = result.violations
    assert violation.kind is Kind.SILENTLY_WRONG
    assert (violation.operation, violation.dtype) == ("sin", "float64")
    assert violation.cause == "silently-wrong/value/value/sin"
    assert violation.tags == ("A1",)
    assert violation.text == "x = leaf([0.5])\ny = sin(x)\nvalue(y)"
    assert from_json(violation.program) == parse(violation.text)
    assert from_json(violation.program).tags == ("A1",)
    assert violation.step == 2
    assert violation.expected == "[0.47942554]"
    assert "WrongSine" in violation.reproduction


def test_a_figure_stays_with_the_steps_that_it_is_about() -> None:
    wrong = scenario(
        """
        x = leaf([1.0, 2.0], requires_grad=True)
        unused = leaf([5.0])
        y = mul(x, other=2.0)
        requires_grad(y)
        backward(y, gradient=[1.0, 1.0])
        assert grad(x) == [2.0, 3.0]
        assert requires_grad(y)
        """
    )
    (violation,) = examined(Sound(), clause([wrong])).violations
    assert violation.text == (
        "x = leaf([1.0, 2.0], requires_grad=True)\n"
        "y = mul(x, other=2.0)\n"
        "backward(y, gradient=[1.0, 1.0])\n"
        "assert grad(x) == [2.0, 3.0]"
    )


def test_one_cause_is_one_violation_with_all_its_tags_and_the_shortest_program() -> None:
    longer = scenario(
        "x = leaf([0.25])\ny = cos(x)\nz = sin(y)\nassert value(z) == [0.8]", "C1", "A1"
    )
    result = examined(WrongSine(), clause([longer, SINE]))
    (violation,) = result.violations
    assert violation.tags == ("C1", "A1")
    assert len(violation.text.splitlines()) == 3
    assert result.programs == 2


def test_causes_are_told_apart_and_the_silent_ones_come_first() -> None:
    class Both(WrongSine, RefusesExp):
        """Wrong in two ways."""

    result = examined(Both(), clause([EXP, SINE]))
    assert [violation.kind for violation in result.violations] == [
        Kind.SILENTLY_WRONG,
        Kind.REFUSED_LOUDLY,
    ]


def test_generated_programs_are_judged_and_shrunk() -> None:
    result = examined(WrongMul(), clause(generated=["leaves.fan_out"]))
    assert result.programs + result.inconclusive >= 5
    (violation,) = result.violations
    assert violation.operation == "mul"
    assert len(violation.text.splitlines()) <= 6
    assert violation.tags == ()


def test_a_strategy_that_the_engine_cannot_run_is_unsupported() -> None:
    class NoBackward(Sound):
        def lacks(self) -> Sequence[str]:
            return [*super().lacks(), "backward"]

    result = examined(NoBackward(), clause(generated=["leaves.fan_out"]))
    assert result.status is Status.UNSUPPORTED
    assert result.note.startswith("needs backward")


def test_generated_programs_depend_on_the_seed_alone() -> None:
    row = clause([DOUBLES], ["retained.freed"])
    one, two = (examined(NeverFrees(), row, seed=3) for _ in range(2))
    assert one == two
    assert one.violations


def test_callbacks_see_programs_before_they_run_and_findings_that_count() -> None:
    before: list[Program] = []
    after: list[tuple[Program, Finding]] = []
    result = examine(
        WrongSine(),
        clause([SINE], ["leaves.values"]),
        "smoke",
        0,
        before=before.append,
        after=lambda program, finding: after.append((program, finding)),
    )
    counted = result.programs + result.inconclusive + result.unsupported
    assert len(after) == counted
    assert len(before) > counted  # shortening judges more programs
    assert after[0][0] is SINE
    assert after[0][1].outcome is Outcome.VIOLATED


def test_faults_of_the_harness_are_no_violation() -> None:
    def broken(program: Program) -> None:
        raise LookupError("the worker's note could not be written")

    with pytest.raises(LookupError, match="note"):
        examine(Sound(), clause([SINE]), "smoke", 0, before=broken)


def test_a_fault_of_the_harness_costs_one_program_and_the_clause_its_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(engine: Engine, program: Program, **options: Any) -> Finding:
        if program is EXP:
            raise LookupError("an index of the judge is off")
        return judge(engine, program, **options)

    monkeypatch.setattr("conformance.examine.judge", broken)
    result = examine(Sound(), clause([EXP, DOUBLES]), "smoke", 0)
    assert (result.status, result.programs, result.inconclusive) == (Status.INCONCLUSIVE, 1, 1)
    assert result.note == "error of the harness: LookupError: an index of the judge is off"


def test_an_unknown_profile_is_a_mistake_of_the_user() -> None:
    with pytest.raises(UsageError, match="profile 'quick' is unknown; choose from smoke, default"):
        examine(Sound(), clause([SINE]), "quick", 0)
