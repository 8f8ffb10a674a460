"""Random programs in bulk: many of them on one engine, in worker processes, into a ledger.

Programs are decoded from seeded bytes, chunk by chunk; a chunk is a function of the seed and its
number, so that the ledger is the same for any number of processes. What crashes the engine's
process is found again by the note that it left, and the rest of its chunk is run without it.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from conformance.adapters.load import load_engine
from conformance.ledger import Ledger, RunFacts
from conformance.notation import render
from conformance.program import Program, to_json
from conformance.random_check import Checked, RandomCheck
from conformance.reproduce import script
from conformance.runner import load_facts, tool_facts
from conformance.strategies.facts import Facts
from conformance.strategies.mixture import LENGTH, common_facts, decode
from conformance.strategies.shrinking import shrink
from conformance.verdict import ClauseResult, Finding, Kind, Level, Outcome, Status, Violation
from conformance.workers import Lost, Notes, Workers

CHUNK = 500
"""Programs that a worker is given at once."""
SECONDS = 120.0
"""How long a chunk, or the shrinking of one program, may take before the engine is said to hang."""
CLAUSE = "RANDOM"
_SCRIPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a chunk showed: outcomes counted, and the first program of each cause, by its number."""

    outcomes: dict[Outcome, int]
    causes: dict[str, tuple[int, int]]
    doubts: dict[str, int]
    judged: int


def program_bytes(seed: int, chunk: int, count: int = CHUNK) -> list[bytes]:
    """Return the byte strings of a chunk's programs."""
    source = random.Random(f"{seed}:{chunk}")
    return [source.randbytes(LENGTH) for _ in range(count)]


@cache
def _session(engine: str, dtype: str | None) -> tuple[RandomCheck, Facts]:
    loaded = load_engine(engine)
    check = RandomCheck(loaded, dtype)
    return check, common_facts(loaded, check.oracle)


def fuzz_chunk(
    engine: str, dtype: str | None, seed: int, chunk: int, count: int, without: frozenset[int],
    notes: Notes,
) -> Chunk:  # fmt: skip
    """Judge the programs of a chunk, those numbered in `without` left out."""
    check, facts = _session(engine, dtype)
    outcomes: Counter[Outcome] = Counter()
    doubts: Counter[str] = Counter()
    causes: dict[str, tuple[int, int]] = {}
    before = check.judged
    for number, data in enumerate(program_bytes(seed, chunk, count)):
        if number in without:
            continue
        notes.write(str(number))
        finding = check(decode(data, facts))
        outcomes[finding.outcome] += 1
        if finding.outcome is Outcome.VIOLATED:
            count_so_far = causes.get(finding.cause, (number, 0))
            causes[finding.cause] = count_so_far[0], count_so_far[1] + 1
        elif finding.message:
            doubts[finding.message] += 1
    return Chunk(dict(outcomes), causes, dict(doubts), check.judged - before)


def shrink_item(
    engine: str, dtype: str | None, seed: int, chunk: int, number: int, count: int, cause: str,
    notes: Notes,
) -> Violation:  # fmt: skip
    """Shrink a program that fails for the cause, and return the violation, its script tried out."""
    check, facts = _session(engine, dtype)
    data = program_bytes(seed, chunk, count)[number]
    notes.write(render(decode(data, facts)))
    return violation(check, shrink(data, cause, facts, check))


def violation(check: RandomCheck, found: Checked) -> Violation:
    """Return the record of a failing program, with a script that was seen to fail."""
    finding, program = found.finding, found.program
    assert finding.kind is not None
    return Violation(
        cause=finding.cause,
        kind=finding.kind,
        operation=finding.operation,
        dtype=finding.dtype,
        program=to_json(program),
        text=render(program),
        step=finding.step,
        expected=finding.expected,
        observed=finding.observed,
        message=finding.message,
        reproduction=tried_script(check, program, finding),
        oracle=finding.oracle,
    )


def tried_script(check: RandomCheck, program: Program, finding: Finding) -> str:
    """Return the plain script of a finding if it fails when run, else one that judges anew."""
    plain = script(check.engine, program, finding.dtype, finding)
    ended = subprocess.run(
        [sys.executable, "-c", plain], capture_output=True, timeout=_SCRIPT_SECONDS, check=False
    )
    return plain if ended.returncode == 1 else script(check.engine, program, finding.dtype)


def crash(engine: str, dtype: str | None, seed: int, chunk: int, number: int, count: int,
          lost: Lost, notes: Notes) -> Violation:  # fmt: skip
    """Return the record of a program that ended the engine's process; it is not run again."""
    del notes
    check, facts = _session(engine, dtype)
    program = decode(program_bytes(seed, chunk, count)[number], facts)
    kind = Kind.CRASHED if lost.how == "crashed" else Kind.TIMED_OUT
    return Violation(
        cause=kind.value, kind=kind, operation=None, dtype=check.dtype, program=to_json(program),
        text=render(program), step=-1, expected="an answer", observed=lost.detail,
        message=f"program {number} of chunk {chunk}: {lost.detail}, the engine's process or its"
        f" oracle's ({check.oracle.name} runs in it too)",
        reproduction=script(check.engine, program, check.dtype), oracle=check.oracle.name,
    )  # fmt: skip


