"""A ledger survives the trip through JSON whole, and a damaged one is refused in one sentence."""

from __future__ import annotations

import json

import pytest

from conformance.errors import InvalidLedger
from conformance.ledger import (
    EngineFacts,
    Ledger,
    RunFacts,
    file_stem,
    ledger_from_json,
    short_name,
)
from conformance.notation import parse, render
from conformance.program import to_json
from conformance.verdict import ClauseResult, Kind, Level, OperationResult, Status, Violation, tally

PROGRAM = parse("x = leaf([1.0], requires_grad=True)\nbackward(x)\nassert grad(x) == [1.0]")
VIOLATION = Violation(
    cause="backward:silently-wrong",
    kind=Kind.SILENTLY_WRONG,
    operation="backward",
    dtype="float64",
    program=to_json(PROGRAM),
    text=render(PROGRAM),
    step=2,
    expected="[1.]",
    observed="[2.]",
    message="grad(x) is [2.], expected [1.]",
    reproduction="import torch",
    graph=(
        {"kind": "tensor", "title": "y", "outputs": ["[1]"], "rows": [], "inputs": [[1, 0]]},
        {
            "kind": "op",
            "title": "MulBackward0",
            "outputs": ["[1]"],
            "rows": [["plain", "saved other = 3.0"]],
            "inputs": [None],
        },
    ),
)
RESULT = ClauseResult(
    "ACC-1",
    "accumulation",
    Level.MUST,
    "Backward adds.",
    Status.VIOLATED,
    3,
    violations=(VIOLATION,),
)
LEDGER = Ledger(
    tool={"name": "autograd-conformance", "version": "0.1.0"},
    engine=EngineFacts("torch", "2.13.0", ("backward", "grad")),
    run=RunFacts("default", 0, "*"),
    clauses=(RESULT, ClauseResult("LEAF-1", "leaves", Level.SHOULD, "A leaf.", Status.HOLDS, 2)),
    operations=(OperationResult("sin", "float64", Status.HOLDS, 4, 0.5),),
    machine={"jobs": 2},
)


def test_ledger_round_trips() -> None:
    form = json.loads(json.dumps(LEDGER.to_json(), allow_nan=False))
    assert next(iter(form)) == "schema"
    assert form["clauses"][0]["violations"][0]["kind"] == "silently-wrong"
    assert ledger_from_json(form) == LEDGER


def test_unknown_keys_are_ignored() -> None:
    form = LEDGER.to_json() | {"later": 1}
    form["clauses"][0]["later"] = 2  # type: ignore[index,call-overload]
    assert ledger_from_json(form) == LEDGER


@pytest.mark.parametrize("key", ["tool", "engine", "run", "clauses", "operations", "machine"])
def test_a_missing_section_is_named(key: str) -> None:
    form = LEDGER.to_json()
    del form[key]
    with pytest.raises(InvalidLedger, match=f"damaged: KeyError: '{key}'"):
        ledger_from_json(form)


def test_an_unknown_status_is_refused() -> None:
    form = LEDGER.to_json()
    form["clauses"][0]["status"] = "fine"  # type: ignore[index,call-overload]
    with pytest.raises(InvalidLedger, match="'fine' is not a valid Status"):
        ledger_from_json(form)


def test_tally_counts_statuses_and_silent_wrongness() -> None:
    counted = tally(LEDGER.clauses)
    assert counted.counts[Status.VIOLATED] == 1
    assert counted.counts[Status.HOLDS] == 1
    assert counted.counts[Status.CRASHED] == 0
    assert counted.silent == 1


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("torch", "torch"),
        ("my.adapter:Engine[python=/opt/my/bin/python]", "my.adapter:Engine"),
        ("reference[python=/x,device=cuda]", "reference[device=cuda]"),
        ("reference[backend=torch,python=/x]", "reference[backend=torch]"),
    ],
)
def test_the_path_of_an_engines_python_is_nothing_to_read(name: str, short: str) -> None:
    assert short_name(name) == short
    assert "python" not in file_stem(name)
