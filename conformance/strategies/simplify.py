"""Simplification: makes a failing program shorter and its numbers plain, once shrinking is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np

from conformance.errors import InvalidProgram
from conformance.leaves import GRID, HIGH, LOW, leaf_array
from conformance.observation import Array
from conformance.program import BLOCKS, VERBS, Literal, Param, Program, Ref, Step
from conformance.strategies.replacements import Shapes, refitted, replacements
from conformance.strategies.shapes import Shape

Fails = Callable[[Program], bool]
PLAIN = (1.0, 2.0, 3.0, -1.0, -2.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.25, 0.75, 1.25, 1.75)
"""Numbers that seeded leaves are given, simplest first. Zero is a kink of too many functions."""
MOST_ELEMENTS = 12
"""Larger leaves keep their seed, which is shorter than their numbers."""


class Spent(Exception):
    """Raised by a `Fails` that may judge no further program."""


def _unknown(_: Program) -> Mapping[str, Shape]:
    return {}


def simplify(program: Program, fails: Fails, shapes: Shapes = _unknown) -> Program:
    """Return a simpler program for which `fails` still holds, as it does for `program`.

    First steps are dropped, with all that depends on them, then replaced by simpler ones
    (`conformance.strategies.replacements`), then seeded leaves become literals. In a
    program that promises figures or errors, only steps that cannot touch those promises are
    dropped; in one that is judged by oracles alone, any step may go. Where `fails` raises `Spent`,
    what was found so far is returned. shapes: says which shapes tensors have, so that leaves and
    cotangents can be made to fit.
    """
    # composers make equal steps once: told apart by identity, two of them would go together
    best = program = Program(_apart(program.steps))

    def better(candidate: Program) -> bool:
        nonlocal best
        if fails(candidate):
            best = candidate
            return True
        return False

    with suppress(Spent):
        shorter = _plain_leaves(_replaced(_shorter(program, better), better, shapes), better)
        tidy = _tidy(shorter)
        if tidy != shorter:
            better(tidy)
    return best


def _apart(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps, no two of them one object."""
    return tuple(replace(step, body=_apart(step.body)) for step in steps)


def _shorter(program: Program, fails: Fails) -> Program:
    while True:
        for candidate in _without_one(program):
            if fails(candidate):
                program = candidate
                break
        else:
            return program


def _replaced(program: Program, fails: Fails, shapes: Shapes) -> Program:
    """Replace steps by simpler ones in a program that is judged by oracles alone."""
    if _promises(program):
        return program
    while True:
        for steps in replacements(program, shapes):
            found = next((p for p in _fitting(steps, shapes) if fails(p)), None)
            if found is not None:
                program = _shorter(found, fails)
                break
        else:
            return program


def _fitting(steps: tuple[Step, ...], shapes: Shapes) -> Iterator[Program]:
    """Yield the program of the steps, then the same with cotangents that fit, if that differs."""
    for program in _program(steps):
        yield program
        fitted = refitted(program, shapes)
        if fitted != program:
            yield fitted


def _promises(program: Program) -> bool:
    return any(step.expect is not None or step.refused for step in program.walk())


def _without_one(program: Program) -> Iterator[Program]:
    """Yield the program without its last step, then without each step in turn, the last first."""
    yield from _program(program.steps[:-1])  # no promise rests on what comes after it
    free = not _promises(program)
    steps = list(program.walk())
    for dropped in reversed(steps):
        gone = {id(dropped)}
        names = set(dropped.out) | _bound(dropped.body)
        for step in steps:
            if id(step) not in gone and names.intersection(step.reads()):
                gone.add(id(step))
                names.update(step.out, _bound(step.body))
        if free or all(_inert(step) for step in steps if id(step) in gone):
            yield from _program(_filtered(program.steps, gone))
        if free and dropped.body:
            yield from _program(_unwrapped(program.steps, dropped))
        if free and dropped.verb in ("apply", "custom_function", "make_dual"):
            for operand in dict.fromkeys(dropped.args):
                yield from _program(_bypassed(program.steps, dropped, operand))


def _bypassed(steps: tuple[Step, ...], dropped: Step, operand: str) -> tuple[Step, ...]:
    """Return the steps without one operation, its operand in the place of its result."""
    names = dict.fromkeys(dropped.out, operand)
    return tuple(_renamed(step, names, dropped) for step in steps if step is not dropped)


def _renamed(step: Step, names: dict[str, str], dropped: Step | None = None) -> Step:
    """Return a step that reads other names, without what was dropped of its body."""
    expect = step.expect
    if expect is not None and isinstance(expect.value, Ref):
        expect = replace(expect, value=Ref(names.get(expect.value.name, expect.value.name)))
    return replace(
        step,
        args=tuple(names.get(name, name) for name in step.args),
        params=tuple((key, _renamed_param(value, names)) for key, value in step.params),
        body=tuple(_renamed(inner, names, dropped) for inner in step.body if inner is not dropped),
        expect=expect,
    )


