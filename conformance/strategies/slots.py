"""Slots: what a random program may do at one place, a function for each kind of step.

slot[0] is the kind, the other five bytes are its choices. Operands are counted back from the latest
tensor. A function that finds nothing to do writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from conformance.catalogue import (
    EVERYWHERE,
    NUMBERS,
    Interval,
    Operation,
    difference,
    product,
    total,
    within,
)
from conformance.program import Literal, Param, Ref
from conformance.strategies.composer import Composer, Pairs, Variable
from conformance.strategies.facts import Facts
from conformance.strategies.growth import anything, operations_for
from conformance.strategies.placement import Draw
from conformance.strategies.shapes import SHAPES, Shape
from conformance.strategies.writes import WRITES

WILD = 240
"""From this byte on, a backward may start where the model expects it to be refused."""
Slot = Callable[[Composer, bytes], None]


def look(composer: Composer, verb: str, variable: Variable) -> None:
    """Write an observation of a tensor."""
    composer.add(verb, (), (variable.name,))


def back(items: list[Variable], byte: int) -> Variable:
    """Return one of the items, mostly the latest."""
    return items[-1] if byte < 128 else items[-1 - byte % len(items)]


def apply(composer: Composer, slot: bytes) -> None:
    """Apply the first operation, counted on from the drawn one, that is possible."""
    operations = operations_for(composer.facts, anything)
    count = len(composer.variables)
    operand = count - 1 if slot[2] < 128 else count - 1 - slot[2] % count
    draw = Draw(slot[3], slot[4], slot[5], slot[4] ^ slot[5])
    composer.apply(operations, slot[1], operand, draw)


@lru_cache(maxsize=64)
def _viewing(facts: Facts) -> tuple[Operation, ...]:
    rows = operations_for(facts, anything)
    return tuple(row for row in rows if row.view and row.name not in _COPYING)


_COPYING = ("reshape", "expand")


def view(composer: Composer, slot: bytes) -> None:
    """Make a view, of a view as often as not."""
    count = len(composer.variables)
    operand = count - 1 if slot[2] < 128 else count - 1 - slot[2] % count
    draw = Draw(slot[3], slot[4], slot[5], slot[5])
    composer.apply(_viewing(composer.facts), slot[1], operand, draw)


def leaf(composer: Composer, slot: bytes) -> None:
    """Make one more leaf, of the shape of the latest tensor as often as not."""
    shape = composer.variables[-1].shape if slot[1] < 128 else SHAPES[slot[1] % len(SHAPES)]
    if composer.facts.knows("sum") or shape == ():
        composer.leaf(shape, slot[2], slot[3], tracked=slot[4] < 192)


def in_place(composer: Composer, slot: bytes) -> None:
    """Write in place, through a view as often as there is one."""
    tracked_leaf = slot[5] >= WILD or not composer.enabled
    targets = [
        v
        for v in composer.variables
        if v.memory not in composer.unwritable and (tracked_leaf or not (v.leaf and v.tracked))
    ]
    known = [name for name in WRITES if composer.facts.takes(f"{name}_")]
    if not targets or not known:
        return
    target, name = back(targets, slot[2]), known[slot[1] % len(known)]
    if not tracked_leaf and _leaf_below(composer, target):
        return
    args: list[Variable] = []
    params: Pairs = ()
    other: Interval = (0.0, 0.0)
    if name in ("add", "sub", "mul", "copy"):
        same = [v for v in composer.variables if v.shape == target.shape and v is not target]
        if same and (slot[3] % 2 or name == "copy"):
            args = [same[-1 - slot[4] % len(same)]]
            other = args[0].bounds
        elif name == "copy":
            return
        else:
            number = NUMBERS[slot[4] % len(NUMBERS)]
            params, other = (("other", number),), (number, number)
    bounds = _after(name, target.bounds, other)
    if not within(bounds, EVERYWHERE) or (args and args[0].memory == target.memory):
        return
    composer.add("apply_", (), (target.name, *(v.name for v in args)), name, params)
    if not (target.leaf and target.tracked and composer.enabled):  # which is refused
        composer.written(target, bounds, args)


def _leaf_below(composer: Composer, target: Variable) -> bool:
    """Whether the target shares the memory of a leaf that requires grad."""
    return any(v.leaf and v.tracked and v.memory == target.memory for v in composer.variables)


def _after(name: str, target: Interval, other: Interval) -> Interval:
    if name == "zero":
        return (0.0, 0.0)
    if name == "neg":
        return (-target[1], -target[0])
    if name == "copy":
        return other
    return {"add": total, "sub": difference, "mul": product}[name](target, other)


def _root(composer: Composer, byte: int) -> Variable | None:
    if composer.lent:
        # torch-51 of docs/findings.md: a pass may write into what seeded an earlier one
        return None
    roots = composer.roots() if byte >= WILD else [v for v in composer.ends() if not v.leaf]
    return back(roots, byte) if roots else None


def _cotangent(composer: Composer, root: Variable, byte: int) -> Param:
    """Return what seeds a backward: nothing for a scalar, else numbers or a tensor of its shape."""
    if (root.shape == () and byte % 4 != 3) or not composer.facts.can("backward.gradient"):
        return None
    same = [v for v in composer.variables if v.shape == root.shape and not v.tracked]
    if byte < _REFS or not same:
        return weights(root.shape, byte % 8)
    chosen = same[-1 - byte % len(same)]
    composer.lent = True
    composer.unwritable.add(chosen.memory)
    return Ref(chosen.name)


_REFS = 224
"""From this byte on, a tensor of the program seeds a backward, where there is one."""


@lru_cache(maxsize=512)
def weights(shape: Shape, first: int) -> Literal:
    """Return the literal of an array of short decimals that tell its elements apart."""
    if not shape:
        return NUMBERS[first % len(NUMBERS)]
    return tuple(weights(shape[1:], first + index) for index in range(shape[0]))


def backward(composer: Composer, slot: bytes) -> None:
    """Run backward, from the sum of a tensor where the engine takes no cotangent."""
    root = _root(composer, slot[1])
    if root is None:
        return
    facts = composer.facts
    gradient = _cotangent(composer, root, slot[2])
    params: list[tuple[str, Param]] = [] if gradient is None else [("gradient", gradient)]
    if gradient is None and root.shape != () and slot[1] < WILD:
        if not facts.knows("sum"):
            return
        summed = composer.fresh()
        composer.add("apply", (summed,), (root.name,), "sum")
        graph = composer.recorded((root,), ())
        memory = -len(composer.variables)
        root = Variable(summed, (), root.bounds, True, False, memory, root.graph | graph)
        composer.variables.append(root)
    keep = slot[3] % 2 == 1 and facts.can("backward.retain_graph")
    create = slot[3] >= 248 and facts.can("backward.create_graph")
    create = create and not composer.late & root.graph
    params += [("retain_graph", True)] * keep + [("create_graph", True)] * create
    if not keep and not create:
        composer.spent |= root.graph
    if slot[4] >= WILD and facts.can("backward.inputs"):
        leaves = [v for v in composer.tracked if v.leaf]
        if leaves:
            params.append(("inputs", (Ref(back(leaves, slot[5]).name),)))
    composer.add("backward", (), (root.name,), None, tuple(params))
    composer.ran_backward = True


def backward_many(composer: Composer, slot: bytes) -> None:
    """Run backward from two roots at once."""
    roots = [v for v in composer.ends() if not v.leaf]
    if len(roots) < 2 or composer.lent:
        return
    first = roots[-1]
    second = roots[-2 - slot[2] % (len(roots) - 1)]
    gradients = tuple(_cotangent(composer, v, slot[3]) for v in (first, second))
    params: Pairs = (("gradient", gradients),) if any(g is not None for g in gradients) else ()
    if slot[4] % 2:
        params += (("retain_graph", True),)
    else:
        composer.spent |= first.graph | second.graph
    composer.add("backward", (), (first.name, second.name), None, params)
    composer.ran_backward = True


def grad_of(composer: Composer, slot: bytes) -> None:
    """Ask for the gradient of a tensor, as often as not one that can be differentiated again."""
    root, facts = _root(composer, slot[1] % WILD), composer.facts
    inputs = [v for v in composer.tracked if v.leaf]
    if root is None or not inputs:
        return
    inputs_ = back(inputs, slot[2])
    create = slot[3] % 2 == 1 and facts.can("grad_of.create_graph")
    create = create and not composer.late & root.graph
    create = create and (slot[5] >= 128 or not composer.kinked & root.graph)
    gradient = _cotangent(composer, root, slot[4])
    if gradient is None and root.shape != ():
        return
    params: list[tuple[str, Param]] = [("outputs", Ref(root.name)), ("inputs", Ref(inputs_.name))]
    if gradient is not None:
        params.append(("grad_outputs", gradient))
    if create:
        params.append(("create_graph", True))
    else:
        composer.spent |= root.graph
    if facts.can("grad_of.allow_unused"):
        params.append(("allow_unused", True))
    name = composer.fresh()
    composer.add("grad_of", (name,), (), None, tuple(params))
    composer.ran_backward = True
    composer.gradient(name, inputs_.shape, root.graph if create else 0)


def block(composer: Composer, slot: bytes) -> None:
    """Open a grad-mode block over the next slots."""
    offered = _modes(composer.facts)
    if offered:
        verb, flag = offered[slot[1] % len(offered)]
        params: Pairs = () if flag is None else (("enabled", flag),)
        if slot[4] >= WILD and verb != "set_grad_enabled":
            params += (("decorator", True),)
        enabled = verb == "enable_grad" or flag is True
        composer.open(verb, params, enabled, 1 + slot[2] % 3, raises=slot[3] >= WILD)


@lru_cache(maxsize=64)
def _modes(facts: Facts) -> tuple[tuple[str, bool | None], ...]:
    rows: tuple[tuple[str, bool | None], ...] = (
        ("no_grad", None), ("enable_grad", None),
        ("set_grad_enabled", False), ("set_grad_enabled", True),
    )  # fmt: skip
    return tuple(row for row in rows if facts.can(row[0]))


def detach(composer: Composer, slot: bytes) -> None:
    """Detach a tensor: the result shares its memory."""
    source = back(composer.variables, slot[1])
    composer.result("detach", source, tracked=False, memory=source.memory)


def data(composer: Composer, slot: bytes) -> None:
    """Take `.data`: writes into it go unnoticed, so none is made."""
    source = back(composer.variables, slot[1])
    composer.unwritable.add(source.memory)
    composer.result("data", source, tracked=False, memory=source.memory)


def set_grad(composer: Composer, slot: bytes) -> None:
    """Set a leaf's gradient to None."""
    leaves = [v for v in composer.tracked if v.leaf]
    if leaves:
        target = back(leaves, slot[1])
        composer.add("set_grad", (), (target.name,), None, (("value", None),))


