"""Hand-made results and ledgers for the tests of what consumes them."""

from __future__ import annotations

from conformance.ledger import EngineFacts, Ledger, RunFacts
from conformance.notation import parse, render
from conformance.program import to_json
from conformance.verdict import ClauseResult, Kind, Level, OperationResult, Status, Violation

PROGRAM = parse("x = leaf([1.0], requires_grad=True)\nbackward(x)\nassert grad(x) == [1.0]")


def violation(cause: str, kind: Kind = Kind.SILENTLY_WRONG) -> Violation:
    return Violation(
        cause=cause,
        kind=kind,
        operation="sin",
        dtype="float64",
        program=to_json(PROGRAM),
        text=render(PROGRAM),
        step=2,
        expected="[1.]",
        observed="[2.]",
        message=f"{cause}: grad(x) is [2.], expected [1.] – “silent”",
        reproduction="import torch\n",
    )


def result(
    identifier: str,
    status: Status = Status.HOLDS,
    *causes: str,
    level: Level = Level.MUST,
    note: str = "",
) -> ClauseResult:
    return ClauseResult(
        id=identifier,
        theme=identifier.partition("-")[0].lower(),
        level=level,
        title=f"The sentence of {identifier}.",
        status=status,
        programs=3,
        violations=tuple(violation(cause) for cause in causes),
        note=note,
    )


def ledger(*results: ClauseResult, engine: str = "torch", error: float | None = 0.5) -> Ledger:
    return Ledger(
        tool={"autograd-conformance": "0.1.0", "Python": "3.11.2"},
        engine=EngineFacts(engine, "2.13.0", ("backward", "grad")),
        run=RunFacts("default", 0, "*"),
        clauses=results,
        operations=(OperationResult("sin", "float64", Status.HOLDS, 4, error),),
        machine={"jobs": 2, "seconds": 1.5},
    )
