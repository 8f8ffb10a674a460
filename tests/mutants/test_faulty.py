"""Engines that are out of order get a verdict: violated, unsupported, crashed or timed out."""

from __future__ import annotations

import pytest

import conformance
from conformance import spec
from conformance.examine import examine
from conformance.verdict import Kind, Status
from tests.mutants import faulty
from tests.mutants.profile import PROFILE


@pytest.mark.parametrize(
    "error", [faulty.Speechless, faulty.Long, faulty.Unprintable, MemoryError, StopIteration]
)
def test_an_exception_where_none_is_owed_is_a_violation(error: type[Exception]) -> None:
    engine = faulty.Raising()
    engine.error = error
    result = examine(engine, spec.clause("LEAF-2"), PROFILE, 0)
    assert result.status is Status.VIOLATED
    assert {violation.kind for violation in result.violations} == {Kind.REFUSED_LOUDLY}
    for violation in result.violations:
        assert error.__name__ in violation.cause
        assert len(violation.message) < 1000
        assert "somebody" not in violation.message
        assert violation.reproduction


def test_values_that_are_no_numbers_are_a_violation() -> None:
    result = examine(faulty.WrongShapes(), spec.clause("LEAF-2"), PROFILE, 0)
    assert result.status is Status.VIOLATED


def test_an_operation_that_is_not_there_is_unsupported() -> None:
    result = examine(faulty.WithoutMul(), spec.clause("ACC-9"), PROFILE, 0)
    assert result.status is Status.HOLDS
    result = examine(faulty.WithoutMul(), spec.clause("RET-11"), PROFILE, 0)
    assert (result.status, result.violations) == (Status.UNSUPPORTED, ())
    assert "mul" in result.note


@pytest.mark.parametrize(
    ("one", "missing"),
    [("DET-1", "detach"), ("MOD-1", "no_grad"), ("DAT-10", "apply_"), ("COT-8", "grad_of")],
)
def test_a_capability_that_is_not_there_is_unsupported(one: str, missing: str) -> None:
    result = examine(faulty.Bare(), spec.clause(one), PROFILE, 0)
    assert (result.status, result.violations) == (Status.UNSUPPORTED, ())
    assert missing in result.note


def test_the_bare_engine_is_asked_what_it_can_answer() -> None:
    for one in ("LEAF-1", "LEAF-2", "ACC-1", "COT-2", "RET-1"):
        assert examine(faulty.Bare(), spec.clause(one), PROFILE, 0).status is Status.HOLDS


def test_a_process_that_dies_or_hangs_costs_its_clause() -> None:
    names = [f"{faulty.__name__}:{name}" for name in ("Dying", "Sleeping")]
    ledgers = conformance.run(names, "smoke", "LEAF-1[23]", jobs=1, timeout=6)
    found = [{result.id: result.status for result in ledger.clauses} for ledger in ledgers]
    assert found == [
        {"LEAF-12": Status.CRASHED, "LEAF-13": Status.HOLDS},
        {"LEAF-12": Status.TIMED_OUT, "LEAF-13": Status.HOLDS},
    ]
