"""Promises: what the oracles say of a program becomes part of it, for a judge to hold an engine to.

In a random program nobody but the oracles knows where an error is owed: where each of them refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from conformance.observation import Event
from conformance.program import BLOCKS, Program, Step

GRADIENT_PASSES = frozenset({"backward", "grad_of"})
"""Passes whose refusal leaves behind what nobody specifies: gradients that it reached already."""


def end_of(program: Program, events: Sequence[Event]) -> int:
    """Return how many steps can be compared: none after a refused backward."""
    for event in events:
        if event.refusal is not None and event.verb in GRADIENT_PASSES:
            return event.step + 1
    del program
    return len(events)


def promised(program: Program, events: Sequence[Event]) -> Program:
    """Return the program up to its end, where what an oracle refused owes an error.

    events: the oracle's. A step that the oracle skipped is left out.
    """
    end = end_of(program, events)
    counter = iter(range(end))
    return Program(tuple(_promised(program.steps, events, counter)), program.tags)


def _promised(
    steps: Sequence[Step], events: Sequence[Event], counter: Iterator[int]
) -> Iterator[Step]:
    for step in steps:
        number = next(counter, None)
        if number is None:
            return
        body = tuple(_promised(step.body, events, counter)) if step.body else ()
        event = events[number]
        if event.skipped or (step.verb in BLOCKS and not body):
            continue
        refused = event.refusal is not None and step.verb not in BLOCKS
        yield replace(step, body=body, refused=refused)


def unpromised(program: Program) -> Program:
    """Return the program without the errors that it says are owed."""
    return Program(tuple(map(_unpromised, program.steps)), program.tags)


def _unpromised(step: Step) -> Step:
    return replace(step, refused=False, body=tuple(map(_unpromised, step.body)))


def observed(program: Program) -> Program:
    """Return the program with every result observed where it is made: its value and its flag."""
    return Program(tuple(_observed(program.steps)), program.tags)


def _observed(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        if step.body:
            yield replace(step, body=tuple(_watched_body(step.body)))
            continue
        yield step
        if step.verb in ("apply", "detach", "data", "grad_of"):
            yield from (Step("value", (), (name,)) for name in step.out)


def _watched_body(steps: Sequence[Step]) -> Iterator[Step]:
    *first, last = steps
    if last.verb == "raise":
        yield from _observed(first)
        yield last
    else:
        yield from _observed(steps)


def up_to(program: Program, number: int) -> Program:
    """Return the program without the top-level steps after the one that holds step `number`."""
    kept: list[Step] = []
    count = 0
    for step in program.steps:
        if count > number:
            break
        kept.append(step)
        count += size_of(step)
    return Program(tuple(kept), program.tags)


def size_of(step: Step) -> int:
    """Return how many steps a step is, its body included."""
    return 1 + sum(map(size_of, step.body))
