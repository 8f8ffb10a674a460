"""Graphs that are grown from bytes: valid, tame, and as the caller asked."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from conformance.adapters.load import load_engine
from conformance.catalogue import EVERYWHERE, within
from conformance.errors import Unsupported
from conformance.execute import execute
from conformance.strategies.choices import Choices
from conformance.strategies.draft import Draft
from conformance.strategies.facts import Facts
from conformance.strategies.graphs import DETACH, Graph, Leaf, Node
from conformance.strategies.growth import Growth, elementwise, operations_for, saves_nothing
from conformance.strategies.shapes import MOST_ELEMENTS, SHAPES, broadcast, variants

ANYONE = Facts(frozenset())


def drawn(count: int = 150) -> list[Choices]:
    return [Choices(random.Random(seed).randbytes(64)) for seed in range(count)]


def test_results_have_the_shape_and_interval_that_growth_says() -> None:
    engine = load_engine("torch")
    for choices in drawn():
        growth = Growth(ANYONE)
        growth.leaf(choices)
        growth.grow(choices, 1, 6)
        graph = growth.graph
        draft = Draft(choices, ANYONE)
        names = draft.leaves(graph)
        draft.nodes(graph, graph.nodes(), names)
        for index in graph.nodes():
            draft.observe("value", names[index])
        values = [event.value for event in execute(engine, draft.program()).events if event.seen]
        assert len(values) == len(graph.nodes())
        for index, value in zip(graph.nodes(), values, strict=True):
            node = graph.node(index)
            assert isinstance(value, np.ndarray)
            assert value.shape == node.shape, node
            slack = 1e-9 * (1 + max(map(abs, node.bounds)))
            assert node.bounds[0] - slack <= value.min(), node
            assert value.max() <= node.bounds[1] + slack, node
            assert within(node.bounds, EVERYWHERE)
            assert math.prod(node.shape) <= MOST_ELEMENTS


def test_the_number_of_operations_is_as_asked() -> None:
    counts = set()
    for choices in drawn():
        growth = Growth(ANYONE)
        growth.leaf(choices)
        growth.grow(choices, 2, 4)
        counts.add(len(growth.graph.nodes()))
    assert counts == {2, 3, 4}


def test_a_zeroed_operation_is_left_out() -> None:
    full = bytes([2]) + bytes([2, 0, 0, 0, 0, 0]) * 3
    without = bytes([2]) + bytes([2, 0, 0, 0, 0, 0]) + bytes(6) + bytes([2, 0, 0, 0, 0, 0])
    for data, count in ((full, 3), (without, 2)):
        growth = Growth(ANYONE)
        growth.leaf(Choices(b""))
        growth.grow(Choices(data), 1, 3)
        assert len(growth.graph.nodes()) == count


def test_a_result_grown_after_a_vertex_depends_on_it() -> None:
    for choices in drawn():
        growth = Growth(ANYONE)
        growth.leaf(choices)
        middle = growth.grow(choices, 0, 2)
        last = growth.grow(choices, 1, 3, middle)
        assert middle in growth.graph.reached(last)


def test_saving_growth_saves_and_linear_growth_does_not() -> None:
    for choices in drawn(60):
        growth = Growth(ANYONE)
        growth.saving = True
        growth.leaf(choices)
        growth.grow(choices, 1, 4)
        assert all(growth.graph.node(i).saves for i in growth.graph.nodes())
        growth = Growth(ANYONE, admit=saves_nothing)
        growth.leaf(choices)
        growth.grow(choices, 1, 4)
        assert not any(growth.graph.node(i).saves for i in growth.graph.nodes())


def test_only_operations_that_the_engine_has_and_the_theme_admits() -> None:
    facts = Facts(frozenset(), operations=frozenset({"mul", "sin", "transpose", "sum"}))
    assert {op.name for op in operations_for(facts, elementwise)} == {"mul", "sin"}
    for choices in drawn(40):
        growth = Growth(facts, admit=elementwise)
        growth.leaf(choices)
        growth.grow(choices, 1, 6)
        assert {growth.graph.node(i).op.name for i in growth.graph.nodes()} <= {"mul", "sin"}


def test_too_few_operations_are_unsupported() -> None:
    growth = Growth(Facts(frozenset(), operations=frozenset({"log"})))
    growth.leaf(Choices(b""), bounds=(-1.0, 1.0))
    with pytest.raises(Unsupported, match="operations for a graph of 2"):
        growth.grow(Choices(b""), 2, 3)


def test_an_engine_without_sum_gets_scalars() -> None:
    facts = Facts(frozenset(), operations=frozenset({"mul", "add", "tanh"}))
    for choices in drawn(40):
        growth = Growth(facts)
        leaf = growth.leaf(choices)
        root = growth.scalar(choices, growth.grow(choices, 1, 4))
        assert growth.graph.vertices[leaf].shape == ()
        assert growth.graph.vertices[root].shape == ()


def test_the_room_for_leaves_is_kept() -> None:
    most = 0
    for choices in drawn():
        growth = Growth(ANYONE, room=2)
        growth.leaf(choices)
        growth.grow(choices, 3, 6)
        most = max(most, len(growth.graph.leaves()))
    assert most == 2


def diamond() -> Graph:
    graph = Graph()
    leaf = Leaf((), (1.0, 2.0), 0)
    op = operations_for(ANYONE, elementwise)[0]
    graph.vertices += [
        leaf,
        Leaf((), (1.0, 2.0), 1, False),
        Node(op, (0, 1), (), (), (1.0, 4.0)),
        Node(DETACH, (2,), (), (), (1.0, 4.0)),
        Node(op, (3, 1), (), (), (1.0, 8.0)),
        Node(op, (4, 2), (), (), (1.0, 32.0)),
    ]
    return graph


def test_what_is_tracked_and_what_receives_a_gradient() -> None:
    graph = diamond()
    assert graph.reached(5) == {0, 1, 2, 3, 4, 5}
    assert graph.tracked() == {0, 2, 5}
    assert graph.receiving(5) == {0, 2, 5}
    assert graph.receiving(4) == set()
    assert graph.receiving(5, cut=[2]) == set()


@pytest.mark.parametrize("shape", SHAPES)
def test_variants_broadcast_to_the_shape(shape: tuple[int, ...]) -> None:
    for other in variants(shape):
        assert broadcast(shape, other) == shape
        assert np.broadcast_shapes(shape, other) == shape


def test_broadcasting_agrees_with_numpy() -> None:
    for a in SHAPES:
        for b in SHAPES:
            try:
                expected = np.broadcast_shapes(a, b)
            except ValueError:
                expected = None
            assert broadcast(a, b) == expected
