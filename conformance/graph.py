"""The graph behind what a violation is about, as the reference engine has it: data for a picture.

Reports are made from ledgers alone, so what they draw is written down when a program has failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import cast

from conformance.adapters.reference import ReferenceEngine
from conformance.execute import execute
from conformance.program import Json, Program, Ref, Step
from conformance.scope import Scope

MOST = 24
"""Boxes of a graph that is still worth a picture."""
_GRADIENTS = ("grad", "hook_log")
"""What is observed of a backward that ran before."""


def graph_behind(program: Program, step: int, dtype: str) -> tuple[Mapping[str, Json], ...]:
    """Return the boxes of the graph that step number `step` is about, as it was just before it.

    That is the graph of the tensors that the step reads; of those that the last backward until then
    ran from, where the step observes gradients, or where its tensors have no graph. A box says what
    `reference_engine.viz` says of it: `kind`, `title`, `outputs`, `rows` of (kind, text), and for
    each of `inputs` the number of a box and of its output, or None. Nothing is returned where the
    reference engine cannot run the program so far, and for graphs of more than MOST boxes.
    """
    steps = list(program.walk())
    places = [n for n, s in enumerate(steps) if s.verb in ("backward", "grad_of")]
    if 0 <= step < len(steps):
        places = [n for n in places if n <= step]
        if steps[step].verb not in _GRADIENTS and step not in places:
            places.append(step)
    wanted = set(places)
    found: dict[int, tuple[Mapping[str, Json], ...]] = {}

    def look(number: int, scope: Scope) -> None:
        if number in wanted:
            found[number] = _boxes(steps[number], scope)

    execute(_reference(), program, dtype, look=look)
    return next((found[n] for n in reversed(places) if found.get(n)), ())


@cache
def _reference() -> ReferenceEngine:
    return ReferenceEngine()


def _boxes(step: Step, scope: Scope) -> tuple[Mapping[str, Json], ...]:
    outputs = step.param("outputs")
    refs = outputs if isinstance(outputs, tuple) else (outputs,)
    named = [*step.args, *(ref.name for ref in refs if isinstance(ref, Ref))]
    engine = cast(ReferenceEngine, scope.engine)
    tensors = [scope.names[name] for name in dict.fromkeys(named)]
    return tuple(engine.graph(tensors, scope.names, MOST))
