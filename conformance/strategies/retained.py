"""Programs on graphs that backward retains or frees."""

from __future__ import annotations

from conformance.program import Ref, Step
from conformance.strategies.beginnings import grown, heads
from conformance.strategies.draft import Draft, Names
from conformance.strategies.gradients import (
    bound_gradients,
    compare_gradients,
    read_gradients,
    scaled,
    total,
)
from conformance.strategies.graphs import Graph
from conformance.strategies.growth import Growth, saves_nothing
from conformance.strategies.recipes import recipe


def trunk(draft: Draft, most: int) -> tuple[Growth, int]:
    """Grow a result that every later use of the leaves must pass, by an operation that saves."""
    growth = Growth(draft.facts, room=2)
    growth.leaf(draft.choices)
    growth.grow(draft.choices, 0, most)
    growth.saving = True
    last = growth.grow(draft.choices, 1, 1)
    growth.saving = False
    growth.visible = [last]
    growth.room = 0
    return growth, last


def saving_graph(draft: Draft, most: int) -> tuple[Graph, int]:
    """Return a graph and a 0-d root in it that every leaf reaches through saved values only."""
    if draft.choices.flag():
        growth, last = trunk(draft, most - 1)
        root = growth.grow(draft.choices, 0, most - 1, last)
    else:
        growth = Growth(draft.facts)
        growth.leaf(draft.choices)
        growth.grow(draft.choices, 0, most)
        growth.saving = True
        root = growth.grow(draft.choices, 1, 1)
    return growth.graph, growth.scalar(draft.choices, root)


@recipe("retained.losses", "backward grad backward.retain_graph accumulates", "add")
def losses(draft: Draft) -> None:
    """Several losses on one forward: the graph is retained for all but the last."""
    growth, last = trunk(draft, 2)
    roots = heads(draft, growth, 2, 3, last)
    graph = growth.graph
    names = draft.leaves(graph)
    twins = draft.twins(graph, names)
    results = dict(names)
    draft.nodes(graph, graph.reached(*roots), results)
    for number, root in enumerate(roots):
        draft.backward(results[root], retain_graph=number < len(roots) - 1)
    results = dict(twins)
    draft.nodes(graph, graph.reached(*roots), results)
    draft.backward(total(draft, [results[root] for root in roots]))
    compare_gradients(draft, names, bound_gradients(draft, twins, graph.receiving(*roots)))


@recipe("retained.repeat", "backward grad backward.retain_graph accumulates", "mul")
def repeat(draft: Draft) -> None:
    """Several backward passes over one retained graph: k times the gradient of one."""
    growth = grown(draft, 1, 5)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    passes, last = draft.choices.between(2, 4), draft.choices.flag()
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    figures: Names = {}
    for number in range(passes):
        draft.backward(out, retain_graph=last or number < passes - 1)
        if number == 0:
            once = bound_gradients(draft, names, graph.receiving(root))
            figures = scaled(draft, once, float(passes))
    compare_gradients(draft, names, figures)


@recipe("retained.freed", "backward grad frees_graph", "mul")
def freed(draft: Draft) -> None:
    """A second backward over a freed graph is refused and changes no gradient."""
    graph, root = saving_graph(draft, 4)
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    draft.backward(out)
    figures = scaled(draft, bound_gradients(draft, names, graph.receiving(root)), 1.0)
    draft.backward(out, refused=True)
    compare_gradients(draft, names, figures)


@recipe("retained.recovery", "backward grad frees_graph")
def recovery(draft: Draft) -> None:
    """After a refused backward, a new graph over the same leaves works as ever."""
    graph, root = saving_graph(draft, 3)
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    draft.backward(out)
    draft.backward(out, refused=True)
    draft.backward(draft.forward(graph, names, root))
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("retained.disjoint", "backward grad accumulates")
def disjoint(draft: Draft) -> None:
    """Losses that share leaves but no operation need no retained graph."""
    growth = Growth(draft.facts)
    start = growth.leaf(draft.choices)
    roots = heads(draft, growth, 2, 3, start)
    graph = growth.graph
    names = draft.leaves(graph)
    outs = [draft.forward(graph, names, root) for root in roots]
    for out in outs:
        draft.backward(out)
    read_gradients(draft, graph, names, graph.receiving(*roots))


@recipe("retained.shared", "backward grad backward.retain_graph frees_graph", "mul")
def shared(draft: Draft) -> None:
    """Two heads on one trunk: once the first has freed it, the second is refused."""
    growth, last = trunk(draft, 2)
    first, second = heads(draft, growth, 2, 2, last)
    graph = growth.graph
    names = draft.leaves(graph)
    results = dict(names)
    draft.nodes(graph, graph.reached(first, second), results)
    draft.backward(results[first])
    figures = scaled(draft, bound_gradients(draft, names, graph.receiving(first)), 1.0)
    draft.backward(results[second], refused=True)
    compare_gradients(draft, names, figures)


@recipe("retained.linear", "backward grad accumulates", "mul")
def without_values(draft: Draft) -> None:
    """A graph that saves no values can be run backward again."""
    choices = draft.choices
    growth = Growth(draft.facts, admit=saves_nothing, room=2)
    growth.leaf(choices)
    root = growth.scalar(choices, growth.grow(choices, 1, 4), weighted=False)
    graph, names = growth.graph, draft.leaves(growth.graph)
    out = draft.forward(graph, names, root)
    draft.backward(out)
    once = bound_gradients(draft, names, graph.receiving(root))
    figures = scaled(draft, once, 2.0)
    draft.backward(out)
    compare_gradients(draft, names, figures)


@recipe("retained.grad_of", "grad_of grad_of.retain_graph backward grad")
def grad_of(draft: Draft) -> None:
    """Gradients taken while the graph is retained equal those that backward leaves later."""
    growth = grown(draft, 1, 5)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    times = draft.choices.between(1, 3)
    asked = [i for i in graph.leaves() if i in graph.receiving(root)]
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    made = []
    for _ in range(times):
        made.append([draft.fresh("r") for _ in asked])
        inputs = tuple(Ref(names[i]) for i in asked)
        draft.write(
            Step(
                "grad_of",
                tuple(made[-1]),
                params=(("outputs", (Ref(out),)), ("inputs", inputs), ("retain_graph", True)),
            )
        )
        for index in asked:
            draft.grad(names[index], None)
    draft.backward(out)
    figures = bound_gradients(draft, names, set(asked))
    for results in made:
        for index, name in zip(asked, results, strict=True):
            draft.equal(name, figures[index])


@recipe("retained.values", "backward", "mul")
def values(draft: Draft) -> None:
    """Backward changes no value: not of leaves, not of results, not of the root."""
    growth = grown(draft, 1, 5)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    names = draft.leaves(graph)
    draft.nodes(graph, graph.reached(root), names)
    copies = {index: draft.times(name, 1.0, "c") for index, name in names.items()}
    draft.backward(names[root])
    for index, copy in copies.items():
        draft.equal(names[index], copy)
