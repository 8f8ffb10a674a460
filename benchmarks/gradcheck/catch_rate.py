"""How many of the planted errors each checker finds, called as its documentation first shows."""

from __future__ import annotations

import traceback
import warnings
from collections import Counter

import torch

from benchmarks.gradcheck.behaviours import BEHAVIOURS
from benchmarks.gradcheck.formulas import FORMULAS
from benchmarks.gradcheck.holdout_behaviours import HOLDOUT
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
    tabled("catalogue, tuned on", CATALOGUE)
    tabled("second catalogue, written before the checker saw it", HOLDOUT)


def tabled(title: str, catalogue: list[Planted]) -> None:
    """Print how many errors of a catalogue each checker finds, by kind."""
    rows = {"ours": ours, "torch slow": torch_checker(False), "torch fast": torch_checker(True)}
    kinds = Counter(p.kind for p in catalogue)
    found: dict[str, Counter[str]] = {name: Counter() for name in rows}
    for planted in catalogue:
        for name, caught in rows.items():
            torch.manual_seed(0)
            try:
                hit = caught(planted)
            except ERRORS:
                if name == "ours":
                    traceback.print_exc()
                hit = name != "ours"
            found[name][planted.kind] += hit
            if name == "ours" and not hit:
                print(f"missed by ours: {planted.kind}: {planted.name} ({planted.operation})")
    total = len(catalogue)
    operations = len({p.operation for p in catalogue})
    print(f"{title}: {total} planted errors over {operations} operations")
    for kind, number in kinds.items():
        cells = "  ".join(f"{name} {found[name][kind]:2}" for name in rows)
        print(f"  {kind:26} {number:2}: {cells}")
    for name in rows:
        hits = sum(found[name].values())
        print(f"{name}: {hits}/{total} = {100 * hits / total:.1f} %")


if __name__ == "__main__":
    main()