@dataclass(slots=True)
class Fuzz:
    """A bulk run under way.

    programs: how many. told: called with the count of programs judged so far, whenever it grows.
    """

    engine: str
    programs: int
    seed: int = 0
    jobs: int = 1
    dtype: str | None = None
    told: Callable[[int], None] | None = None
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    found: dict[str, tuple[int, int]] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    judged: int = 0

    def execute(self) -> Ledger:
        """Judge the programs, shrink the first of each cause, and return the ledger.

        Raises `EngineLoadError` for an engine that cannot be loaded.
        """
        with Workers(self.jobs) as workers:
            (facts,) = load_facts(workers, (self.engine,))
            self._judge(workers)
            self._shrink(workers)
        run = RunFacts("fuzz", self.seed, CLAUSE, True)
        return Ledger(tool_facts(), facts, run, (self.result(),))

    def _count(self, chunk: int) -> int:
        return min(CHUNK, self.programs - chunk * CHUNK)

    def _judge(self, workers: Workers) -> None:
        chunks = range((self.programs + CHUNK - 1) // CHUNK)
        without: dict[int, frozenset[int]] = {chunk: frozenset() for chunk in chunks}
        while without:
            order = list(without)
            items = [
                (self.engine, self.dtype, self.seed, c, self._count(c), without[c]) for c in order
            ]
            ended: list[tuple[int, Lost]] = []
            for done in workers.run(fuzz_chunk, items, SECONDS):
                chunk = order[done.index]
                if isinstance(done.result, Lost):
                    ended.append((chunk, done.result))
                else:
                    self._add(chunk, done.result)
            without = {c: without[c] | self._lost(workers, c, lost) for c, lost in sorted(
                ended, key=lambda pair: pair[0])}  # fmt: skip

    def _lost(self, workers: Workers, chunk: int, lost: Lost) -> frozenset[int]:
        number = int(lost.note or 0)
        arguments = (
            self.engine, self.dtype, self.seed, chunk, number, self._count(chunk), lost,
        )  # fmt: skip
        for done in workers.run(crash, [arguments], SECONDS):
            if isinstance(done.result, Violation):
                self.outcomes[Outcome.VIOLATED] += 1
                self.times[done.result.cause] += 1
                if self.times[done.result.cause] == 1:
                    self.violations.append(done.result)
        return frozenset({number})

    def _add(self, chunk: int, result: Chunk) -> None:
        self.outcomes.update(result.outcomes)
        self.doubts.update(result.doubts)
        self.judged += result.judged
        for cause, (number, times) in result.causes.items():
            self.times[cause] += times
            self.found[cause] = min(self.found.get(cause, (chunk, number)), (chunk, number))
        if self.told is not None:
            self.told(sum(self.outcomes.values()))

    def _shrink(self, workers: Workers) -> None:
        causes = sorted(self.found, key=lambda cause: self.found[cause])
        items = [
            (self.engine, self.dtype, self.seed, *self.found[cause],
             self._count(self.found[cause][0]), cause)
            for cause in causes
        ]  # fmt: skip
        shrunk = [
            done.result
            for done in workers.run(shrink_item, items, SECONDS)
            if isinstance(done.result, Violation)
        ]
        self.violations += sorted(shrunk, key=lambda v: causes.index(v.cause))

    def result(self) -> ClauseResult:
        """Return the verdict on all programs, as that of one clause."""
        held, violated = self.outcomes[Outcome.HOLDS], self.outcomes[Outcome.VIOLATED]
        status = Status.VIOLATED if violated else Status.HOLDS if held else Status.INCONCLUSIVE
        return ClauseResult(
            id=CLAUSE,
            theme="random programs",
            level=Level.MUST,
            title="Programs that mix every kind of step do what the oracles agree on",
            status=status,
            programs=held + violated,
            inconclusive=self.outcomes[Outcome.INCONCLUSIVE],
            unsupported=self.outcomes[Outcome.UNSUPPORTED],
            violations=tuple(self.violations),
            note="; ".join(self.notes()),
            why="Bugs hide where features meet: a view, a write in place, a second backward.",
        )

    def notes(self) -> Iterator[str]:
        """Say how often each cause came up, and why programs were inconclusive."""
        yield from (f"{times} x {cause}" for cause, times in sorted(self.times.items()))
        yield from (f"{times} x {why}" for why, times in sorted(self.doubts.items()))
