"""Beginnings: the graphs that programs of several themes start from."""

from __future__ import annotations

from conformance.strategies.draft import Draft
from conformance.strategies.graphs import Graph
from conformance.strategies.growth import Admit, Growth, anything


def grown(
    draft: Draft,
    least: int,
    most: int,
    *,
    requires_grad: bool | None = True,
    admit: Admit = anything,
) -> Growth:
    """Return a growth with a leaf and `least` to `most` operations on it."""
    growth = Growth(draft.facts, requires_grad=requires_grad, admit=admit)
    growth.leaf(draft.choices)
    growth.grow(draft.choices, least, most)
    return growth


def heads(draft: Draft, growth: Growth, least: int, most: int, trunk: int) -> list[int]:
    """Grow several scalars on `trunk` that share nothing but what is visible, and return them."""
    visible = list(growth.visible)
    roots = []
    for _ in range(draft.choices.between(least, most)):
        growth.visible = list(visible)
        root = growth.grow(draft.choices, 1, 2, trunk)
        roots.append(growth.scalar(draft.choices, root))
    growth.visible = visible
    return roots


def track_one(graph: Graph, root: int) -> None:
    """Let at least one leaf that the root is computed from require grad."""
    reached = [i for i in graph.leaves() if i in graph.reached(root)]
    if not any(graph.leaf(i).requires_grad for i in reached):
        graph.set_requires_grad(reached[0], True)
