"""What no documentation settles, and engines differ in, is kept out of random programs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from conformance.adapters.load import load_engine
from conformance.catalogue import OPERATIONS
from conformance.program import Ref, Step
from conformance.random_check import RandomCheck
from conformance.strategies import kinks, slots
from conformance.strategies.composer import _VEILED, Composer, Variable
from conformance.strategies.mixture import common_facts
from conformance.strategies.placement import Draw

FACTS = common_facts(load_engine("reference"), load_engine("torch"))
CHECK = RandomCheck(load_engine("torch"))
SAVING = [name for name, operation in OPERATIONS.items() if operation.family != "shape"]
KINKED = {operation.name: number for number, (operation, _) in enumerate(kinks.ROWS)}
PLAIN = Draw(0, 0, 0, 0)
DRAWS = (Draw(72, 0, 1, 4), Draw(72, 0, 1, 9))
"""With one, the second operand is `second` below, and a reduced dimension goes; with the other, the
operands are swapped, and the dimension stays."""


def _applied(composer: Composer, name: str, draw: Draw = PLAIN) -> Variable:
    composer.apply([OPERATIONS[name]], 0, len(composer.variables) - 1, draw)
    return composer.variables[-1]


@pytest.mark.parametrize(("name", "offered"), [("nn.functional.softplus", False), ("tanh", True)])
def test_what_a_gradient_of_softplus_saves(name: str, offered: bool) -> None:
    composer = Composer(FACTS)
    composer.leaf((2,), 0, 0, tracked=True)
    operand = _applied(composer, "sin")
    result = _applied(composer, name)
    gradient = composer.gradient("g", (2,), result.graph)
    assert gradient in composer.roots()
    composer.written(operand, operand.bounds, [])
    assert (gradient in composer.roots()) is offered


@pytest.mark.parametrize(("name", "offered"), [("logsumexp", False), ("softmax", True)])
def test_what_logsumexp_saves(name: str, offered: bool) -> None:
    composer = Composer(FACTS)
    composer.leaf((2,), 0, 0, tracked=True)
    result = _applied(composer, name)
    later = _applied(composer, "sin") if result.shape else result
    composer.written(result, result.bounds, [])
    assert (later in composer.roots()) is offered


def _copies(composer: Composer) -> dict[str, Variable]:
    """Write two tensors of four elements, one positive and one negative, that may be written."""
    made = {}
    for name, code, number in (("second", 4, 2), ("first", 0, 1)):
        composer.leaf((2, 2), code, 0, tracked=True)
        _applied(composer, "atan")  # whose second derivative all engines know
        made[name] = _applied(composer, "add", Draw(3, number, 0, 0))
    return made


def _programs(name: str) -> Iterator[tuple[tuple[Step, ...], bool]]:
    """Yield programs that write into what an operation may have saved, and whether each is offered.

    The write comes before or after a gradient that can be differentiated again, or there is none;
    what is saved goes through hooks that keep it, or not.
    """
    for target, draw, hooked, again, order in product(
        ("first", "second", "result"), DRAWS, (False, True), (False, True), (1, 2, 3)
    ):
        composer = Composer(FACTS)
        tensors = _copies(composer)
        _with_hooks(composer, hooked)
        if name in OPERATIONS:
            _applied(composer, name, draw)
        else:
            kinks.kinked(composer, bytes([0, KINKED[name], 0, 3, 0, 0]))
        _with_hooks(composer, None)
        result = root = tensors["result"] = composer.variables[-1]
        assert result is not tensors["first"], f"{name} was not applied"
        if order == 2:
            _written(composer, tensors[target])
        if order > 1:
            _with_hooks(composer, again)
            root = _gradient(composer, result)
            _with_hooks(composer, None)
        if order != 2:
            _written(composer, tensors[target])
        offered = root in composer.roots()
        seed = (("gradient", slots.weights(root.shape, 1)),)
        composer.add("backward", (), (root.name,), None, seed)
        for leaf in ("x0", "x1"):
            composer.add("grad", (), (leaf,))
        yield composer.steps(), offered


def _with_hooks(composer: Composer, hooked: bool | None) -> None:
    """Open a block of hooks that keep what is saved, or of nothing; None: end it."""
    if hooked is None:
        composer.leave()
    elif hooked:
        params = (("pack", "keep"), ("unpack", "keep"))
        composer.open("saved_tensors_hooks", params, True, 9, raises=False)
    else:
        composer.open("enable_grad", (), True, 9, raises=False)


def _written(composer: Composer, target: Variable) -> None:
    composer.add("apply_", (), (target.name,), "add", (("other", 0.25),))
    composer.written(target, target.bounds, [])


def _gradient(composer: Composer, root: Variable) -> Variable:
    params = (
        ("outputs", Ref(root.name)), ("inputs", Ref("x1")), ("allow_unused", True),
        ("grad_outputs", slots.weights(root.shape, 0)), ("create_graph", True),
    )  # fmt: skip
    composer.add("grad_of", ("g",), (), None, params)
    return composer.gradient("g", (2, 2), root.graph)


@pytest.mark.parametrize("name", sorted({*SAVING, *KINKED}))
def test_engines_agree_on_what_is_saved_wherever_a_backward_is_offered(name: str) -> None:
    programs = list(_programs(name))
    agreeing = CHECK.agreeing([steps for steps, _ in programs])
    parted = [row for row, agrees in zip(programs, agreeing, strict=True) if not agrees]
    assert not [steps for steps, offered in parted if offered]
    assert bool(parted) is (name in _VEILED)


@pytest.mark.parametrize("flagged", [False, True])
def test_a_constant_that_is_flagged_once_a_product_saved_it(flagged: bool) -> None:
    composer = Composer(FACTS)
    leaf = composer.leaf((), 0, 0, tracked=True)
    constant = composer.leaf((), 0, 1, tracked=False)
    graph = composer.recorded((leaf,), (constant.memory,))
    composer.variables.append(Variable("y", (), (0.0, 1.0), True, False, 9, graph))
    if flagged:
        composer.flagged(constant)
    slots.grad_of(composer, bytes([0, 0, 0, 1, 0, 0]))
    assert (composer.steps()[-1].param("create_graph") is None) is flagged


def test_a_write_into_a_tracked_leaf_is_refused_and_leaves_it_a_leaf() -> None:
    composer = Composer(FACTS)
    leaf = composer.leaf((2,), 0, 0, tracked=True)
    before = leaf.bounds
    slots.in_place(composer, bytes([0, 0, 0, 0, 0, slots.WILD]))
    assert [step.verb for step in composer.steps()] == ["leaf", "apply_"]
    assert leaf.leaf
    assert leaf.bounds == before
    slots.detach_(composer, bytes(6))
    assert composer.steps()[-1].verb == "apply_"
