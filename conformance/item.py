"""One item of a run, a clause on an engine: what a worker does, and what is left if it dies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from conformance.adapters.base import Engine
from conformance.adapters.load import load_engine
from conformance.adapters.remote import EngineLost
from conformance.catalogue import share
from conformance.compare.difference import FAULT
from conformance.errors import InvalidProgram
from conformance.examine import examine
from conformance.ledger import EngineFacts
from conformance.notation import render
from conformance.operations import OperationCounts
from conformance.program import Program, from_json, to_json
from conformance.reproduce import script
from conformance.spec import Clause, clause
from conformance.verdict import (
    ClauseResult,
    Finding,
    Kind,
    Level,
    OperationResult,
    Status,
    Violation,
)
from conformance.workers import Lost, Notes


@dataclass(frozen=True, slots=True)
class Examined:
    """What one item yields: the clause's verdict, and what its programs say of operations."""

    clause: ClauseResult
    operations: tuple[OperationResult, ...] = ()


def engine_facts(name: str, notes: Notes) -> EngineFacts:
    """Load the engine and describe it. Raises `EngineLoadError` where it cannot be loaded."""
    del notes  # an engine that dies while it is loaded has run no program yet
    engine = load_engine(name)
    adapter = f"{type(engine).__module__}.{type(engine).__qualname__}"
    capabilities = tuple(sorted(engine.capabilities))
    return EngineFacts(name, engine.version, capabilities, adapter, share(engine.operations))


Deadly = Mapping[str, tuple[str, str]]
"""As `conformance.strategies.probe` has it: what ended a process, by name, how, and in words."""
PROBE = "PROBE"
"""The id under which such ends are recorded."""


def probe_item(engine: str, deadly: Deadly, notes: Notes) -> Deadly:
    """Probe the engine for what it lacks, noting each trial before it runs."""
    from conformance.strategies.probe import probe

    return probe(load_engine(engine), deadly, notes.write)


def probe_result(engine: str, deadly: Deadly, notes: Notes) -> ClauseResult:
    """Return the verdict on an engine whose process ended while it was probed; nothing is run."""
    from conformance.strategies.probe import trials

    del notes
    adapter = load_engine(engine)
    found = []
    for name, (how, detail) in sorted(deadly.items()):
        message = f"{detail} while the engine was probed for {name}; random programs leave it out"
        found.append(_end(adapter, trials()[name], how, detail, message))
    crashed = any(violation.kind is Kind.CRASHED for violation in found)
    return ClauseResult(
        id=PROBE,
        theme="probing",
        level=Level.MUST,
        title="Every operation returns, or raises, on small arrays",
        status=Status.CRASHED if crashed else Status.TIMED_OUT,
        programs=len(found),
        violations=tuple(found),
        note="; ".join(violation.message for violation in found),
        why="What ends the process while an engine is probed cannot be part of any other program.",
    )


def examine_item(
    engine: str, clause_id: str, profile: str, seed: int, deadly: Deadly, notes: Notes
) -> Examined:
    """Examine one clause on one engine, by a new adapter, noting every program before it runs.

    deadly: what ended the engine's process while it was probed; it is not tried again.
    """
    counts = OperationCounts()
    log = _Log(notes)

    def after(program: Program, finding: Finding) -> None:
        log.judged += 1
        counts.add(program, finding)

    adapter, row = load_engine(engine), clause(clause_id)
    if deadly and row.generated:
        probe_item(engine, deadly, notes)
    try:
        result = examine(adapter, row, profile, seed, before=log.before, after=after)
    except EngineLost as lost:
        return _lost(adapter, row, lost, lost.program, log.judged)
    if deadly and row.generated and not result.note:
        left_out = ", ".join(f"{name} ({detail})" for name, (_, detail) in sorted(deadly.items()))
        result = replace(result, note=f"random programs left out what killed the probe: {left_out}")
    return Examined(result, counts.results())


class _Log:
    """Notes the program that is about to run, and how many were judged before it."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self.judged = 0

    def before(self, program: Program) -> None:
        self._notes.write(json.dumps({"judged": self.judged, "program": to_json(program)}))


def lost_item(engine: str, clause_id: str, lost: Lost, notes: Notes) -> Examined:
    """Return the verdict on a clause whose process died, ran out of time or failed, in a new one.

    The program that was under way is named and gets a script, which is not run.
    """
    del notes  # nothing is run
    judged, program = _read_note(lost.note)
    return _lost(load_engine(engine), clause(clause_id), lost, program, judged)


def _lost(
    adapter: Engine, row: Clause, lost: Lost | EngineLost, program: Program | None, judged: int
) -> Examined:
    if lost.how == "faulted":
        return Examined(_without_verdict(row, f"{FAULT}: {lost.detail}", judged))
    where = "it got ready" if program is None else "this program ran"
    violation = _end(adapter, program, lost.how, lost.detail, f"{lost.detail} while {where}")
    return Examined(_unfinished(row, violation, judged))


def _end(
    adapter: Engine, program: Program | None, how: str, detail: str, message: str
) -> Violation:
    dtype = adapter.dtypes[0]
    return Violation(
        cause=f"{how}: {detail}",
        kind=Kind.CRASHED if how == "crashed" else Kind.TIMED_OUT,
        operation=None,
        dtype=dtype,
        program={"tags": [], "steps": []} if program is None else to_json(program),
        text="" if program is None else render(program),
        step=-1,
        expected="the engine returns or raises an exception",
        observed=detail,
        message=message,
        reproduction="" if program is None else script(adapter, program, dtype),
        tags=() if program is None else program.tags,
    )


def _unfinished(row: Clause, violation: Violation, judged: int) -> ClauseResult:
    status = Status.CRASHED if violation.kind is Kind.CRASHED else Status.TIMED_OUT
    result = _without_verdict(row, violation.message, judged)
    return replace(result, status=status, violations=(violation,))


def _without_verdict(row: Clause, note: str, judged: int) -> ClauseResult:
    return ClauseResult(
        id=row.id,
        theme=row.theme,
        level=row.level,
        title=row.title,
        status=Status.INCONCLUSIVE,
        programs=judged,
        note=note,
        source=row.source,
        why=row.why,
    )


def _read_note(note: str) -> tuple[int, Program | None]:
    try:
        form = json.loads(note)
        return int(form["judged"]), from_json(form["program"])
    except (ValueError, InvalidProgram):
        return 0, None  # the process died before its first program, or while it wrote the note
