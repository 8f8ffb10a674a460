"""Replacements: programs in which one step is simpler than it was, for shrinking to choose from.

Each has fewer operations, or fewer parameters, or smaller leaves, or plainer operations than the
program that it was made from, so that trying them comes to an end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from conformance.leaves import literal_array
from conformance.program import Param, Program, Ref, Step
from conformance.strategies.shapes import Shape
from conformance.strategies.slots import weights

Shapes = Callable[[Program], Mapping[str, Shape]]
"""What says of the tensors of a program, by name, which shapes they have, as far as it knows."""
PLAIN = {1: ("neg",), 2: ("add", "mul")}
"""The plainest operations of one tensor and of two, plainest first."""
_KEPT = frozenset("shape seed low high value dtype outputs inputs flag action enabled".split())
"""Parameters that say what a step is about, or that have a pass of their own."""


def replacements(program: Program, shapes: Shapes) -> Iterator[tuple[Step, ...]]:
    """Yield the steps of simpler programs, those with fewer operations first."""
    yield from _leaves_for_operations(program, shapes(program))
    for source in (_untracked, _fewer_parameters, _smaller, _plainer):
        yield from source(program)


def refitted(program: Program, shapes: Shapes) -> Program:
    """Return the program with literal cotangents of other shapes where their roots have others."""
    literal = any(_cotangent(step) is not None for step in program.walk())
    known = shapes(program) if literal else {}

    def fitted(step: Step) -> Step:
        name, root = _cotangent(step) or ("", "")
        if root not in known or literal_array(step.param(name)).shape == known[root]:
            return step
        pairs = [(key, weights(known[root], 0) if key == name else v) for key, v in step.params]
        return replace(step, params=tuple(pairs))

    return Program(changed(program.steps, fitted), program.tags)


def _cotangent(step: Step) -> tuple[str, str] | None:
    """Return the parameter that holds the literal cotangent of one root, and the root's name."""
    if step.verb == "backward" and len(step.args) == 1:
        name, root = "gradient", step.args[0]
    elif step.verb == "grad_of" and isinstance(outputs := step.param("outputs"), Ref):
        name, root = "grad_outputs", outputs.name
    else:
        return None
    literal = step.param(name)
    return None if literal is None or isinstance(literal, Ref) else (name, root)


def changed(steps: tuple[Step, ...], change: Callable[[Step], Step]) -> tuple[Step, ...]:
    """Return the steps, each changed, bodies first."""
    return tuple(
        change(replace(step, body=changed(step.body, change)) if step.body else step)
        for step in steps
    )


def _instead(steps: tuple[Step, ...], old: Step, new: Step) -> tuple[Step, ...]:
    """Return the steps with one, by identity, replaced by another."""
    return tuple(
        new if step is old
        else replace(step, body=_instead(step.body, old, new)) if step.body
        else step
        for step in steps
    )  # fmt: skip


def _without(step: Step, *names: str) -> Step:
    return replace(step, params=tuple(pair for pair in step.params if pair[0] not in names))


def _leaves_for_operations(
    program: Program, known: Mapping[str, Shape]
) -> Iterator[tuple[Step, ...]]:
    """Put a new leaf, like the one from which an operation's first operand comes, in its place.

    It has the shape of the operation's result, where that is known.
    """
    origins: dict[str, Step] = {}
    number = 1 + sum(step.verb == "leaf" for step in program.walk())
    for step in program.walk():
        if step.verb == "leaf":
            origins[step.out[0]] = step
        elif len(step.out) == 1 and step.args and step.args[0] in origins:
            origin = origins[step.out[0]] = origins[step.args[0]]
            if step.verb not in ("apply", "detach", "data"):
                continue
            plain = _without(origin, "requires_grad")
            if plain.param("seed") is not None:
                other: dict[str, Param] = {"seed": number}
                if step.out[0] in known:
                    other["shape"] = known[step.out[0]]
                plain = replace(plain, params=tuple((dict(plain.params) | other).items()))
            plain = replace(plain, out=step.out)
            yield _instead(program.steps, step, plain)
            tracked = replace(plain, params=(*plain.params, ("requires_grad", True)))
            yield _instead(program.steps, step, tracked)


def _untracked(program: Program) -> Iterator[tuple[Step, ...]]:
    for step in program.walk():
        if step.verb == "leaf" and step.param("requires_grad"):
            yield _instead(program.steps, step, _without(step, "requires_grad"))


def _fewer_parameters(program: Program) -> Iterator[tuple[Step, ...]]:
    for step in program.walk():
        if step.verb != "leaf":
            for name, _ in step.params:
                if name not in _KEPT:
                    yield _instead(program.steps, step, _without(step, name))


def _smaller(program: Program) -> Iterator[tuple[Step, ...]]:
    """Shrink the leaves of one shape, then each alone: an axis dropped, or as long as 1 or 2."""
    leaves = [s for s in program.walk() if s.verb == "leaf" and _shape(s)]
    for shape in dict.fromkeys(map(_shape, leaves)):
        for less in _less(shape):
            yield changed(
                program.steps,
                lambda s, old=shape, new=less: (  # type: ignore[misc]
                    _reshaped(s, new) if s.verb == "leaf" and _shape(s) == old else s
                ),
            )
    for leaf in leaves:
        for less in _less(_shape(leaf)):
            yield _instead(program.steps, leaf, _reshaped(leaf, less))


def _shape(leaf: Step) -> tuple[int, ...]:
    """Return the shape of a seeded leaf; () for a literal."""
    shape = leaf.param("shape")
    return tuple(n for n in shape if isinstance(n, int)) if isinstance(shape, tuple) else ()


def _less(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for axis, length in enumerate(shape):
        yield shape[:axis] + shape[axis + 1 :]
        for shorter in (1, 2):
            if shorter < length:
                yield (*shape[:axis], shorter, *shape[axis + 1 :])


def _reshaped(leaf: Step, shape: Param) -> Step:
    pairs = [(key, shape if key == "shape" else value) for key, value in leaf.params]
    return replace(leaf, params=tuple(pairs))


def _plainer(program: Program) -> Iterator[tuple[Step, ...]]:
    """Put a plainer operation, without parameters, in the place of another of as many tensors."""
    for step in program.walk():
        row = PLAIN.get(len(step.args), ()) if step.verb == "apply" else ()
        for name in row[: row.index(step.op)] if step.op in row else row:
            yield _instead(program.steps, step, replace(step, op=name, params=()))
