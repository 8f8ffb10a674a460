"""The search: what it draws, what it calls a failure, and how far it shrinks one."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from conformance.errors import Unsupported, UsageError
from conformance.notation import parse, render
from conformance.program import Program
from conformance.strategies import Facts, search, strategy
from conformance.verdict import Finding, Outcome

EVERYTHING = Facts(frozenset("backward grad requires_grad is_leaf retain_grad".split()))


def holds(_: Program) -> Finding:
    return Finding(Outcome.HOLDS, "float64")


def failing(cause_of: Callable[[Program], str]) -> Callable[[Program], Finding]:
    """Return a check that finds a program violated for the cause that `cause_of` names, if any."""

    def check(program: Program) -> Finding:
        cause = cause_of(program)
        return Finding(Outcome.VIOLATED if cause else Outcome.HOLDS, "float64", cause=cause)

    return check


def applies(program: Program, *names: str) -> bool:
    return set(names) <= set(program.operations)


def collected(seed: int, examples: int = 30, name: str = "leaves.gradients") -> list[str]:
    found: list[str] = []

    def check(program: Program) -> Finding:
        found.append(render(program))
        return holds(program)

    search(name, EVERYTHING, check, examples=examples, seed=seed)
    return found


def test_as_many_programs_as_asked_all_different() -> None:
    result = search("leaves.gradients", EVERYTHING, holds, examples=40, seed=0)
    assert result.tried == 40
    assert len(set(collected(0, 40))) == 40
    assert result.failing == ()
    assert result.missing == frozenset()


def test_the_same_seed_draws_the_same_programs_and_another_seed_others() -> None:
    assert collected(3) == collected(3)
    assert len(set(collected(3)) & set(collected(4))) <= 2  # the simplest one is in both
    assert collected(3) != collected(3, name="leaves.fan_out")


def test_fewer_examples_are_the_first_of_more() -> None:
    assert collected(5, 8) == collected(5, 40)[:8]


def test_modules_that_happen_to_be_loaded_do_not_matter(tmp_path: Path) -> None:
    """Hypothesis draws literals from the user's modules; a ledger must not depend on them."""
    before = collected(11, 60)
    source = "A = b'" + "x" * 200 + "'\nB = [" + ", ".join(f"b'{'y' * n}'" for n in range(1, 200))
    path = tmp_path / "user_adapter.py"
    path.write_text(source + "]\nC = 77\nD = 113\n")
    module = types.ModuleType("user_adapter")
    module.__file__ = str(path)
    sys.modules["user_adapter"] = module
    try:
        assert collected(11, 60) == before
    finally:
        del sys.modules["user_adapter"]


