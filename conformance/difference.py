"""What changed between two ledgers: regressions, fixes, and clauses that only one of them has."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.ledger import Ledger
from conformance.verdict import ClauseResult, Level, Status

PASSING = frozenset({Status.HOLDS, Status.UNSUPPORTED})
"""The statuses that ask nothing of an engine's author."""


@dataclass(frozen=True, slots=True)
class Change:
    """One clause, or one defect in it, that two ledgers judge differently.

    `cause` names the defect; it is empty where the status itself changed without a violation, as
    from holds to unexercised. `message` is the violation's, of the ledger that has it.
    """

    clause: str
    level: Level
    title: str
    before: Status
    after: Status
    cause: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """The changes from an old ledger to a new one, each group in the order of the clauses.

    regressions: defects and unmet clauses that are new. fixes: those that are gone. altered: other
    changes of status, among those that pass. added, removed: ids of clauses that only the new or
    the old ledger has; what an added clause violates is a regression as well.
    """

    regressions: tuple[Change, ...]
    fixes: tuple[Change, ...]
    altered: tuple[Change, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


def difference(old: Ledger, new: Ledger) -> Difference:
    """Compare two ledgers clause by clause; defects are matched by their cause."""
    before = {result.id: result for result in old.clauses}
    after = {result.id: result for result in new.clauses}
    regressions: list[Change] = []
    fixes: list[Change] = []
    altered: list[Change] = []
    for key, result in after.items():
        earlier = before.get(key)
        was = result.status if earlier is None else earlier.status
        known = {} if earlier is None else defects(earlier)
        found = defects(result)
        row = (result.id, result.level, result.title, was, result.status)
        regressions += [Change(*row, c, text) for c, text in found.items() if c not in known]
        fixes += [Change(*row, c, text) for c, text in known.items() if c not in found]
        if earlier is not None and was != result.status and not (known or found):
            altered.append(Change(*row, "", result.note))
    return Difference(
        regressions=tuple(regressions),
        fixes=tuple(fixes),
        altered=tuple(altered),
        added=tuple(key for key in after if key not in before),
        removed=tuple(key for key in before if key not in after),
    )


def defects(result: ClauseResult) -> dict[str, str]:
    """Return the causes by which a clause is unmet, each with its message.

    A clause that is unmet without a violation, as an unexercised one, has its status for a cause.
    """
    if result.violations:
        return {violation.cause: violation.message for violation in result.violations}
    return {} if result.status in PASSING else {result.status.value: result.note}
