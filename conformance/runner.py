"""Runs clauses on engines in worker processes, and makes a ledger for each engine."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from typing import Protocol

from conformance.errors import EngineLoadError, UsageError
from conformance.item import (
    Deadly,
    Examined,
    engine_facts,
    examine_item,
    lost_item,
    probe_item,
    probe_result,
)
from conformance.ledger import EngineFacts, Ledger, RunFacts, file_stem
from conformance.operations import merge_operations
from conformance.profiles import PROFILES
from conformance.program import Json
from conformance.spec import Clause, select
from conformance.verdict import ClauseResult
from conformance.workers import Lost, Workers, processors

DEFAULT_ENGINES = ("reference", "torch")
SECONDS = {"smoke": 60.0, "default": 300.0, "thorough": 3600.0}
"""How long one item may take before its engine is said to hang, by profile."""
LOADING_SECONDS = 120.0


class Progress(Protocol):
    """Told what happens while a run goes on."""

    def started(self, engines: Sequence[EngineFacts], clauses: int) -> None:
        """Say that the engines are loaded and how many clauses each will be asked about."""

    def finished(self, engine: str, result: ClauseResult) -> None:
        """Say that one clause has been judged on one engine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked request: what is run, on which engines, and how.

    select: the glob as given, of which `clauses` are the matches. jobs: worker processes. timeout:
    seconds that one clause may take on one engine.
    """

    engines: tuple[str, ...]
    clauses: tuple[Clause, ...]
    profile: str
    select: str
    seed: int
    jobs: int
    timeout: float

    @classmethod
    def make(
        cls,
        engines: Sequence[str] | str,
        profile: str = "default",
        select_glob: str = "*",
        seed: int = 0,
        jobs: int | None = None,
        timeout: float | None = None,
    ) -> Plan:
        """Check the request. Raises `UsageError` for what no run can be made of."""
        names = (engines,) if isinstance(engines, str) else tuple(dict.fromkeys(engines))
        if not names:
            raise UsageError("no engine is named; give at least one, as 'torch'")
        odd = [name for name in names if not isinstance(name, str)]
        if odd:
            raise UsageError(
                f"{odd[0]!r} is not the name of an engine; give a name, as 'torch' or, for an"
                " adapter of yours, 'package.module:attribute'"
            )
        stems = [file_stem(name).lower() for name in names]
        for name, stem in zip(names, stems, strict=True):
            if stems.count(stem) > 1:
                raise UsageError(
                    f"{name!r} and another engine of this run would share the file {stem}.json;"
                    " run them one at a time, with another --out"
                )
        if profile not in PROFILES:
            raise UsageError(f"no profile is called {profile!r}; expected {', '.join(PROFILES)}")
        if jobs is not None and jobs < 1:
            raise UsageError(f"{jobs} worker processes cannot run anything; expected 1 or more")
        if timeout is not None and not timeout > 0:
            raise UsageError(f"a time limit of {timeout:g} s leaves no time; expected more than 0")
        clauses = select(select_glob)
        most = max(len(names) * len(clauses), 1)
        count = min(processors() if jobs is None else jobs, most)
        return cls(names, clauses, profile, select_glob, seed, count, timeout or SECONDS[profile])


def run(
    engines: Sequence[str] | str,
    profile: str = "default",
    select: str = "*",
    seed: int = 0,
    *,
    jobs: int | None = None,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> list[Ledger]:
    """Run the clauses that match `select` on every engine; return a ledger for each, in that order.

    engines: names, as `torch` or `package.module:attribute`. jobs: worker processes, by default one
    per processor; the ledgers are the same for any number. timeout: seconds per clause and engine.
    Raises `UsageError` for a request that cannot be met, `EngineLoadError` for an engine that
    cannot be loaded. Any other exception is a fault of this package, never of the engine.
    """
    running = Run(Plan.make(engines, profile, select, seed, jobs, timeout), progress)
    running.execute()
    return running.ledgers()


@dataclass(slots=True)
class Run:
    """A run under way: what has been judged so far can be made into ledgers at any time."""

    plan: Plan
    progress: Progress | None = None
    facts: tuple[EngineFacts, ...] = ()
    examined: dict[tuple[str, str], Examined] = field(default_factory=dict)
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    deadly: dict[str, Deadly] = field(default_factory=dict)
    ends: dict[str, ClauseResult] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    wall_clock: float = field(default_factory=time.perf_counter)

    def execute(self) -> None:
        """Load the engines and examine every clause on each."""
        with Workers(self.plan.jobs) as workers:
            self.facts = load_facts(workers, self.plan.engines)
            if self.progress is not None:
                self.progress.started(self.facts, len(self.plan.clauses))
            longest_first = sorted(self.plan.clauses, key=_length, reverse=True)
            items = [(engine, row) for row in longest_first for engine in self.facts]
            settings = self.plan.profile, self.plan.seed
            generated = any(row.generated for row in self.plan.clauses)
            for engine in self.facts if generated else ():
                self._probe(workers, engine.name)
            lost: list[tuple[str, str, Lost, float]] = []
            arguments = [
                (engine.name, row.id, *settings, self.deadly.get(engine.name, {}))
                for engine, row in items
            ]
            for done in workers.run(examine_item, arguments, self.plan.timeout):
                engine, row = items[done.index]
                if isinstance(done.result, Lost):
                    lost.append((engine.name, row.id, done.result, done.seconds))
                else:
                    self.record(engine.name, done.result, done.seconds)
            for name, identifier, how, seconds in lost:
                self.record(name, explain_lost(workers, name, identifier, how), seconds)

    def _probe(self, workers: Workers, engine: str) -> None:
        self.deadly[engine] = deadly = probed(workers, engine, self.plan.timeout)
        for done in (
            workers.run(probe_result, [(engine, deadly)], LOADING_SECONDS) if deadly else ()
        ):
            if not isinstance(done.result, Lost):
                self.ends[engine] = done.result

    def record(self, engine: str, examined: Examined, seconds: float) -> None:
        """Take in the result of one item."""
        key = engine, examined.clause.id
        self.examined[key], self.seconds[key] = examined, seconds
        if self.progress is not None:
            self.progress.finished(engine, examined.clause)

    def ledgers(self) -> list[Ledger]:
        """Return a ledger per engine; it is incomplete while a clause has no result."""
        return [self._ledger(facts) for facts in self.facts]

    def _ledger(self, engine: EngineFacts) -> Ledger:
        keys = [(engine.name, row.id) for row in self.plan.clauses]
        found = [self.examined[key] for key in keys if key in self.examined]
        return Ledger(
            tool=tool_facts(),
            engine=engine,
            run=RunFacts(
                self.plan.profile, self.plan.seed, self.plan.select, len(found) == len(keys)
            ),
            clauses=(*(item.clause for item in found), *self._ends(engine.name)),
            operations=merge_operations(row for item in found for row in item.operations),
            machine=self._machine(engine.name),
        )

    def _ends(self, engine: str) -> tuple[ClauseResult, ...]:
        return (self.ends[engine],) if engine in self.ends else ()

    def _machine(self, engine: str) -> dict[str, Json]:
        times: dict[str, Json] = {
            clause: round(seconds, 3)
            for (name, clause), seconds in sorted(self.seconds.items())
            if name == engine
        }
        return {
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self.wall_clock, 3),
            "jobs": self.plan.jobs,
            "processors": processors(),
            "platform": platform.platform(),
            "clause_seconds": times,
        }


def _length(row: Clause) -> int:
    """Return the steps of the scenarios: what is long to run starts early, so that none waits."""
    return sum(1 for program in row.scenarios for _ in program.walk())


def load_facts(workers: Workers, engines: Sequence[str]) -> tuple[EngineFacts, ...]:
    """Load every engine once in a worker, which keeps its library; return what each says of itself.

    Raises `EngineLoadError` for the first that cannot be loaded.
    """
    facts: dict[int, EngineFacts] = {}
    for done in workers.run(engine_facts, [(name,) for name in engines], LOADING_SECONDS):
        if isinstance(done.result, Lost):
            raise EngineLoadError(
                f"{engines[done.index]!r} could not be loaded: {done.result.detail}; import it in a"
                " Python of its own to see why"
            )
        facts[done.index] = done.result
    return tuple(facts[index] for index in sorted(facts))


def probed(workers: Workers, engine: str, timeout: float) -> Deadly:
    """Probe an engine in workers; return what ended the process of one, by name, and how.

    timeout: seconds until it is said to hang. What ends a process is left out when the engine is
    probed again. An engine that dies before its first trial is left to the clauses.
    """
    deadly: dict[str, tuple[str, str]] = {}
    while True:
        (done,) = workers.run(probe_item, [(engine, dict(deadly))], timeout)
        lost = done.result
        if not isinstance(lost, Lost):
            return lost
        if lost.how == "faulted" or not lost.note or lost.note in deadly:
            return deadly
        deadly[lost.note] = lost.how, lost.detail


def explain_lost(workers: Workers, engine: str, clause_id: str, lost: Lost) -> Examined:
    """Return the verdict on a clause whose process died or hung, worked out in a new process.

    Raises `EngineLoadError` where the engine, loaded before, cannot be loaded again.
    """
    (done,) = workers.run(lost_item, [(engine, clause_id, lost)], LOADING_SECONDS)
    if isinstance(done.result, Lost):
        raise EngineLoadError(
            f"{engine!r} could be loaded once and not again after {clause_id} {lost.how}:"
            f" {done.result.detail}; run it with --select to leave that clause out"
        )
    return done.result


def tool_facts() -> dict[str, str]:
    """Return this tool's version, and the versions of what programs are made and judged with."""
    return {
        "autograd-conformance": metadata.version("autograd-conformance"),
        "Python": platform.python_version(),
        "NumPy": metadata.version("numpy"),
        "PyTorch": metadata.version("torch"),
        "Hypothesis": metadata.version("hypothesis"),
    }
