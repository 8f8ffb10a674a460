"""Random programs in bulk: many of them on one engine, in worker processes, into a ledger.

Programs are decoded from seeded bytes, chunk by chunk; a chunk is a function of the seed and its
number, so that the ledger is the same for any number of processes. What crashes the engine's
process is found again by the note that it left, and the rest of its chunk is run without it.
"""

from __future__ import annotations

import gc
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NamedTuple

from conformance.adapters.load import load_engine
from conformance.compare.difference import FAULT, is_grave
from conformance.errors import EngineLoadError
from conformance.execute import or_fault
from conformance.graph import graph_behind
from conformance.ledger import Ledger, RunFacts
from conformance.notation import render
from conformance.program import Program, to_json
from conformance.random_check import Checked, RandomCheck
from conformance.reproduce import script
from conformance.runner import load_facts, tool_facts
from conformance.strategies.facts import Facts
from conformance.strategies.mixture import SLOTS, WIDTH, common_facts, compose, decode
from conformance.strategies.shrinking import shrink
from conformance.undecided import Undecided, disagreed, sentences, worth_keeping
from conformance.verdict import ClauseResult, Finding, Kind, Level, Outcome, Status, Violation
from conformance.workers import Lost, Notes, Workers

CHUNK = 500
"""Programs that a worker is given at once."""
BATCH = 500
"""Programs that run on one engine before they run on the other: its code stays in the caches."""
SECONDS = 120.0
"""How long a chunk, or the shrinking of one program, may take before the engine is said to hang."""
CLAUSE = "RANDOM"
_SCRIPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a chunk showed: outcomes counted, and the first program of each cause, by its number.

    doubts: why nothing was decided, counted. places: of which programs, as far as that is kept.
    """

    outcomes: dict[Outcome, int]
    causes: dict[str, tuple[int, int]]
    doubts: dict[str, int]
    places: list[Undecided]
    judged: int


class Source(NamedTuple):
    """Where programs come from: the seed of all of them, and the slots that each has."""

    seed: int
    slots: int = SLOTS

    def texts(self, chunk: int, count: int = CHUNK) -> list[bytes]:
        """Return the byte strings of a chunk's programs."""
        numbers = random.Random(f"{self.seed}:{chunk}")
        return [numbers.randbytes(WIDTH * (self.slots + 1)) for _ in range(count)]


@cache
def _session(engine: str, dtype: str | None) -> tuple[RandomCheck, Facts]:
    loaded = load_engine(engine)
    check = RandomCheck(loaded, dtype)
    facts = common_facts(loaded, check.oracle)
    gc.freeze()  # what is loaded by now stays: the collector need not look at it again
    return check, facts


def fuzz_chunk(
    engine: str, dtype: str | None, source: Source, chunk: int, count: int, without: frozenset[int],
    alone: bool, notes: Notes,
) -> Chunk:  # fmt: skip
    """Judge the programs of a chunk, those numbered in `without` left out.

    alone: one by one, so that the note names the program at hand; else it names one of its batch.
    """
    check, facts = _session(engine, dtype)
    outcomes: Counter[Outcome] = Counter()
    undecided: list[Undecided] = []
    causes: dict[str, tuple[int, int]] = {}
    before = check.judged
    texts = source.texts(chunk, count)
    numbers = [number for number in range(count) if number not in without]
    size = 1 if alone else BATCH
    with collecting_once():
        for first in range(0, len(numbers), size):
            batch = numbers[first : first + size]
            notes.write(str(batch[0]))
            programs = [compose(texts[number], facts) for number in batch]
            agreeing = check.agreeing(programs)
            outcomes[Outcome.HOLDS] += sum(agreeing)
            for number, steps, agrees in zip(batch, programs, agreeing, strict=True):
                if agrees:
                    continue
                found = or_fault(partial(check.slowly, Program(steps)))
                if isinstance(found, str):
                    outcomes[Outcome.INCONCLUSIVE] += 1
                    undecided.append(Undecided(chunk, number, found))
                    continue
                finding = found.finding
                outcomes[finding.outcome] += 1
                if finding.outcome is Outcome.VIOLATED:
                    count_so_far = causes.get(finding.cause, (number, 0))
                    causes[finding.cause] = count_so_far[0], count_so_far[1] + 1
                elif finding.message:
                    text = render(Program(steps)) if disagreed(finding.message) else ""
                    undecided.append(Undecided(chunk, number, finding.message, text))
    doubts, places = Counter(one.reason for one in undecided), worth_keeping(undecided)
    return Chunk(dict(outcomes), causes, dict(doubts), places, check.judged - before)


