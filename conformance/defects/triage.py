"""Triage: which recorded defects explain the violations of a ledger."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.defects.defect import Defect, defects
from conformance.errors import InvalidProgram
from conformance.ledger import Ledger
from conformance.program import from_json
from conformance.report.triaged import Triage
from conformance.verdict import Violation

Explained = Mapping[tuple[str, str], tuple[Defect, ...]]
"""The defects behind each violation, by the clause's id and the violation's cause."""


def triage(ledger: Ledger) -> Explained:
    """Return the recorded defects of the ledger's engine that explain its violations.

    A defect of operations explains what programs that apply one of them show, in any clause; any
    other explains the clauses that it names. One that raises, or fails to, explains no other kind
    of violation; wrong numbers may also be why an error comes, or comes not. Where several explain
    it, those of the violation's own kind are meant. A violation that nothing explains has an empty
    tuple.
    """
    engine = engine_of(ledger)
    known = tuple(defect for defect in defects() if defect.engine == engine)
    return {
        (result.id, violation.cause): _behind(known, result.id, violation)
        for result in ledger.clauses
        for violation in result.violations
    }


def recorded_of(ledger: Ledger) -> Triage:
    """Return what has been recorded of the ledger's engine, as its pages show it."""
    return Triage(
        sum(defect.engine == engine_of(ledger) for defect in defects()),
        {
            key: tuple((defect.id, defect.sentence) for defect in known)
            for key, known in triage(ledger).items()
        },
    )


def _behind(known: tuple[Defect, ...], clause: str, violation: Violation) -> tuple[Defect, ...]:
    found = tuple(defect for defect in known if _explains(defect, clause, violation))
    alike = tuple(defect for defect in found if defect.kind == violation.kind.value)
    return alike or found


def engine_of(ledger: Ledger) -> str:
    """Return the name by which the ledger's engine is recorded: without its options."""
    return ledger.engine.name.partition("[")[0]


_OF_ERRORS = ("refused-loudly", "not-refused")


def _explains(defect: Defect, clause: str, violation: Violation) -> bool:
    if defect.kind in _OF_ERRORS and defect.kind != violation.kind.value:
        return False
    if not defect.operations:
        return clause in defect.clauses
    return not _applied(violation).isdisjoint(defect.operations)


def _applied(violation: Violation) -> set[str]:
    """Return the operation to blame, or all that the program applies where none is."""
    if violation.operation is not None:
        return {violation.operation}
    try:
        steps = from_json(violation.program).walk()
    except InvalidProgram:
        return set()
    return {step.op for step in steps if step.op}
