"""Runs the violations that a ledger records once more, and says which are fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conformance.adapters.load import load_engine
from conformance.adapters.remote import EngineLost
from conformance.errors import InvalidLedger, InvalidProgram, UsageError
from conformance.judge import judge
from conformance.ledger import Ledger
from conformance.program import Program, from_json
from conformance.runner import SECONDS, load_facts
from conformance.spec import clause
from conformance.verdict import Finding, Outcome, Violation
from conformance.workers import Lost, Notes, Workers, processors

State = Literal[
    "fixed", "still violated", "violated otherwise", "unsupported", "inconclusive", "crashed",
    "timed-out",
]  # fmt: skip
_STATES: dict[Outcome, State] = {
    Outcome.HOLDS: "fixed",
    Outcome.UNSUPPORTED: "unsupported",
    Outcome.INCONCLUSIVE: "inconclusive",
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one recorded violation.

    state: `violated otherwise` where the program still shows a defect, of another cause than the
    recorded one. message: of the new finding, or the recorded one where nothing new is to be said.
    """

    clause: str
    violation: Violation
    state: State
    message: str


def replay_ledger(
    ledger: Ledger, engine: str | None = None, *, jobs: int | None = None
) -> list[Replayed]:
    """Replay every violation of `ledger` on `engine`, by default the ledger's; keep their order.

    Raises `InvalidLedger` where a recorded program is none, `EngineLoadError` where the engine
    cannot be loaded. The programs are data, run through the adapter; the scripts are not run.
    """
    name = engine or ledger.engine.name
    recorded = [
        (result.id, violation, _program(result.id, violation))
        for result in ledger.clauses
        for violation in result.violations
    ]
    with_program = [row for row in recorded if row[2].steps]
    if not recorded:
        return []
    ends: dict[int, Finding | Lost] = {}
    count = max(1, min(jobs or processors(), len(with_program)))
    with Workers(count) as workers:
        load_facts(workers, (name,))
        items = [(name, key, violation, program) for key, violation, program in with_program]
        for done in workers.run(_replay_item, items, SECONDS["smoke"]):
            ends[done.index] = done.result
    found = iter([ends[index] for index in sorted(ends)])
    return [
        _replayed(key, violation, next(found) if program.steps else None)
        for key, violation, program in recorded
    ]


def _program(identifier: str, violation: Violation) -> Program:
    try:
        return from_json(violation.program)
    except InvalidProgram as error:
        raise InvalidLedger(
            f"the ledger's program for a violation of {identifier} is damaged: {error}; write the"
            " ledger again with `autograd-conformance run`"
        ) from error


def _replay_item(
    engine: str, identifier: str, violation: Violation, program: Program, notes: Notes
) -> Finding | Lost:
    del notes  # the item is one program, which the ledger already names
    try:
        oracles = clause(identifier).oracles
    except UsageError:  # the specification has dropped the clause since
        oracles = ("differential",)
    try:
        return judge(load_engine(engine), program, dtype=violation.dtype, oracles=oracles)
    except EngineLost as lost:
        return Lost(lost.how, lost.detail, "")


def _replayed(identifier: str, violation: Violation, end: Finding | Lost | None) -> Replayed:
    if end is None:
        text = "it was recorded without a program; run its clause again"
        return Replayed(identifier, violation, "inconclusive", text)
    if isinstance(end, Lost):
        ending: State = "inconclusive" if end.how == "faulted" else end.how
        return Replayed(identifier, violation, ending, end.detail)
    if end.outcome is not Outcome.VIOLATED:
        message = end.message or violation.message
        return Replayed(identifier, violation, _STATES[end.outcome], message)
    same = end.cause == violation.cause
    state: State = "still violated" if same else "violated otherwise"
    return Replayed(identifier, violation, state, end.message)
