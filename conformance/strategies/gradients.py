"""Gradients in programs: how they are read, bound to names, scaled and compared."""

from __future__ import annotations

from conformance.program import Ref
from conformance.strategies.draft import Draft, Names
from conformance.strategies.graphs import Graph


def read_gradients(draft: Draft, graph: Graph, names: Names, receiving: set[int]) -> None:
    """Write the gradient of every leaf: None for those that receive none, the rest bare."""
    for index in graph.leaves():
        if index not in names:
            continue
        if index in receiving:
            draft.grad(names[index])
        else:
            draft.grad(names[index], None)


def tracked_names(graph: Graph, names: Names) -> Names:
    """Return the names of the leaves that require grad."""
    return {i: name for i, name in names.items() if graph.leaf(i).requires_grad}


def bound_gradients(draft: Draft, names: Names, indices: set[int]) -> Names:
    """Write the gradients of those of the named tensors, bound to names of their own."""
    return {i: draft.bind_grad(names[i]) for i in names if i in indices}


def compare_gradients(draft: Draft, names: Names, figures: Names) -> None:
    """Write that the gradients equal the named figures."""
    for index, figure in figures.items():
        draft.grad(names[index], Ref(figure))


def scaled(draft: Draft, names: Names, number: float) -> Names:
    """Write the multiples of tensors."""
    return {i: draft.times(name, number) for i, name in names.items()}


def total(draft: Draft, names: list[str]) -> str:
    """Write the sum of 0-d tensors and return its name."""
    found = names[0]
    for name in names[1:]:
        found = draft.apply("add", found, name, stem="total")
    return found
