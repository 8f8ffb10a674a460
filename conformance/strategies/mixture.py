"""Mixtures: random programs of every kind of step, each decoded from one byte string.

A program is a row of slots of WIDTH bytes. The first byte of a slot says what is done, the others
to what: operands are counted back from the latest tensor, so that a slot means the same when others
are emptied. A slot of zeros does nothing: shrinking bytes shrinks programs.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from conformance.adapters.base import Engine
from conformance.program import Program, Step
from conformance.strategies import features, kinks, slots
from conformance.strategies.composer import Composer
from conformance.strategies.facts import Facts
from conformance.strategies.probe import facts_of
from conformance.strategies.shapes import SHAPES

WIDTH = 6
"""Bytes of a slot."""
SLOTS = 10
"""Slots of a program, besides its first leaf and the observations at its end."""
LENGTH = WIDTH * (SLOTS + 1)


def decode(data: bytes, facts: Facts) -> Program:
    """Return the program that the bytes stand for, observations at its end included."""
    return Program(compose(data, facts))


def compose(data: bytes, facts: Facts) -> tuple[Step, ...]:
    """Return the steps of that program, not validated."""
    composer = Composer(facts)
    kinds = kinds_for(facts)
    begin(composer, data[:WIDTH].ljust(WIDTH, b"\0"))
    for at in range(WIDTH, len(data) - WIDTH + 1, WIDTH):
        slot = data[at : at + WIDTH]
        if slot[0]:
            kinds[slot[0] - 1](composer, slot)
            composer.passed()
    finish(composer)
    return composer.steps()


def common_facts(engine: Engine, oracle: Engine) -> Facts:
    """Return the facts of an engine as far as its oracle shares them."""
    mine, theirs = facts_of(engine), facts_of(oracle)
    known = mine.operations
    if known is not None and theirs.operations is not None:
        known &= theirs.operations
    return replace(
        mine,
        capabilities=mine.capabilities & theirs.capabilities,
        operations=known,
        without=mine.without | theirs.without,
    )


def begin(composer: Composer, slot: bytes) -> None:
    """Write the first leaf, which is tracked; 0-d for an engine without `sum`."""
    shape = SHAPES[slot[1] % len(SHAPES)] if composer.facts.knows("sum") else ()
    composer.leaf(shape, slot[2], slot[3], tracked=True)


def finish(composer: Composer) -> None:
    """Close all blocks, run backward where none ran, and observe what there is.

    All that shares memory with what was written to is observed: a write must show in each.
    """
    composer.steps()
    if not composer.ran_backward:
        slots.backward(composer, bytes(WIDTH))
    facts = composer.facts
    variables = composer.variables
    latest = variables[-2:]
    written = {v.memory for v in variables if v.written}
    for variable in variables:
        if variable in latest or variable.memory in written:
            slots.look(composer, "value", variable)
        if variable.written and variable.counted and facts.can("version"):
            slots.look(composer, "version", variable)
        if (variable.tracked and variable.leaf) or variable.watched:
            slots.look(composer, "grad", variable)
    if composer.hooked:
        composer.add("hook_log")


KINDS: tuple[tuple[str, int, str, slots.Slot], ...] = (
    # name, weight, needs, function; the first is the simplest
    ("apply", 100, "", slots.apply),
    ("view", 20, "", slots.view),
    ("backward", 24, "backward", slots.backward),
    ("in_place", 24, "apply_", slots.in_place),
    ("leaf", 14, "", slots.leaf),
    ("block", 12, "", slots.block),
    ("detach", 8, "detach", slots.detach),
    ("grad_of", 8, "grad_of", slots.grad_of),
    ("zero_grad", 6, "grad apply_", slots.zero_grad),
    ("set_grad", 4, "set_grad", slots.set_grad),
    ("retain_grad", 6, "retain_grad", slots.retain_grad),
    ("hook", 8, "register_hook", slots.hook),
    ("backward_many", 5, "backward_many backward.gradient", slots.backward_many),
    ("observe", 6, "", slots.observe),
    ("data", 3, "data", slots.data),
    ("requires_grad_", 4, "set_requires_grad", slots.requires_grad_),
    ("detach_", 3, "detach_", slots.detach_),
    ("remove_hook", 2, "register_hook", slots.remove_hook),
    ("custom_function", 6, "custom_function", features.custom_function),
    ("saving", 4, "saved_tensors_hooks", features.saving),
    ("post_hook", 3, "register_post_accumulate_hook", features.post_hook),
    ("tangent", 5, "make_dual", features.tangent),
    ("thread", 2, "threads", features.thread),
    ("kinked", 8, "", kinks.kinked),
)


@lru_cache(maxsize=64)
def kinds_for(facts: Facts) -> tuple[slots.Slot, ...]:
    """Return 255 functions for the values 1 … 255 of a slot's first byte."""
    offered = [(weight, slot) for _, weight, needs, slot in KINDS if facts.can(*needs.split())]
    row = [slot for weight, slot in offered for _ in range(weight)]
    return tuple(row[i * len(row) // 255] for i in range(255))
