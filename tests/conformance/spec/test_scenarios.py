"""The figures of the scenarios hold on PyTorch, and a wrong figure would not pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from conformance import spec
from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.observation import Array, Event
from conformance.program import Expect, Literal, Program, Ref, Step
from conformance.spec.clause import Clause

TORCH = load_engine("torch")
ROUNDINGS = 32
"""What the figures may be off by, in units of the dtype: rounding of the few operations made."""

every_clause = pytest.mark.parametrize("clause", spec.clauses(), ids=lambda clause: clause.id)


def departures(program: Program, dtype: str) -> list[str]:
    """Return a line for every step of the program whose promise PyTorch does not keep."""
    observation = execute(TORCH, program, dtype)
    assert observation.unsupported is None
    steps = tuple(program.walk())
    return [
        f"step {event.step}: {event.describe()}"
        for step, event in zip(steps, observation.events, strict=True)
        if not kept(step, event) and not free_to_refuse(steps, event)
    ]


def free_to_refuse(steps: tuple[Step, ...], event: Event) -> bool:
    """Return whether DAT-1 leaves the choice: an error or, unpromised, the right gradients."""
    later = steps[event.step :]
    promised = any(step.expect is not None or step.refused for step in later)
    written = any(step.verb == "apply_" for step in steps)
    return written and event.verb == "backward" and not promised


def kept(step: Step, event: Event) -> bool:
    """Return whether the step did what its program promises of it."""
    if step.refused or event.refusal is not None:
        return step.refused == (event.refusal is not None)
    if event.skipped or step.expect is None:
        return not event.skipped
    expected = event.expected if isinstance(step.expect.value, Ref) else step.expect.value
    if isinstance(event.value, tuple) and isinstance(expected, tuple):
        pairs = zip(event.value, expected, strict=False)
        return len(event.value) == len(expected) and all(near(seen, due) for seen, due in pairs)
    if not isinstance(event.value, np.ndarray):
        return event.value == expected and type(event.value) is type(expected)
    if event.value.dtype.kind not in "fc":
        return np.array_equal(event.value, np.asarray(expected))
    return expected is not None and near(event.value, expected, step.expect.decimals)


def near(seen: Array, expected: object, decimals: int | None = None) -> bool:
    """Return whether an array has the shape that is due, and the numbers up to rounding."""
    due = np.asarray(expected)
    if seen.shape != due.shape:
        return False
    largest = max(1.0, float(np.max(np.abs(due), initial=0.0)))
    bound = ROUNDINGS * float(np.finfo(seen.dtype).eps) * largest
    if decimals is not None:
        bound += 0.5 * 10.0**-decimals
    return bool(np.all(np.abs(seen - due) <= bound))


@every_clause
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pytorch_keeps_every_promise(clause: Clause, dtype: str):
    for number, program in enumerate(clause.scenarios):
        assert departures(program, dtype) == [], f"scenario {number}"


def spoiled(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Yield the steps again and again, each time with one literal figure made wrong."""
    for index, step in enumerate(steps):
        for body in spoiled(step.body):
            yield (*steps[:index], replace(step, body=body), *steps[index + 1 :])
        if step.expect is not None and not isinstance(step.expect.value, Ref):
            wrong = replace(step, expect=Expect(other(step.expect.value), step.expect.decimals))
            yield (*steps[:index], wrong, *steps[index + 1 :])


def other(figure: Literal) -> Literal:
    """Return a figure that is not this one, in its last number where it is an array."""
    if figure == ():
        return (0.0,)
    if isinstance(figure, tuple):
        last = figure[-1]
        return (*figure, last) if last == () else (*figure[:-1], other(last))
    if isinstance(figure, bool):
        return not figure
    if isinstance(figure, str):
        return figure + "?"
    return 0.0 if figure is None else figure + 1


@every_clause
def test_every_figure_could_fail(clause: Clause):
    for program in clause.scenarios:
        for steps in spoiled(program.steps):
            assert departures(Program(steps), "float64") != []
