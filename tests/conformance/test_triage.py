"""Which recorded defect stands behind a violation: by its clause, or by the operations applied."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.defects import Defect, triage
from conformance.ledger import Ledger
from conformance.notation import parse
from conformance.program import to_json
from conformance.verdict import Kind, Status
from tests.conformance.samples import ledger, result

BY_CLAUSE = Defect(
    "torch-1", "torch", "1", ("ACC-1",), "silently-wrong", "Wrong.", "raise SystemExit(1)"
)
BY_OPERATION = replace(BY_CLAUSE, id="torch-2", operations=("sin",))


@pytest.fixture(autouse=True)
def _two_defects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triage, "defects", lambda: (BY_CLAUSE, BY_OPERATION))


def shown(
    clause: str, program: str = "", operation: str | None = None, kind: Kind = Kind.SILENTLY_WRONG
) -> Ledger:
    """Return a ledger with one violation of a clause."""
    violated = result(clause, Status.VIOLATED, "a")
    (violation,) = violated.violations
    if program:
        violation = replace(violation, program=to_json(parse(program)), text=program)
    return ledger(
        replace(violated, violations=(replace(violation, operation=operation, kind=kind),))
    )


def ids(found: Ledger) -> list[str]:
    ((_, known),) = triage.triage(found).items()
    return [defect.id for defect in known]


def test_a_defect_explains_the_clauses_that_it_names() -> None:
    assert ids(shown("ACC-1")) == ["torch-1"]
    assert ids(shown("ACC-2")) == []


def test_a_defect_of_an_operation_explains_any_clause_that_applies_it() -> None:
    assert ids(shown("ACC-2", "x = leaf(1.0)\ny = sin(x)\nvalue(y)")) == ["torch-2"]
    assert ids(shown("ACC-2", "x = leaf(1.0)\ny = cos(x)\nvalue(y)")) == []


def test_the_operation_to_blame_counts_where_one_is_known() -> None:
    program = "x = leaf(1.0)\ny = sin(x)\nz = cos(y)\nvalue(z)"
    assert ids(shown("ACC-2", program, "cos")) == []
    assert ids(shown("ACC-2", program, "sin")) == ["torch-2"]


def test_of_several_defects_those_of_the_violations_kind_are_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = replace(BY_CLAUSE, id="torch-3", kind="refused-loudly")
    monkeypatch.setattr(triage, "defects", lambda: (BY_CLAUSE, refused))
    assert ids(shown("ACC-1")) == ["torch-1"]


def test_a_defect_of_raising_explains_no_wrong_numbers_and_wrong_numbers_a_missing_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = replace(BY_CLAUSE, id="torch-3", kind="refused-loudly")
    monkeypatch.setattr(triage, "defects", lambda: (refused,))
    assert ids(shown("ACC-1")) == []
    assert ids(shown("ACC-1", kind=Kind.REFUSED_LOUDLY)) == ["torch-3"]
    monkeypatch.setattr(triage, "defects", lambda: (BY_CLAUSE,))
    assert ids(shown("ACC-1", kind=Kind.NOT_REFUSED)) == ["torch-1"]


def test_defects_of_other_engines_explain_nothing() -> None:
    found = shown("ACC-1")
    assert ids(replace(found, engine=replace(found.engine, name="jax"))) == []
    assert ids(replace(found, engine=replace(found.engine, name="torch[device=cuda]"))) == [
        "torch-1"
    ]


def test_what_is_recorded_names_the_defects_behind_each_violation() -> None:
    shown_here = shown("ACC-1")
    recorded = triage.recorded_of(shown_here)
    assert recorded.recorded == 2
    assert recorded.of("ACC-1", shown_here.clauses[0].violations[0]) == (("torch-1", "Wrong."),)
