"""How many random programs are judged a second, and how soon a planted bug is found and shrunk.

    python benchmarks/random_programs.py [--programs 2000] [--slots 6]

A program is decoded, run on the reference engine and on the torch oracle, and compared at every
step; its mean length is printed. Seconds are of processor time, for one process.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from typing import Any

from conformance.adapters.load import load_engine
from conformance.adapters.reference import ReferenceEngine
from conformance.compare.agreement import agreed
from conformance.execute import execute
from conformance.fuzzing import program_bytes
from conformance.random_check import RandomCheck
from conformance.strategies.mixture import WIDTH, common_facts, decode
from conformance.strategies.shrinking import shrink
from conformance.verdict import Outcome


class Planted(ReferenceEngine):
    """Wrong where a sine is applied to a hyperbolic tangent, and nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.last: Any = None

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        result = super().apply(op, *tensors, **params)
        if op == "sin" and tensors[0] is self.last:
            return super().apply("add", result, other=0.5)
        self.last = result if op == "tanh" else self.last
        return result


def throughput(count: int, slots: int) -> None:
    engine, oracle = load_engine("reference"), load_engine("torch")
    facts, check = common_facts(engine, oracle), RandomCheck(engine)
    texts = [data[: WIDTH * (slots + 1)] for data in program_bytes(0, 0, count + 200)]
    for data in texts[:200]:
        check(decode(data, facts))
    texts = texts[200:]
    marks = [time.process_time()]
    programs = [decode(data, facts) for data in texts]
    marks.append(time.process_time())
    mine = [execute(engine, program).events for program in programs]
    marks.append(time.process_time())
    theirs = [execute(oracle, program).events for program in programs]
    marks.append(time.process_time())
    for one, other in zip(mine, theirs, strict=True):
        agreed(one, other)
    marks.append(time.process_time())
    for data in texts:
        check(decode(data, facts))
    total = time.process_time() - marks[-1]
    steps = sum(1 for program in programs for _ in program.walk()) / count
    parts = [b - a for a, b in pairwise(marks)]
    names = ("decode", "reference", "torch", "compare")
    print(f"{steps:.1f} steps a program; µs a program:", end=" ")
    print(", ".join(f"{n} {p / count * 1e6:.0f}" for n, p in zip(names, parts, strict=True)))
    print(f"{count / total:.0f} judged programs a second of one processor")


def planted(seed: int) -> tuple[float, float, int]:
    check = RandomCheck(Planted())
    facts = common_facts(check.engine, check.oracle)
    start = time.process_time()
    for chunk in range(100):
        for data in program_bytes(seed, chunk, 100):
            found = check.check(decode(data, facts))
            if found.finding.outcome is Outcome.VIOLATED:
                middle = time.process_time()
                smallest = shrink(data, found.finding.cause, facts, check)
                applied = [s for s in smallest.program.walk() if s.verb == "apply"]
                return middle - start, time.process_time() - middle, len(applied)
    raise SystemExit(f"seed {seed}: the bug was not found in 10,000 programs")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    throughput(given.programs, given.slots)
    for seed in range(given.seeds):
        found, shrunk, steps = planted(seed)
        print(f"seed {seed}: found in {found:.2f} s, shrunk in {shrunk:.2f} s to {steps} steps")


if __name__ == "__main__":
    main()
