"""What no documentation settles, and engines differ in, is kept out of random programs."""

from __future__ import annotations

import pytest

from conformance.adapters.load import load_engine
from conformance.catalogue import OPERATIONS
from conformance.strategies import slots
from conformance.strategies.composer import Composer, Variable
from conformance.strategies.mixture import common_facts
from conformance.strategies.placement import Draw

FACTS = common_facts(load_engine("reference"), load_engine("torch"))


def _applied(composer: Composer, name: str) -> Variable:
    composer.apply([OPERATIONS[name]], 0, len(composer.variables) - 1, Draw(0, 0, 0, 0))
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
