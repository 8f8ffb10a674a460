"""Programs on the gradients and flags of leaves."""

from __future__ import annotations

from conformance.strategies.beginnings import grown, track_one
from conformance.strategies.draft import Draft
from conformance.strategies.gradients import read_gradients
from conformance.strategies.growth import Growth, elementwise
from conformance.strategies.recipes import recipe
from conformance.strategies.shapes import Shape

PAIRS: tuple[tuple[Shape, Shape], ...] = (
    ((3,), ()),
    ((), (3,)),
    ((2, 3), (3,)),
    ((2, 3), (2, 1)),
    ((3, 1), (1, 3)),
    ((1, 3), (2, 3)),
    ((2, 1, 3), (3,)),
    ((2, 1, 3), (2, 1)),
    ((2, 3), ()),
    ((1,), ()),
    ((1, 1, 1), (2,)),
    ((0, 3), (3,)),
    ((0, 3), (1, 1)),
    ((2, 0), ()),
)
"""Different shapes that broadcast: missing axes, axes of size 1, 0-d, axes of size 0."""


@recipe("leaves.gradients", "backward grad")
def gradients(draft: Draft) -> None:
    """A graph of leaves of which some require grad; the gradient of each."""
    growth = grown(draft, 1, 6, requires_grad=None)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    track_one(graph, root)
    names = draft.leaves(graph)
    draft.backward(draft.forward(graph, names, root))
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("leaves.fan_out", "backward grad")
def fan_out(draft: Draft) -> None:
    """A graph in which a tensor is used more than once: squares, diamonds, long detours."""
    choices = draft.choices
    growth = grown(draft, 0, 3)
    graph, latest = growth.graph, growth.visible[-1]
    partners = [i for i in growth.partners(latest) if i in graph.reached(latest)]
    root = growth.combine(choices, latest, choices.pick(partners))
    root = growth.scalar(choices, growth.grow(choices, 0, 2, root))
    names = draft.leaves(graph)
    draft.backward(draft.forward(graph, names, root))
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("leaves.broadcast", "backward grad", "sum")
def broadcast(draft: Draft) -> None:
    """Leaves of different shapes that are broadcast against each other."""
    choices = draft.choices
    growth = Growth(draft.facts, admit=elementwise)
    shapes = choices.pick(PAIRS)
    pair = [growth.leaf(choices, [shape]) for shape in shapes]
    root = growth.combine(choices, pair[0], pair[1])
    root = growth.scalar(choices, growth.grow(choices, 0, 3, root))
    graph = growth.graph
    names = draft.leaves(graph)
    draft.backward(draft.forward(graph, names, root))
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("leaves.unused", "backward grad")
def unused(draft: Draft) -> None:
    """Leaves that the root does not depend on: unused, or used in another result only."""
    choices = draft.choices
    growth = grown(draft, 1, 3)
    root = growth.scalar(choices, growth.visible[-1])
    growth.room = len(growth.graph.leaves()) + 2
    bystander = growth.leaf(choices)
    growth.grow(choices, 0, 2, bystander)
    graph = growth.graph
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    others = {i for i in graph.nodes() if i not in graph.reached(root)}
    draft.nodes(graph, graph.reached(*others), dict(names), stem="z")
    draft.backward(out)
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("leaves.flags", "requires_grad")
def flags(draft: Draft) -> None:
    """A graph of tracked and untracked leaves; the flags of every tensor."""
    growth = grown(draft, 1, 5, requires_grad=None)
    graph, names = growth.graph, draft.leaves(growth.graph)
    tracked = graph.tracked()
    for index, name in names.items():
        draft.flags(name, index in tracked, is_leaf=True)
    results = dict(names)
    for index in graph.nodes():
        name = draft.node(graph, index, results)
        draft.flags(name, index in tracked, is_leaf=index not in tracked)


