"""Programs with rules of their own, hooks on saved tensors, tangents, threads and dropped names."""

from __future__ import annotations

from conformance.program import Ref, Step
from conformance.strategies.beginnings import grown
from conformance.strategies.draft import Draft, Names
from conformance.strategies.gradients import bound_gradients, compare_gradients, read_gradients
from conformance.strategies.graphs import Graph
from conformance.strategies.growth import Growth
from conformance.strategies.recipes import recipe

_RULES = (
    ("sin(a)", "mul(g, cos(a))", "sin"),
    ("exp(a)", "mul(g, y)", "exp"),
    ("mul(a, a)", "add(mul(g, a), mul(g, a))", "square"),
    ("tanh(a)", "sub(g, mul(g, mul(y, y)))", "tanh"),
)
"""Rules that are right, and the operation that each of them repeats."""


class _Pair:
    """A graph with a scalar root, and second leaves with the numbers of the first."""

    def __init__(self, draft: Draft) -> None:
        growth: Growth = grown(draft, 1, 4)
        self.draft, self.graph = draft, growth.graph
        self.inner = growth.visible[-1]
        self.root = growth.scalar(draft.choices, self.inner)
        self.leaves: Names = draft.leaves(self.graph)
        self.twins: Names = draft.twins(self.graph, self.leaves)
        self.reached = self.graph.receiving(self.root)

    def compare(self) -> None:
        """Write that the gradients of both are equal."""
        figures = bound_gradients(self.draft, self.twins, self.reached)
        compare_gradients(self.draft, self.leaves, figures)


@recipe("functions.twins", "backward grad custom_function", "add sub mul sin cos exp tanh")
def twins(draft: Draft) -> None:
    """An operation, and a custom function of the same forward and backward."""
    pair = _Pair(draft)
    forward, backward, op = draft.choices.pick(_RULES)
    inner = draft.forward(pair.graph, pair.twins, pair.inner)
    draft.backward(_summed(draft, draft.apply("tanh", draft.apply(*_operation(op, inner)))))
    operand = draft.forward(pair.graph, pair.leaves, pair.inner)
    params = (("forward", forward), ("backward", backward))
    made = draft.fresh("c")
    draft.write(Step("custom_function", (made,), (operand,), params=params))
    draft.backward(_summed(draft, draft.apply("tanh", made)))
    pair.reached = pair.graph.receiving(pair.inner)
    pair.compare()


def _operation(op: str, operand: str) -> tuple[str, ...]:
    return ("mul", operand, operand) if op == "square" else (op, operand)


def _summed(draft: Draft, name: str) -> str:
    return draft.apply("sum", name, stem="s")


@recipe("saved.round_trips", "backward grad saved_tensors_hooks")
def round_trips(draft: Draft) -> None:
    """Hooks on saved tensors that give back what they were given."""
    pair = _Pair(draft)
    draft.backward(draft.forward(pair.graph, pair.twins, pair.root))
    with draft.block("saved_tensors_hooks", pack=draft.choices.pick(("array", "copy", "keep"))):
        out = draft.forward(pair.graph, pair.leaves, pair.root)
    draft.backward(out)
    pair.compare()


def _forward(draft: Draft, graph: Graph, dual: list[int]) -> None:
    """Write a level in which the leaves of `dual` carry tangents, and all tangents are read."""
    names = draft.leaves(graph)
    directions = {index: draft.leaf(graph.leaf(index), "v", requires_grad=False) for index in dual}
    with draft.block("forward_ad"):
        for index in dual:
            made = draft.fresh("d")
            params = (("tangent", Ref(directions[index])),)
            draft.write(Step("make_dual", (made,), (names[index],), params=params))
            names[index] = made
        draft.nodes(graph, graph.nodes(), names)
        for index in graph.nodes():
            draft.observe("tangent", names[index])


@recipe("forward.graphs", "make_dual")
def graphs(draft: Draft) -> None:
    """One leaf carries a tangent."""
    graph = grown(draft, 1, 5).graph
    _forward(draft, graph, [draft.choices.pick(graph.leaves())])


@recipe("forward.several", "make_dual")
def several(draft: Draft) -> None:
    """Every leaf carries a tangent, broadcast and reduced on the way."""
    growth = grown(draft, 2, 5)
    growth.scalar(draft.choices, growth.visible[-1])
    _forward(draft, growth.graph, list(growth.graph.leaves()))


@recipe("threads.backward", "backward grad threads")
def in_threads(draft: Draft) -> None:
    """Recording and backward, each in this thread or in one of its own."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    names = draft.leaves(graph)
    if draft.choices.flag():
        with draft.block("thread"):
            out = draft.forward(graph, names, root)
    else:
        out = draft.forward(graph, names, root)
    with draft.block("thread"):
        draft.backward(out)
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("lifetime.graphs", "backward grad watch frees_graph")
def lifetimes(draft: Draft) -> None:
    """Everything but the root is forgotten: after backward none of its memory is held."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    leaves = draft.leaves(graph)
    names = dict(leaves)
    draft.nodes(graph, graph.nodes(), names)
    doubled = draft.apply("add", names[root], names[root], stem="total")
    watched = []
    for index in graph.nodes():
        if not graph.node(index).op.view:
            watched.append(draft.unary("watch", names[index], "w"))
    draft.write(Step("drop", (), tuple(names[i] for i in graph.nodes())))
    draft.backward(doubled)
    for name in watched:
        draft.observe("alive", name, False)
    read_gradients(draft, graph, leaves, graph.receiving(root))
