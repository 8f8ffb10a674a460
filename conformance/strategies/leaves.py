"""Programs on the gradients and flags of leaves."""

from __future__ import annotations

from conformance.strategies.draft import Draft
from conformance.strategies.growth import Growth
from conformance.strategies.recipes import recipe


@recipe("leaves.gradients", "backward grad")
def gradients(draft: Draft) -> None:
    """A graph of leaves of which some require grad; the gradient of each."""
    choices = draft.choices
    growth = Growth(draft.facts, requires_grad=None)
    growth.leaf(choices)
    root = growth.scalar(choices, growth.grow(choices, 1, 6))
    graph = growth.graph
    reached = [i for i in graph.leaves() if i in graph.reached(root)]
    if not any(graph.leaf(i).requires_grad for i in reached):
        graph.set_requires_grad(reached[0], True)
    names = draft.leaves(graph)
    draft.backward(draft.forward(graph, names, root))
    for index, name in names.items():
        if graph.leaf(index).requires_grad:
            draft.grad(name)
        else:
            draft.grad(name, None)