def zero_grad(composer: Composer, slot: bytes) -> None:
    """Zero a leaf's gradient in place, unless it may share memory with a tensor of the program."""
    leaves = [v for v in composer.tracked if v.leaf]
    if composer.lent:
        set_grad(composer, slot)
    elif leaves and composer.ran_backward and composer.facts.takes("zero_"):
        name = composer.fresh()
        composer.add("grad", (name,), (back(leaves, slot[1]).name,))
        composer.add("apply_", (), (name,), "zero")


def hook(composer: Composer, slot: bytes) -> None:
    """Register a hook on a tensor that requires grad."""
    # torch-52 of docs/findings.md: a hook on a view of what was written to since ends the process
    tracked = [v for v in composer.tracked if v.sure and not v.stale]
    if not tracked or composer.hooked:
        return
    target = back(tracked, slot[1])
    action = ("record", "double", "zero", "none")[slot[2] % 4]
    out = (f"h{len(composer.handles)}",) if slot[3] % 2 else ()
    composer.add("hook", out, (target.name,), None, (("action", action),))
    composer.handles.extend(out)
    composer.hooked = True


def remove_hook(composer: Composer, slot: bytes) -> None:
    """Remove a hook."""
    del slot
    if composer.handles:
        composer.add("remove_hook", (), (composer.handles.pop(),))


