"""Programs on detached tensors."""

from __future__ import annotations

from conformance.strategies.beginnings import grown
from conformance.strategies.draft import Draft
from conformance.strategies.gradients import read_gradients
from conformance.strategies.graphs import Leaf
from conformance.strategies.growth import Growth, elementwise, writable
from conformance.strategies.recipes import recipe
from conformance.strategies.writes import write_in_place, write_view


def join(draft: Draft, growth: Growth, root: int, *, fresh: bool) -> int:
    """Return the root, combined with a new tracked leaf where it needs one to require grad."""
    part = draft.choices.part(4)
    if not fresh:
        return root
    growth.room += 1
    shape = growth.graph.vertices[root].shape
    return growth.combine(part, root, growth.leaf(part, [shape, ()], requires_grad=True))


@recipe("detach.cut", "backward grad detach")
def cut(draft: Draft) -> None:
    """A graph that goes on from detached tensors, some paths going around them."""
    choices = draft.choices
    growth = Growth(draft.facts)
    latest = growth.leaf(choices)
    detached = []
    for _ in range(choices.between(1, 2)):
        latest = growth.grow(choices, 0, 2, latest)
        if choices.flag():
            growth.visible = [latest]  # no way around
        latest = growth.detach(latest)
        detached.append(latest)
    root = growth.grow(choices, 1, 2, latest)
    root = join(draft, growth, root, fresh=root not in growth.graph.tracked())
    root = growth.scalar(choices, root)
    graph = growth.graph
    names = draft.leaves(graph)
    results = dict(names)
    for index in sorted(graph.reached(root) - set(names)):
        draft.node(graph, index, results)
        if index in detached:
            draft.flags(results[index], False, is_leaf=True)
    draft.backward(results[root])
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("detach.share", "detach apply_")
def share(draft: Draft) -> None:
    """A tensor and its detached alias are one memory: a write through either is seen by both."""
    choices = draft.choices
    growth = grown(draft, 0, 2, admit=writable)
    graph, target = growth.graph, growth.visible[-1]
    shape = graph.vertices[target].shape
    plain = not draft.can("no_grad") or choices.flag()
    leaves = {i: draft.leaf(graph.leaf(i), requires_grad=not plain) for i in graph.leaves()}
    draft.nodes(graph, graph.reached(target), leaves)
    tensor = leaves[target]
    alias = draft.unary("detach", tensor)
    draft.equal(tensor, alias)
    for _ in range(choices.between(1, 3)):
        through = choices.flag()
        if through and not plain:
            write_in_place(draft, tensor, shape, block="no_grad")
        else:
            write_in_place(draft, tensor if through else alias, shape)
        draft.equal(tensor, alias)


@recipe("detach.inplace", "backward grad detach_")
def in_place(draft: Draft) -> None:
    """A result that is detached in place is a leaf from then on; what is built on it goes on."""
    choices = draft.choices
    growth = Growth(draft.facts, admit=elementwise)
    growth.leaf(choices)
    middle = growth.grow(choices, 1, 3)
    if choices.flag():
        growth.visible = [middle]
    graph = growth.graph
    root = growth.grow(choices, 1, 2, middle)
    cut_off = root not in graph.tracked(cut=[middle])
    root = growth.scalar(choices, join(draft, growth, root, fresh=cut_off))
    names = draft.leaves(graph)
    results = dict(names)
    for index in sorted(graph.reached(root) - set(names)):
        draft.node(graph, index, results)
        if index == middle:
            draft.act("detach_", results[index])
            draft.flags(results[index], False, is_leaf=True)
            draft.observe("grad_fn", results[index], None)
    draft.backward(results[root])
    read_gradients(draft, graph, names, graph.receiving(root, cut=[middle]))


@recipe("detach.leaf", "backward grad detach set_requires_grad")
def as_leaf(draft: Draft) -> None:
    """A detached tensor that is told to require grad is the leaf of a graph of its own."""
    choices = draft.choices
    upstream = grown(draft, 0, 3)
    source = upstream.graph.vertices[upstream.visible[-1]]
    names = draft.leaves(upstream.graph)
    results = dict(names)
    draft.nodes(upstream.graph, upstream.graph.reached(upstream.visible[-1]), results)
    growth = Growth(draft.facts)
    start = growth.add(Leaf(source.shape, source.bounds, 0, True))  # its numbers are the source's
    root = growth.scalar(choices, growth.grow(choices, 1, 3, start))
    graph = growth.graph
    leaf = draft.unary("detach", results[upstream.visible[-1]])
    draft.act("requires_grad_", leaf, flag=True)
    draft.flags(leaf, True, is_leaf=True)
    own = {start: leaf} | draft.leaves(graph, "w", set(graph.leaves()) - {start})
    draft.backward(draft.forward(graph, own, root))
    read_gradients(draft, graph, own, graph.receiving(root))
    read_gradients(draft, upstream.graph, names, set())


@recipe("detach.view", "detach_", "view")
def view(draft: Draft) -> None:
    """A view of a tracked result cannot be detached in place."""
    choices = draft.choices
    growth = Growth(draft.facts, admit=elementwise)
    growth.leaf(choices)
    base = growth.grow(choices, 1, 2)
    graph = growth.graph
    names = draft.leaves(graph)
    result = draft.forward(graph, names, base)
    seen, _ = write_view(draft, result, graph.vertices[base].shape)
    draft.refuse("detach_", seen)
    draft.observe("requires_grad", seen, True)
