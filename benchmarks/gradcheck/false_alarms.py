"""Right functions at hard places: whom each checker accuses."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import torch

from benchmarks.gradcheck.catch_rate import asked, counted, unasked
from benchmarks.gradcheck.checkers import heading, installed, say_which
from benchmarks.gradcheck.correct import CORRECT, Correct
from benchmarks.gradcheck.holdout_correct import FRESH
from benchmarks.gradcheck.planted import Planted
from conformance import gradcheck


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    say_which()
    tabled("catalogue, tuned on", CORRECT)
    tabled("second catalogue, written before the checker saw it", FRESH)


def tabled(title: str, cases: Sequence[Correct]) -> None:
    """Print how many right functions each checker accuses or refuses, and our verdicts."""
    catalogue = [
        Planted(c.name, c.kind, dtype(c), lambda c=c: (c.function, c.inputs)) for c in cases
    ]
    checkers = installed()
    answers = {checker.name: asked(checker, catalogue) for checker in checkers}
    print(f"\n{title}: {len(cases)} right functions")
    print(heading("accused or refused, of those expressible"))
    for kind in Counter(case.kind for case in cases):
        print(counted(kind, answers, [p for p in catalogue if p.kind == kind]))
    print(counted("all", answers, catalogue))
    verdicts(cases)
    for checker in checkers:
        for (key, why), number in unasked(checker, catalogue).items():
            print(f"{checker.name} cannot express {key} ({number}): {why}")


def dtype(case: Correct) -> str:
    """Return the name of the first input's dtype."""
    return str(case.inputs[0].dtype).removeprefix("torch.")


def verdicts(cases: Sequence[Correct]) -> None:
    """Print our verdicts, and those that are wrong or without a true reason."""
    found: Counter[str] = Counter()
    unexplained = 0
    for case in cases:
        torch.manual_seed(0)
        result = gradcheck(case.function, case.inputs)
        found[str(result.verdict)] += 1
        true_reason = case.inconclusive and case.inconclusive in result.reason
        if result.verdict == "fail" or (result.verdict == "inconclusive" and not true_reason):
            unexplained += result.verdict == "inconclusive"
            print(f"{case.kind}, {case.name}: {result.verdict}: {result.reason}")
    print(f"ours in words: {dict(found)}, inconclusive without a true reason: {unexplained}")


if __name__ == "__main__":
    main()
