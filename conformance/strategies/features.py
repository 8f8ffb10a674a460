"""Slots of rarer features: custom functions, hooks on what is saved or summed, tangents, threads.

Each is a slot as in `conformance.strategies.slots`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from conformance.catalogue import EVERYWHERE, Interval, Operation, product, within
from conformance.strategies.composer import Composer, Variable
from conformance.strategies.facts import Facts
from conformance.strategies.growth import operations_for
from conformance.strategies.placement import Draw
from conformance.strategies.slots import back, look, weights

_TAME: Interval = (-4.0, 4.0)
_RULES: tuple[tuple[str, str, str, Callable[[Interval], Interval]], ...] = (
    ("sin(a)", "mul(g, cos(a))", "sin cos mul", lambda _: (-1.0, 1.0)),
    ("mul(a, a)", "add(mul(g, a), mul(g, a))", "mul add", lambda a: product(a, a)),
    ("tanh(a)", "sub(g, mul(g, mul(y, y)))", "tanh sub mul", lambda _: (-1.0, 1.0)),
)
"""Forward and backward of custom functions, the operations in them, and where results lie."""


def custom_function(composer: Composer, slot: bytes) -> None:
    """Apply a function with a backward of its own."""
    source = back(composer.variables, slot[2])
    forward, backward, operations, bounds = _RULES[slot[1] % len(_RULES)]
    result = bounds(source.bounds)
    fits = within(source.bounds, _TAME) and within(result, EVERYWHERE)
    if not fits or not composer.facts.knows(*operations.split()):
        return
    name = composer.fresh()
    params = (("forward", forward), ("backward", backward))
    composer.add("custom_function", (name,), (source.name,), None, params)
    composer.made(name, source, result)


def saving(composer: Composer, slot: bytes) -> None:
    """Open a block whose hooks keep what is saved as it is, or as a copy."""
    pack = ("copy", "array", "keep")[slot[1] % 3]
    params = (("pack", pack), ("unpack", "copy" if slot[3] >= 192 else "keep"))
    composer.open("saved_tensors_hooks", params, composer.enabled, 1 + slot[2] % 3, raises=False)


def thread(composer: Composer, slot: bytes) -> None:
    """Let the next slots run in a thread of their own, which starts with tracking enabled."""
    composer.open("thread", (), True, 1 + slot[2] % 2, raises=False)


def post_hook(composer: Composer, slot: bytes) -> None:
    """Hook the accumulation into a leaf."""
    leaves = [v for v in composer.tracked if v.leaf and not v.stale]
    if leaves and not composer.hooked:
        action = ("record", "clear")[slot[2] % 2]
        target = back(leaves, slot[1]).name
        out = (f"h{len(composer.handles)}",) if slot[3] % 2 else ()
        composer.add("post_hook", out, (target,), None, (("action", action),))
        composer.handles.extend(out)
        composer.hooked = True


@lru_cache(maxsize=64)
def _pointwise(facts: Facts) -> tuple[Operation, ...]:
    return operations_for(facts, _smooth)


def _smooth(operation: Operation) -> bool:
    return operation.family in ("unary", "binary") and not operation.kinks


_PLAIN = 208
"""From this byte on, a dual tensor may meet a plain one: PyTorch computes that at twenty times the
price of anything else in a level, and at that of a whole program of ten steps."""


def tangent(composer: Composer, slot: bytes) -> None:
    """Open a level of forward mode, push one tensor through an operation or two, and leave it."""
    rows = _pointwise(composer.facts)
    # torch-56 of docs/findings.md: an expanded tensor is given no tangent
    sources = [v for v in composer.variables if _is_fresh(v) or v.memory not in composer.expanded]
    sources = [v for v in sources if not v.stale]
    if not rows or not sources or composer.inside("forward_ad"):
        return
    source = back(sources, slot[1])
    before = len(composer.variables)
    composer.open("forward_ad", (), composer.enabled, 1, raises=False)
    if not composer.inside("forward_ad"):
        return
    name = composer.fresh()
    params = (("tangent", weights(source.shape, slot[2] % 8)),)
    composer.add("make_dual", (name,), (source.name,), None, params)
    dual = composer.made(name, source, source.bounds)
    for number, part in enumerate((slot[3], slot[4])[: 1 + slot[5] % 2]):
        second = part if slot[5] >= _PLAIN else 4 * number + part % 3  # the dual, or of the level
        draw = Draw(second, slot[5], slot[2], slot[5])
        composer.apply(rows, part, len(composer.variables) - 1, draw)
    last = composer.variables[-1]
    if last is not dual and not _is_fresh(last):
        look(composer, "tangent", last)
    composer.leave()
    # what was made in the level is not used outside: engines differ in what tensors become there
    composer.variables[before:] = [v for v in composer.variables[before:] if _is_fresh(v)]


def _is_fresh(variable: Variable) -> bool:
    return variable.name.startswith("x")