def test_another_process_draws_the_same_programs() -> None:
    code = """
        from conformance.notation import render
        from conformance.strategies import Facts, search
        from conformance.verdict import Finding, Outcome
        facts = Facts(frozenset("backward grad requires_grad is_leaf retain_grad".split()))
        def check(program):
            print(render(program), end="#")
            return Finding(Outcome.HOLDS, "float64")
        search("leaves.gradients", facts, check, examples=30, seed=2)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert run.stdout.split("#")[:-1] == collected(2)


def test_a_failure_is_shrunk_to_the_smallest_program_that_shows_it() -> None:
    check = failing(lambda p: "wrong exp" if applies(p, "exp") else "")
    ((program, finding),) = search(
        "leaves.gradients", EVERYTHING, check, examples=100, seed=0
    ).failing
    assert finding.cause == "wrong exp"
    assert render(program) == "x = leaf(1.0)\nout = exp(x)"


def test_a_failure_of_two_operations_keeps_both_and_no_third() -> None:
    check = failing(lambda p: "both" if applies(p, "expm1", "sub") else "")
    ((program, _),) = search("leaves.gradients", EVERYTHING, check, examples=500, seed=1).failing
    assert set(program.operations) == {"expm1", "sub"}
    assert len(program.steps) == 3


def test_what_is_promised_survives_shrinking() -> None:
    """No step is dropped on which the figure may rest: there is still a backward before it."""
    check = failing(
        lambda p: "untracked" if any(s.expect and s.expect.value is None for s in p.walk()) else ""
    )
    ((program, _),) = search("leaves.gradients", EVERYTHING, check, examples=60, seed=0).failing
    leaf = next(step for step in program.steps if step.verb == "leaf" and len(step.params) == 1)
    assert [step.verb for step in program.steps[-2:]] == ["backward", "grad"]
    assert program.steps[-1].args == leaf.out
    assert len(program.steps) <= 7


def test_each_cause_is_shrunk_by_itself() -> None:
    names = ("exp", "matmul", "transpose")
    check = failing(lambda p: next((n for n in names if applies(p, n)), ""))
    result = search("leaves.gradients", EVERYTHING, check, examples=200, seed=0)
    assert {finding.cause for _, finding in result.failing} == set(names)
    for program, finding in result.failing:
        assert program.operations == (finding.cause,)
    assert result.tried == 200


def test_findings_are_those_of_the_drawn_programs_not_of_shrinking() -> None:
    check = failing(lambda p: "exp" if applies(p, "exp") else "")
    result = search("leaves.gradients", EVERYTHING, check, examples=50, seed=0)
    assert result.tried == 50
    assert 1 <= sum(f.outcome is Outcome.VIOLATED for f in result.findings) < 50


@pytest.mark.parametrize("shrinking", [0, 7, 50])
def test_shrinking_judges_no_more_programs_than_it_may(shrinking: int) -> None:
    judged = []

    def check(program: Program) -> Finding:
        judged.append(program)
        cause = next((n for n in ("exp", "sin", "mul") if applies(program, n)), "")
        return Finding(Outcome.VIOLATED if cause else Outcome.HOLDS, "float64", cause=cause)

    result = search("leaves.gradients", EVERYTHING, check, examples=40, seed=0, shrinking=shrinking)
    assert len(judged) == len(set(judged)), "a program was judged twice"
    assert result.tried == 40
    assert len(judged) <= 40 + shrinking
    assert len(result.failing) == 3


def test_unsupported_and_inconclusive_programs_are_no_failures() -> None:
    for outcome in (Outcome.UNSUPPORTED, Outcome.INCONCLUSIVE):
        result = search(
            "leaves.gradients",
            EVERYTHING,
            lambda _, o=outcome: Finding(o, "float64"),  # type: ignore[misc]
            examples=10,
            seed=0,
        )
        assert result.failing == ()
        assert [f.outcome for f in result.findings] == [outcome] * 10


class HarnessFault(Exception):
    pass


def test_a_fault_of_the_check_propagates() -> None:
    def check(program: Program) -> Finding:
        raise HarnessFault(program)

    with pytest.raises(HarnessFault):
        search("leaves.gradients", EVERYTHING, check, examples=5, seed=0)


def test_a_fault_while_shrinking_propagates() -> None:
    calls = 0

    def check(program: Program) -> Finding:
        nonlocal calls
        calls += 1
        if calls > 35:
            raise HarnessFault
        return failing(lambda p: "exp" if applies(p, "exp") else "")(program)

    with pytest.raises(HarnessFault):
        search("leaves.gradients", EVERYTHING, check, examples=30, seed=0)


def test_what_the_engine_lacks_is_named_and_nothing_is_drawn() -> None:
    facts = Facts(frozenset({"grad"}))
    result = search("leaves.retained", facts, holds, examples=5, seed=0)
    assert result.missing == {"backward", "retain_grad"}
    assert result.tried == 0
    few = Facts(EVERYTHING.capabilities, operations=frozenset({"view"}))
    result = search("leaves.intermediates", few, holds, examples=5, seed=0)
    assert result.missing == {"operations for its programs"}


def test_an_unknown_strategy_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown strategy 'nothing'"):
        search("nothing", EVERYTHING, holds, examples=5, seed=0)
    with pytest.raises(UsageError, match="unknown strategy 'nothing'"):
        strategy("nothing")


def test_a_strategy_is_one_of_hypothesis() -> None:
    found: list[Program] = []

    @settings(max_examples=20, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy("leaves.gradients")(EVERYTHING))
    def gather(program: Program) -> None:
        found.append(program)

    gather()
    assert len(set(found)) > 10
    assert all(parse(render(program)) == program for program in found)


def test_a_strategy_of_what_the_engine_lacks_is_unsupported() -> None:
    with pytest.raises(Unsupported, match=r"leaves\.retained needs backward, retain_grad"):
        strategy("leaves.retained")(Facts(frozenset({"grad"})))