def retain_grad(composer: Composer, slot: bytes) -> None:
    """Let a result keep its gradient."""
    results = [v for v in composer.tracked if v.sure and not v.leaf and not v.stale]
    if results:
        target = back(results, slot[1])
        target.watched = True
        composer.add("retain_grad", (), (target.name,))


def requires_grad_(composer: Composer, slot: bytes) -> None:
    """Flag a leaf, or take its flag away before anything was done with it."""
    leaves = [v for v in composer.variables if v.leaf and not v.stale]
    if leaves:
        target = back(leaves, slot[1])
        flag = slot[2] % 4 != 3 or target is not composer.variables[-1]
        composer.add("requires_grad_", (), (target.name,), None, (("flag", flag),))
        if flag and not target.tracked:
            composer.flagged(target)
        target.tracked = flag


def detach_(composer: Composer, slot: bytes) -> None:
    """Detach a result that is no view in place."""
    memories = [v.memory for v in composer.variables]
    # no leaf: whether the post hook of one still runs, with no gradient to see, nobody documents
    targets = [v for v in composer.tracked if not v.leaf and memories.count(v.memory) == 1]
    # a matmul may be a view; torch-53 of docs/findings.md: kept gradients fail an assertion
    targets = [v for v in targets if v.counted and not v.watched]
    # what a gradient saved of a tensor is that tensor in PyTorch, and refused once it is detached
    if targets and not composer.passes:
        target = back(targets, slot[1])
        composer.add("detach_", (), (target.name,))
        target.tracked, target.leaf, target.graph = False, True, 0


def observe(composer: Composer, slot: bytes) -> None:
    """Observe a value, a flag, a gradient or a version in the midst of the program."""
    verbs = [v for v in _OBSERVATIONS if composer.facts.can(v) or v == "value"]
    verb, variable = verbs[slot[1] % len(verbs)], back(composer.variables, slot[2])
    unknown = variable.stale or (variable.tracked and not variable.sure)
    if (variable.counted or verb != "version") and not (unknown and verb in _FLAGS):
        look(composer, verb, variable)


_FLAGS = ("requires_grad", "is_leaf", "grad_fn")
_OBSERVATIONS = ("value", "grad", "requires_grad", "is_leaf", "version", "grad_fn")
