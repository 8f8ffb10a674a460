"""How many random programs are judged a second, and how soon planted bugs are found and shrunk.

    python -m benchmarks.random_programs [--programs 500] [--slots 5] [--fuzz 20000] [--seeds 10]

A program is decoded, run on the reference engine and on the torch oracle, and every observation is
compared: step by step, and as `fuzz` does it, bare and in batches. The parts are timed in one
process and its processor time; `fuzz` itself, whose programs have ten slots, by the clock.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.planted_engines import STEPS
from conformance.adapters.load import load_engine
from conformance.adapters.reference import ReferenceEngine
from conformance.bulk import Bulk
from conformance.execute import execute
from conformance.fuzzing import BATCH, Fuzz, Source, collecting_once
from conformance.program import VERBS, Program
from conformance.random_check import RandomCheck, Steps
from conformance.strategies.facts import Facts
from conformance.strategies.mixture import SLOTS, common_facts, compose, decode
from conformance.strategies.shrinking import shrink
from conformance.verdict import Outcome

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # as in the workers of `fuzz`
TURNS = 5
MOST = 50_000
UNCOUNTED = {"leaf", "forward_ad", *(name for name, row in VERBS.items() if row.observes)}
"""Verbs without which no program does or shows anything; a level is nothing without a dual."""
SHOWN = ("silently-wrong/hook_log", "refused-loudly/backward", "refused-loudly/grad_of")
"""Causes of which a counted step, a hook or a pass, is there to show them."""


def throughput(count: int, slots: int) -> None:
    """Print the processor time of each part, step by step and bare, the median of several turns.

    Each part has programs of its own in each turn, as `fuzz` never runs a program twice; the first
    turn loads and fills what programs share, and is not counted.
    """
    engine, oracle = load_engine("reference"), load_engine("torch")
    facts, check = common_facts(engine, oracle), RandomCheck(engine)
    bare, bare_oracle = Bulk(engine, check.dtype), Bulk(oracle, check.dtype)

    def steps_of(texts: list[bytes]) -> list[Steps]:
        return [compose(data, facts) for data in texts]

    def stepwise(texts: list[bytes]) -> None:
        for data in texts:
            check.slowly(decode(data, facts))

    def batched(texts: list[bytes]) -> None:
        for at in range(0, count, BATCH):
            made = steps_of(texts[at : at + BATCH])
            for program, agrees in zip(made, check.agreeing(made), strict=True):
                if not agrees:
                    check.slowly(Program(program))

    rows: dict[str, tuple[Callable[[list[bytes]], Any], Callable[[Any], object]]] = {
        # what is made ready beforehand, and what is timed
        "decode, validated": (list, lambda texts: [decode(data, facts) for data in texts]),
        "decode": (list, steps_of),
        "reference, by step": (steps_of, lambda made: [execute(engine, Program(s)) for s in made]),
        "reference, bare": (steps_of, lambda made: [bare(steps) for steps in made]),
        "torch, by step": (steps_of, lambda made: [execute(oracle, Program(s)) for s in made]),
        "torch, bare": (steps_of, lambda made: [bare_oracle(steps) for steps in made]),
        "all, by step": (list, stepwise),
        "all, bare in batches": (list, batched),
    }
    spent: dict[str, list[float]] = {name: [] for name in rows}
    with warnings.catch_warnings(), collecting_once():
        warnings.simplefilter("ignore")
        for turn in range(TURNS + 1):
            for number, (name, (prepare, run)) in enumerate(rows.items()):
                drawn = Source(0, slots).texts(turn * len(rows) + number, count)
                ready = prepare(drawn)
                spent[name].append(_seconds(run, ready))
    print(
        f"{_mean_steps(drawn, facts):.1f} steps a program; processor time of one program,"
        f" the median of {TURNS} turns, each with programs of its own:"
    )
    for name, turns in spent.items():
        seconds = median(turns[1:])
        print(f"  {name:22}{seconds / count * 1e6:7.0f} µs{count / seconds:9.0f} a second")


def fuzzed(programs: int, slots: int) -> None:
    """Print what `fuzz` itself reaches in one process and in two, from the first chunks on."""
    facts = common_facts(load_engine("reference"), load_engine("torch"))
    mean = _mean_steps(Source(0, slots).texts(0), facts)
    for jobs in (1, 2):
        moments: list[tuple[float, int]] = []
        begun = time.perf_counter()
        told = lambda done, m=moments: m.append((time.perf_counter(), done))  # noqa: E731
        Fuzz("reference", programs, jobs=jobs, slots=slots, told=told).execute()
        (first, before), (last, after) = moments[jobs - 1], moments[-1]
        rate = (after - before) / (last - first)
        print(
            f"fuzz --slots {slots} -n {jobs}: {rate:.0f} programs of {mean:.1f} steps a second,"
            f" {rate * mean:.0f} steps; the first {before} and all that is loaded before them took"
            f" {first - begun:.1f} s"
        )


def _mean_steps(texts: list[bytes], facts: Facts) -> float:
    made = [decode(data, facts) for data in texts]
    return sum(1 for program in made for _ in program.walk()) / len(made)


def _seconds(run: Callable[[Any], object], ready: object) -> float:
    start = time.process_time()
    run(ready)
    return time.process_time() - start


def planted(bug: type[ReferenceEngine], seed: int) -> tuple[float, float, int]:
    """Return the seconds until the bug is found, until it is shrunk, and the steps that remain.

    What a bug shows in is no step of it: a hook of which there is a log, a pass that is refused.
    """
    check = RandomCheck(bug())
    facts = common_facts(check.engine, check.oracle)
    start = time.perf_counter()
    for chunk in range(MOST // BATCH):
        texts = Source(seed).texts(chunk, BATCH)
        made = [compose(data, facts) for data in texts]
        for data, program, agrees in zip(texts, made, check.agreeing(made), strict=True):
            if agrees:
                continue
            found = check.slowly(Program(program))
            if found.finding.outcome is Outcome.VIOLATED:
                middle = time.perf_counter()
                smallest = shrink(data, found.finding.cause, facts, check)
                left = [s for s in smallest.program.walk() if s.verb not in UNCOUNTED]
                shown = smallest.finding.cause.startswith(SHOWN)
                return middle - start, time.perf_counter() - middle, len(left) - shown
    raise SystemExit(f"{bug.__name__}, seed {seed}: not found in {MOST} programs")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=int, default=500)
    parser.add_argument("--slots", type=int, default=5)
    parser.add_argument("--fuzz", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    if given.programs:
        throughput(given.programs, given.slots)
    if given.fuzz:
        fuzzed(given.fuzz, given.slots)
        fuzzed(given.fuzz, SLOTS)
    for bug, steps in STEPS.items() if given.seeds else ():
        rows = [planted(bug, seed) for seed in range(given.seeds)]
        found, shrunk = max(row[0] for row in rows), max(row[1] for row in rows)
        least = sum(row[2] <= steps for row in rows)
        print(
            f"{bug.__name__}: found within {found:.2f} s, shrunk within {shrunk:.2f} s; {least} of"
            f" {len(rows)} to {steps} steps ({', '.join(str(row[2]) for row in rows)})"
        )


if __name__ == "__main__":
    main()
