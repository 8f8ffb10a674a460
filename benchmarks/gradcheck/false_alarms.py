"""Right functions at hard places: whom each checker accuses."""

from __future__ import annotations

import warnings
from collections import Counter

import torch

from benchmarks.gradcheck.correct import CORRECT
from conformance import gradcheck


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    verdicts: Counter[str] = Counter()
    accused = {"torch slow": 0, "torch fast": 0}
    unexplained = 0
    for case in CORRECT:
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
            except (RuntimeError, TypeError, ValueError):
                accused[name] += 1
    print(f"{len(CORRECT)} right functions; ours: {dict(verdicts)}, unexplained {unexplained}")
    for name, number in accused.items():
        print(f"{name}: accuses or refuses {number}")


if __name__ == "__main__":
    main()
