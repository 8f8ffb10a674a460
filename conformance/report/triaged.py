"""Violations that somebody has looked at: the recorded defects behind them, told apart from others.

A ledger does not say this: findings are recorded after a run. Whoever writes the pages gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from conformance.verdict import ClauseResult, Level, Status, Violation

_LOST = (Status.VIOLATED, Status.CRASHED, Status.TIMED_OUT)
Defects = tuple[tuple[str, str], ...]
"""Recorded defects: the id and the sentence of each."""


@dataclass(frozen=True, slots=True)
class Triage:
    """What has been recorded of one engine.

    recorded: how many defects, whether this run met them or not. behind: the defects that explain a
    violation, by the clause's id and the violation's cause; none where nobody has looked at it.
    """

    recorded: int = 0
    behind: Mapping[tuple[str, str], Defects] = field(default_factory=dict)

    def of(self, clause: str, violation: Violation) -> Defects:
        """Return the defects behind a violation of a clause."""
        return self.behind.get((clause, violation.cause), ())

    def untriaged(self, results: Iterable[ClauseResult]) -> int:
        """Count the violations of MUST clauses that no recorded defect explains.

        A clause on which the engine died or did not come back, with no program to show, counts too.
        """
        musts = [result for result in results if result.level is Level.MUST]
        unexplained = sum(not self.of(r.id, violation) for r in musts for violation in r.violations)
        return unexplained + sum(r.status in _LOST and not r.violations for r in musts)
