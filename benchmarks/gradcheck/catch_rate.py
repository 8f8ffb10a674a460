"""How many of the planted errors each checker finds, called as its documentation first shows."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import torch

from benchmarks.gradcheck.behaviours import BEHAVIOURS
from benchmarks.gradcheck.checkers import Checker, heading, installed, row, say_which
from benchmarks.gradcheck.formulas import FORMULAS
from benchmarks.gradcheck.holdout_behaviours import HOLDOUT
from benchmarks.gradcheck.planted import RIGHT, Planted, function

CATALOGUES = {
    "catalogue, tuned on": (*FORMULAS, *BEHAVIOURS),
    "second catalogue, written unseen": tuple(HOLDOUT),
}
Answers = dict[str, dict[Planted, bool]]


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    say_which()
    everything = [planted for catalogue in CATALOGUES.values() for planted in catalogue]
    checkers = installed()
    answers = {checker.name: asked(checker, everything) for checker in checkers}
    for title, catalogue in CATALOGUES.items():
        operations = len({p.operation for p in catalogue})
        print(f"\n{title}: {len(catalogue)} planted errors over {operations} operations")
        print(heading("found, of those that can be expressed"))
        for kind in Counter(p.kind for p in catalogue):
            print(counted(kind, answers, [p for p in catalogue if p.kind == kind]))
        print(counted("all", answers, catalogue))
    common = [p for p in everything if all(p in own for own in answers.values())]
    right = [
        Planted("right", "right", name, lambda f=f, b=b, i=i: (function(f, b), i()), order)
        for name, (f, b, i) in RIGHT.items()
        for order in (1, 2)
    ]
    wronged = {checker.name: asked(checker, right) for checker in checkers}
    print(heading("\nboth catalogues"))
    print(counted("all", answers, everything))
    print(counted(f"those {len(common)} that every column can", answers, common))
    print(counted("right ones so made, accused", wronged, right))
    for planted in everything:
        if not answers["ours"][planted]:
            print(f"missed by ours: {planted.kind}: {planted.name} ({planted.operation})")
    for checker in checkers:
        for (key, why), number in unasked(checker, everything).items():
            print(f"{checker.name} cannot express {key} ({number}): {why}")


def asked(checker: Checker, catalogue: Sequence[Planted]) -> dict[Planted, bool]:
    """Return what a checker says of the functions that its library can express."""
    return {p: checker.accuses(p) for p in catalogue if not checker.reason_against(p)}


def counted(title: str, answers: Answers, catalogue: Sequence[Planted]) -> str:
    """Return the line of a part of a catalogue: accused of expressible, for every checker."""
    cells: list[object] = []
    for own in answers.values():
        said = [own[planted] for planted in catalogue if planted in own]
        cells.append(f"{sum(said)}/{len(said)}" if said else "-")
    return row(title, cells)


def unasked(checker: Checker, catalogue: Sequence[Planted]) -> Counter[tuple[str, str]]:
    """Return how many errors of which kind or operation a library cannot express, and why."""
    return Counter(
        (key, checker.cannot[key])
        for planted in catalogue
        for key in {planted.kind, planted.operation}
        if key in checker.cannot
    )


if __name__ == "__main__":
    main()