@recipe("leaves.intermediates", "backward grad retain_grad")
def intermediates(draft: Draft) -> None:
    """A graph of several operations; backward leaves no gradient on its intermediate results."""
    growth = grown(draft, 2, 6)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    names = draft.leaves(graph)
    results = dict(names)
    draft.nodes(graph, graph.reached(root), results)
    draft.backward(results[root])
    receiving = graph.receiving(root)
    for index in graph.nodes():
        if index in receiving:
            draft.grad(results[index], None)
    read_gradients(draft, graph, names, receiving)


@recipe("leaves.retained", "backward grad retain_grad")
def retained(draft: Draft) -> None:
    """The same, where one or two intermediate results retain their gradients, some asked twice."""
    choices = draft.choices
    growth = grown(draft, 2, 5)
    graph, root = growth.graph, growth.scalar(choices, growth.visible[-1])
    receiving = graph.receiving(root)
    nodes = [i for i in graph.nodes() if i in receiving]
    chosen = [choices.pick(nodes) for _ in range(choices.between(1, 2))]
    twice = choices.byte() % 4 == 3
    names = draft.leaves(graph)
    results = dict(names)
    for index in sorted(graph.reached(root)):
        if index in names:
            continue
        draft.node(graph, index, results)
        for _ in range((1 + twice) * (index in chosen)):
            draft.act("retain_grad", results[index])
    draft.backward(results[root])
    for index in nodes:
        if index in chosen:
            draft.grad(results[index])
        else:
            draft.grad(results[index], None)
    read_gradients(draft, graph, names, receiving)


@recipe("leaves.frozen", "backward grad")
def frozen(draft: Draft) -> None:
    """Three stages with a parameter each: a later one is frozen, an earlier one is not."""
    choices = draft.choices
    growth = Growth(draft.facts, room=0)
    latest = growth.leaf(choices, requires_grad=False)
    shape = growth.graph.vertices[latest].shape
    stopped = choices.between(1, 2)
    free = choices.below(stopped)
    params = []
    for stage in range(3):
        flag = choices.flag() if stage not in (stopped, free) else stage == free
        params.append(growth.leaf(choices, [shape, ()], requires_grad=flag))
        growth.visible = [latest]
        latest = growth.combine(choices, latest, params[-1])
        growth.visible = [latest]
        latest = growth.grow(choices, 0, 1, latest)
        shape = growth.graph.vertices[latest].shape
    root = growth.scalar(choices, latest)
    graph = growth.graph
    names = draft.leaves(graph, only=[0], stem="x") | draft.leaves(graph, only=params, stem="p")
    names |= draft.leaves(graph, only=set(graph.leaves()) - set(names), stem="w")
    draft.backward(draft.forward(graph, names, root))
    read_gradients(draft, graph, {i: names[i] for i in params}, graph.receiving(root))


@recipe("leaves.late", "backward grad set_requires_grad")
def late(draft: Draft) -> None:
    """Leaves that are flagged after they were made, and after operations that nobody recorded."""
    choices = draft.choices
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(choices, growth.visible[-1])
    for index in graph.leaves():
        graph.set_requires_grad(index, choices.byte() % 4 != 3)
    track_one(graph, root)
    early, undone = choices.byte(), choices.byte()
    names = {i: draft.leaf(graph.leaf(i), requires_grad=False) for i in graph.leaves()}
    if early % 2:
        draft.nodes(graph, graph.reached(root), dict(names), stem="z")
    for index, name in names.items():
        if graph.leaf(index).requires_grad:
            draft.act("requires_grad_", name, flag=True)
        elif undone % 2:
            draft.act("requires_grad_", name, flag=True)
            draft.act("requires_grad_", name, flag=False)
    draft.backward(draft.forward(graph, names, root))
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("leaves.values")
def values(draft: Draft) -> None:
    """The same operations on tracked leaves and on untracked twins."""
    graph = grown(draft, 1, 5).graph
    tracked = draft.leaves(graph)
    plain = {i: draft.leaf(graph.leaf(i), "u", requires_grad=False) for i in graph.leaves()}
    draft.nodes(graph, graph.nodes(), tracked)
    draft.nodes(graph, graph.nodes(), plain, stem="v")
    for index in graph.nodes():
        draft.equal(tracked[index], plain[index])