@contextmanager
def collecting_once() -> Iterator[None]:
    """Put the cyclic garbage collector off until the end: there is little for it to find.

    What it then leaves is modules loaded on demand, and caches: to look at these again after every
    chunk took a seventh of the time of all programs.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
            gc.collect()
            gc.freeze()


def shrink_item(
    engine: str, dtype: str | None, source: Source, chunk: int, number: int, count: int, cause: str,
    notes: Notes,
) -> Violation:  # fmt: skip
    """Shrink a program that fails for the cause, and return the violation, its script tried out."""
    check, facts = _session(engine, dtype)
    data = source.texts(chunk, count)[number]
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
        graph=graph_behind(program, finding.step, finding.dtype),
    )


def tried_script(check: RandomCheck, program: Program, finding: Finding) -> str:
    """Return the plain script of a finding if it fails when run, else one that judges anew."""
    plain = script(check.engine, program, finding.dtype, finding)
    ended = subprocess.run(
        [sys.executable, "-c", plain], capture_output=True, timeout=_SCRIPT_SECONDS, check=False
    )
    return plain if ended.returncode == 1 else script(check.engine, program, finding.dtype)


def unshrunk(
    engine: str, dtype: str | None, source: Source, chunk: int, number: int, count: int, cause: str,
    lost: Lost, notes: Notes,
) -> Violation:  # fmt: skip
    """Return the record of a program that ended the process; it is not run again.

    cause: of its violation, where its shrinking was lost; empty where its first run was.
    """
    del notes
    check, facts = _session(engine, dtype)
    program = decode(source.texts(chunk, count)[number], facts)
    kind = Kind.CRASHED if lost.how == "crashed" else Kind.TIMED_OUT
    reason = f"{lost.detail}, the engine's process or its oracle's ({check.oracle.name} runs in it)"
    if cause:
        kind, reason = Kind(cause.split("/")[0]), f"{cause}; not shrunk: {reason}"
    return Violation(
        cause=cause or kind.value, kind=kind, operation=None, dtype=check.dtype,
        program=to_json(program), text=render(program), step=-1, expected="an answer",
        observed=lost.detail, message=f"program {number} of chunk {chunk}: {reason}",
        reproduction=script(check.engine, program, check.dtype), oracle=check.oracle.name,
    )  # fmt: skip


@dataclass(slots=True)
class Fuzz:
    """A bulk run under way.

    programs: how many. slots: of each; the longer, the more of its steps meet. told: called with
    the count of programs judged so far, whenever it grows. places: of the programs about which
    nothing was decided, as far as they are kept (`conformance.undecided`).
    """

    engine: str
    programs: int
    seed: int = 0
    jobs: int = 1
    dtype: str | None = None
    slots: int = SLOTS
    told: Callable[[int], None] | None = None
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    places: list[Undecided] = field(default_factory=list)
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

    @property
    def source(self) -> Source:
        """Return where the programs come from."""
        return Source(self.seed, self.slots)

    def _count(self, chunk: int) -> int:
        return min(CHUNK, self.programs - chunk * CHUNK)

    def _judge(self, workers: Workers) -> None:
        chunks = range((self.programs + CHUNK - 1) // CHUNK)
        left: dict[int, tuple[frozenset[int], bool]] = {c: (frozenset(), False) for c in chunks}
        while left:
            order = list(left)
            items = [
                (self.engine, self.dtype, self.source, c, self._count(c), *left[c]) for c in order
            ]
            ended: dict[int, Lost] = {}
            for done in workers.run(fuzz_chunk, items, SECONDS):
                chunk = order[done.index]
                if isinstance(done.result, Lost):
                    ended[chunk] = done.result
                else:
                    self._add(chunk, done.result)
            left = {c: self._again(workers, c, ended[c], *left[c]) for c in sorted(ended)}

    def _again(
        self, workers: Workers, chunk: int, lost: Lost, without: frozenset[int], alone: bool
    ) -> tuple[frozenset[int], bool]:
        """Say how a chunk that was lost is run again: program by program, then without the one."""
        if not alone:
            return without, True
        number = int(lost.note) if lost.note else -1
        if number < 0 or number in without:
            raise EngineLoadError(
                f"the process of {self.engine} ends before its first program: {lost.detail}; run"
                " `autograd-conformance run --profile smoke` on it"
            )
        if lost.how == "faulted":
            self.outcomes[Outcome.INCONCLUSIVE] += 1
            reason = f"{FAULT}: {lost.detail}"
            self.doubts[reason] += 1
            self.places = worth_keeping([*self.places, Undecided(chunk, number, reason)])
            return without | {number}, True
        kind = Kind.CRASHED if lost.how == "crashed" else Kind.TIMED_OUT
        self.outcomes[Outcome.VIOLATED] += 1
        self.times[kind.value] += 1
        if self.times[kind.value] == 1:
            self._record(workers, (chunk, number), "", lost)
        return without | {number}, True

    def _record(self, workers: Workers, at: tuple[int, int], cause: str, lost: Lost) -> None:
        """Keep the violation of a program that cannot be run again."""
        item = (self.engine, self.dtype, self.source, *at, self._count(at[0]), cause, lost)
        for done in workers.run(unshrunk, [item], SECONDS):
            if isinstance(done.result, Violation):
                self.violations.append(done.result)

    def _add(self, chunk: int, result: Chunk) -> None:
        self.outcomes.update(result.outcomes)
        self.doubts.update(result.doubts)
        if result.places:
            self.places = worth_keeping([*self.places, *result.places])
        self.judged += result.judged
        for cause, (number, times) in result.causes.items():
            self.times[cause] += times
            self.found[cause] = min(self.found.get(cause, (chunk, number)), (chunk, number))
        if self.told is not None:
            self.told(sum(self.outcomes.values()))

    def _shrink(self, workers: Workers) -> None:
        causes = sorted(self.found, key=lambda cause: self.found[cause])
        items = [
            (self.engine, self.dtype, self.source, *self.found[cause],
             self._count(self.found[cause][0]), cause)
            for cause in causes
        ]  # fmt: skip
        ends = {done.index: done.result for done in workers.run(shrink_item, items, SECONDS)}
        for index, cause in enumerate(causes):
            end = ends[index]
            if isinstance(end, Lost):
                self._record(workers, self.found[cause], cause, end)
            else:
                self.violations.append(end)

    def result(self) -> ClauseResult:
        """Return the verdict on all programs, as that of one clause."""
        held, violated = self.outcomes[Outcome.HOLDS], self.outcomes[Outcome.VIOLATED]
        clean = held and not self.grave
        status = Status.VIOLATED if violated else Status.HOLDS if clean else Status.INCONCLUSIVE
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

    @property
    def grave(self) -> dict[str, int]:
        """Return how often the oracles disagreed, or the harness failed, by the reason."""
        return {why: times for why, times in sorted(self.doubts.items()) if is_grave(why)}

    def notes(self) -> Iterator[str]:
        """Say how often each cause came up, and why and where programs were inconclusive."""
        yield from (f"{times} x {cause}" for cause, times in sorted(self.times.items()))
        yield from sentences(self.doubts, self.places)
