"""How many of the planted errors each checker finds, called as its documentation first shows."""

from __future__ import annotations

import traceback
import warnings
from collections import Counter

import torch

from benchmarks.gradcheck.behaviours import BEHAVIOURS
from benchmarks.gradcheck.formulas import FORMULAS
from benchmarks.gradcheck.planted import Planted
from conformance import gradcheck

ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
CATALOGUE = [*FORMULAS, *BEHAVIOURS]


def ours(planted: Planted) -> bool:
    function, inputs = planted.make()
    return gradcheck(function, inputs, order=planted.order).verdict == "fail"


def torch_checker(fast: bool):
    def caught(planted: Planted) -> bool:
        function, inputs = planted.make()
        first = torch.autograd.gradcheck(function, inputs, fast_mode=fast, raise_exception=False)
        if first and planted.order == 2:
            try:
                return not torch.autograd.gradgradcheck(
                    function, inputs, fast_mode=fast, raise_exception=False
                )
            except RuntimeError:
                return True
        return not first

    return caught


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = {"ours": ours, "torch slow": torch_checker(False), "torch fast": torch_checker(True)}
    kinds = Counter(p.kind for p in CATALOGUE)
    found: dict[str, Counter[str]] = {name: Counter() for name in rows}
    for planted in CATALOGUE:
        missed = []
        for name, caught in rows.items():
            try:
                hit = caught(planted)
            except ERRORS:
                if name == "ours":
                    traceback.print_exc()
                hit = name != "ours"
            found[name][planted.kind] += hit
            missed += [] if hit else [name]
        if "ours" in missed:
            print(f"missed by ours: {planted.kind}: {planted.name} ({planted.operation})")
    total = len(CATALOGUE)
    print(f"{total} planted errors over {len({p.operation for p in CATALOGUE})} operations")
    for kind, number in kinds.items():
        cells = "  ".join(f"{name} {found[name][kind]:2}" for name in rows)
        print(f"  {kind:26} {number:2}: {cells}")
    for name in rows:
        hits = sum(found[name].values())
        print(f"{name}: {hits}/{total} = {100 * hits / total:.1f} %")


if __name__ == "__main__":
    main()
