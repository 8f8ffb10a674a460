"""Right functions at hard places: whom each checker accuses."""

from __future__ import annotations

import warnings
from collections import Counter

import torch

from benchmarks.gradcheck.correct import CORRECT, Correct
from benchmarks.gradcheck.holdout_correct import FRESH
from conformance import gradcheck


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    tabled("catalogue, tuned on", CORRECT)
    tabled("second catalogue, written before the checker saw it", FRESH)


def tabled(title: str, cases: list[Correct]) -> None:
    """Print the verdicts on right functions, and how many the peers accuse."""
    verdicts: Counter[str] = Counter()
    accused = {"torch slow": 0, "torch fast": 0}
    unexplained = 0
    for case in cases:
        torch.manual_seed(0)
        result = gradcheck(case.function, case.inputs)
        verdicts[str(result.verdict)] += 1
        true_reason = case.inconclusive and case.inconclusive in result.reason
        if result.verdict == "fail" or (result.verdict == "inconclusive" and not true_reason):
            unexplained += result.verdict == "inconclusive"
            print(f"{case.kind}, {case.name}: {result.verdict}: {result.reason}")
        for name, fast in (("torch slow", False), ("torch fast", True)):
            try:
                accused[name] += not torch.autograd.gradcheck(
                    case.function, case.inputs, fast_mode=fast, raise_exception=False
                )
            except (AttributeError, RuntimeError, TypeError, ValueError):
                accused[name] += 1
    print(
        f"{title}: {len(cases)} right functions; ours: {dict(verdicts)}, unexplained {unexplained}"
    )
    for name, number in accused.items():
        print(f"{name}: accuses or refuses {number}")


if __name__ == "__main__":
    main()
