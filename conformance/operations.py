"""What a run saw of every operation: the ledger's second view of the same programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.program import Program
from conformance.verdict import Finding, OperationResult, Outcome, Status

_WORST_FIRST = (Status.VIOLATED, Status.HOLDS, Status.INCONCLUSIVE, Status.UNSUPPORTED)
"""One program in which it holds settles an operation that other programs left open."""


@dataclass(slots=True)
class _Row:
    status: Status = Status.UNSUPPORTED
    programs: int = 0
    error: float | None = None

    def add(self, status: Status, programs: int, error: float | None) -> None:
        self.status = min(self.status, status, key=_WORST_FIRST.index)
        self.programs += programs
        if error is not None:
            self.error = error if self.error is None else max(self.error, error)


class OperationCounts:
    """Collects judged programs by operation and dtype.

    programs counts those in which the operation took part; max_error_ulp is the worst error of
    these programs, of whichever operation it was, but for the errors that another operation is to
    blame for, or none is known to be. An operation is violated where it is to blame.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], _Row] = {}

    def add(self, program: Program, finding: Finding) -> None:
        """Count one program and what it was judged to show."""
        unsupported = finding.outcome is Outcome.UNSUPPORTED
        for name in program.operations:
            blamed = name == finding.operation
            if unsupported and not blamed:
                continue  # the program says nothing of the operations that the engine does have
            status = Status(finding.outcome.value)
            if status is Status.VIOLATED and not blamed:
                status = Status.INCONCLUSIVE
            row = self._rows.setdefault((name, finding.dtype), _Row())
            wrong = finding.outcome is Outcome.VIOLATED and not blamed
            row.add(status, 0 if unsupported else 1, None if wrong else finding.error_ulp)

    def results(self) -> tuple[OperationResult, ...]:
        """Return the rows by name and dtype."""
        return _results(self._rows)


def merge_operations(parts: Iterable[OperationResult]) -> tuple[OperationResult, ...]:
    """Return one row per operation and dtype for the rows of several clauses."""
    rows: dict[tuple[str, str], _Row] = {}
    for part in parts:
        row = rows.setdefault((part.name, part.dtype), _Row())
        row.add(part.status, part.programs, part.max_error_ulp)
    return _results(rows)


def _results(rows: dict[tuple[str, str], _Row]) -> tuple[OperationResult, ...]:
    return tuple(
        OperationResult(name, dtype, row.status, row.programs, row.error)
        for (name, dtype), row in sorted(rows.items())
    )
