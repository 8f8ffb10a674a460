"""How many random programs are judged a second, and how soon planted bugs are found and shrunk.

    python -m benchmarks.random_programs [--programs 500] [--slots 5] [--seeds 10]

A program is decoded, run on the reference engine and on the torch oracle, and every observation is
compared: step by step, and as `fuzz` does it, bare and in batches. Throughput is of one process.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable

from benchmarks.planted_engines import STEPS
from conformance.adapters.load import load_engine
from conformance.adapters.reference import ReferenceEngine
from conformance.bulk import Bulk
from conformance.execute import execute
from conformance.fuzzing import BATCH, collecting_once, program_bytes
from conformance.program import VERBS, Program
from conformance.random_check import RandomCheck
from conformance.strategies.mixture import WIDTH, common_facts, compose, decode
from conformance.strategies.shrinking import shrink
from conformance.verdict import Outcome

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # as in the workers of `fuzz`
TURNS = 5
MOST = 50_000
UNCOUNTED = {"leaf", "forward_ad", *(name for name, row in VERBS.items() if row.observes)}
"""Verbs without which no program does or shows anything; a level is nothing without a dual."""


def throughput(count: int, slots: int) -> None:
    """Print the processor time of each part, step by step and bare, the least of several turns."""
    engine, oracle = load_engine("reference"), load_engine("torch")
    facts, check = common_facts(engine, oracle), RandomCheck(engine)
    texts = [data[: WIDTH * (slots + 1)] for data in program_bytes(0, 0, count)]
    programs = [decode(data, facts) for data in texts]
    steps = [program.steps for program in programs]
    bare, bare_oracle = Bulk(engine, check.dtype), Bulk(oracle, check.dtype)

    def stepwise() -> None:
        for data in texts:
            check.slowly(decode(data, facts))

    def batched() -> None:
        for at in range(0, count, BATCH):
            made = [compose(data, facts) for data in texts[at : at + BATCH]]
            for program, agrees in zip(made, check.agreeing(made), strict=True):
                if not agrees:
                    check.slowly(Program(program))

    rows: dict[str, Callable[[], object]] = {
        "decode, validated": lambda: [decode(data, facts) for data in texts],
        "decode": lambda: [compose(data, facts) for data in texts],
        "reference, by step": lambda: [execute(engine, program) for program in programs],
        "reference, bare": lambda: [bare(program) for program in steps],
        "torch, by step": lambda: [execute(oracle, program) for program in programs],
        "torch, bare": lambda: [bare_oracle(program) for program in steps],
        "all, by step": stepwise,
        "all, bare in batches": batched,
    }
    with warnings.catch_warnings(), collecting_once():
        warnings.simplefilter("ignore")
        least = {name: min(_seconds(row) for _ in range(TURNS)) for name, row in rows.items()}
    mean = sum(1 for program in programs for _ in program.walk()) / count
    print(f"{mean:.1f} steps a program; processor time of one program, the least of {TURNS} turns:")
    for name, seconds in least.items():
        print(f"  {name:22}{seconds / count * 1e6:7.0f} µs{count / seconds:9.0f} a second")


def _seconds(row: Callable[[], object]) -> float:
    start = time.process_time()
    row()
    return time.process_time() - start


def planted(bug: type[ReferenceEngine], seed: int) -> tuple[float, float, int]:
    """Return the seconds until the bug is found, until it is shrunk, and the steps that remain.

    A hook is no step of a bug that shows in its log: without it there is no log.
    """
    check = RandomCheck(bug())
    facts = common_facts(check.engine, check.oracle)
    start = time.perf_counter()
    for chunk in range(MOST // BATCH):
        texts = program_bytes(seed, chunk, BATCH)
        made = [compose(data, facts) for data in texts]
        for data, program, agrees in zip(texts, made, check.agreeing(made), strict=True):
            if agrees:
                continue
            found = check.slowly(Program(program))
            if found.finding.outcome is Outcome.VIOLATED:
                middle = time.perf_counter()
                smallest = shrink(data, found.finding.cause, facts, check)
                left = [s for s in smallest.program.walk() if s.verb not in UNCOUNTED]
                logged = "/hook_log/" in smallest.finding.cause
                return middle - start, time.perf_counter() - middle, len(left) - logged
    raise SystemExit(f"{bug.__name__}, seed {seed}: not found in {MOST} programs")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=int, default=500)
    parser.add_argument("--slots", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    if given.programs:
        throughput(given.programs, given.slots)
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