def _renamed_param(value: Param, names: dict[str, str]) -> Param:
    if isinstance(value, Ref):
        return Ref(names.get(value.name, value.name))
    if isinstance(value, tuple):
        return tuple(_renamed_param(item, names) for item in value)
    return value


def _program(steps: tuple[Step, ...]) -> Iterator[Program]:
    try:
        yield Program(_without_empty_blocks(steps))
    except InvalidProgram:
        return  # such as `raise` before the end of an unwrapped block


def _without_empty_blocks(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    kept = (replace(s, body=_without_empty_blocks(s.body)) if s.body else s for s in steps)
    return tuple(step for step in kept if step.body or step.verb not in BLOCKS)


def _bound(steps: tuple[Step, ...]) -> set[str]:
    return {name for step in steps for name in (*step.out, *_bound(step.body))}


def _inert(step: Step) -> bool:
    """Whether a step changes nothing that other steps, which do not read its names, can see."""
    if step.refused or step.verb in ("leaf", "apply", "detach", "reload", "data", "raise"):
        return True
    if step.verb in BLOCKS:
        return all(_inert(inner) for inner in step.body)
    return VERBS[step.verb].observes


def _filtered(steps: tuple[Step, ...], gone: set[int]) -> tuple[Step, ...]:
    return tuple(
        replace(step, body=_filtered(step.body, gone)) if step.body else step
        for step in steps
        if id(step) not in gone
    )


def _unwrapped(steps: tuple[Step, ...], block: Step) -> tuple[Step, ...]:
    found: list[Step] = []
    for step in steps:
        if step is block:
            found.extend(inner for inner in step.body if inner.verb != "raise")
        elif step.body:
            found.append(replace(step, body=_unwrapped(step.body, block)))
        else:
            found.append(step)
    return tuple(found)


def _tidy(program: Program) -> Program:
    """Number names anew, without gaps, and leave gradients unnamed that nothing reads."""
    read = {name for step in program.walk() for name in step.reads()}
    names: dict[str, str] = {}
    count: dict[str, int] = {}
    for step in program.walk():
        for name in step.out if step.verb != "grad" or read.issuperset(step.out) else ():
            stem = name.rstrip("0123456789")
            names[name] = f"{stem}{count[stem]}" if stem in count else stem
            count[stem] = count.get(stem, 0) + 1

    def bound(step: Step) -> Step:
        out = tuple(names[name] for name in step.out if name in names)
        return replace(step, out=out, body=tuple(map(bound, step.body)))

    return Program(tuple(bound(_renamed(step, names)) for step in program.steps), program.tags)


def _plain_leaves(program: Program, fails: Fails) -> Program:
    """Replace seeded leaves by literals; leaves with the same numbers keep the same numbers."""
    seeded = [step for step in program.walk() if step.verb == "leaf" and not _is_literal(step)]
    for number, leaf in enumerate({_numbers_of(step): step for step in seeded}.values()):
        for values in _candidates(leaf, number):
            candidate = Program(_with_literals(program.steps, _numbers_of(leaf), values))
            if fails(candidate):
                program = candidate
                break
    return program


def _is_literal(leaf: Step) -> bool:
    return leaf.param("value") is not None


def _numbers_of(leaf: Step) -> tuple[Param, ...]:
    """Return what determines the numbers of a seeded leaf."""
    return tuple(leaf.param(key) for key in ("shape", "seed", "low", "high", "dtype"))


def _candidates(leaf: Step, shift: int) -> Iterator[Literal]:
    """Yield literals for a seeded leaf, the plainest first, its own numbers last."""
    array = leaf_array(leaf, "float64")
    if array.dtype.kind != "f" or not 0 < array.size <= MOST_ELEMENTS:
        return
    low, high = leaf.param("low", LOW), leaf.param("high", HIGH)
    pool = [n for n in PLAIN if isinstance(low, (int, float)) and low <= n]
    pool = [n for n in pool if isinstance(high, (int, float)) and n <= high]
    for start in dict.fromkeys((shift, 0)) if pool else ():
        flat = [pool[(start + index) % len(pool)] for index in range(array.size)]
        yield _literal(np.array(flat).reshape(array.shape))
    for grid in (2, 8, GRID):
        yield _literal(np.round(array * grid) / grid)


def _literal(array: Array) -> Literal:
    if array.ndim == 0:
        return float(array)
    return tuple(_literal(item) for item in array)


def _with_literals(
    steps: tuple[Step, ...], numbers: tuple[Param, ...], value: Literal
) -> tuple[Step, ...]:
    found = []
    for step in steps:
        if step.body:
            step = replace(step, body=_with_literals(step.body, numbers, value))
        elif step.verb == "leaf" and not _is_literal(step) and _numbers_of(step) == numbers:
            kept = [pair for pair in step.params if pair[0] in ("requires_grad", "dtype")]
            step = replace(step, params=(("value", value), *kept))
        found.append(step)
    return tuple(found)
