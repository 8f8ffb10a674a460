"""Programs on the accumulation of gradients over several backward passes."""

from __future__ import annotations

from conformance.program import Ref
from conformance.strategies.beginnings import grown, heads
from conformance.strategies.draft import Draft, Names
from conformance.strategies.gradients import bound_gradients, compare_gradients, scaled, total
from conformance.strategies.graphs import Graph, Leaf
from conformance.strategies.growth import Growth
from conformance.strategies.recipes import recipe
from conformance.strategies.shapes import Shape, filled


@recipe("accumulation.repeat", "backward grad accumulates", "mul")
def repeat(draft: Draft) -> None:
    """The same graph built and run several times: k times the gradient of once."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    passes = draft.choices.between(2, 4)
    names = draft.leaves(graph)
    figures: Names = {}
    for number in range(passes):
        draft.backward(draft.forward(graph, names, root))
        if number == 0:
            once = bound_gradients(draft, names, graph.receiving(root))
            figures = scaled(draft, once, float(passes))
    compare_gradients(draft, names, figures)


@recipe("accumulation.losses", "backward grad accumulates", "add")
def losses(draft: Draft) -> None:
    """Several losses, one backward each: the gradient of their sum."""
    growth = Growth(draft.facts)
    trunk = growth.leaf(draft.choices)
    if draft.choices.flag():
        growth.leaf(draft.choices, [growth.graph.vertices[trunk].shape])
    roots = heads(draft, growth, 2, 3, trunk)
    graph = growth.graph
    names = draft.leaves(graph)
    twins = draft.twins(graph, names)
    for root in roots:
        draft.backward(draft.forward(graph, names, root))
    draft.backward(total(draft, [draft.forward(graph, twins, root) for root in roots]))
    compare_gradients(draft, names, bound_gradients(draft, twins, graph.receiving(*roots)))


@recipe("accumulation.reset", "backward grad set_grad accumulates")
def reset(draft: Draft) -> None:
    """Passes over different graphs of the same leaves; gradients removed or zeroed in between."""
    choices = draft.choices
    growth = Growth(draft.facts, room=2)
    trunk = growth.leaf(choices)
    roots = heads(draft, growth, 2, 3, trunk)
    graph = growth.graph
    tracked = [i for i in graph.leaves() if graph.leaf(i).requires_grad]
    names = draft.leaves(graph)
    for number, root in enumerate(roots):
        draft.backward(draft.forward(graph, names, root))
        for index in tracked:
            draft.grad(names[index])
        if number < len(roots) - 1:
            for index in tracked:
                _reset(draft, names[index], graph.leaf(index).shape, choices.byte())


def _reset(draft: Draft, name: str, shape: Shape, how: int) -> None:
    if how % 4 == 0:
        draft.act("set_grad", name, value=None)
        draft.grad(name, None)
    elif how % 4 == 1:
        draft.act("set_grad", name, value=filled(shape, 0.0))
    elif how % 4 == 2 and draft.can("apply_") and draft.facts.takes("zero_"):
        draft.apply_("zero", draft.bind_grad(name))


@recipe(
    "accumulation.microbatches",
    "backward grad accumulates",
    "matmul add sub mul div mean narrow",
)
def microbatches(draft: Draft) -> None:
    """A batch in one pass, and in equal parts whose losses are divided by their number."""
    choices = draft.choices
    rows, parts = choices.pick(((4, 2), (4, 4), (6, 3), (6, 2), (2, 2)))
    width, outputs = choices.between(1, 3), choices.between(1, 2)
    hidden = choices.flag() and draft.facts.knows("tanh")
    seeds = [choices.byte() + 256 * number for number in range(5)]
    bounds = (-1.0, 1.0)
    batch = draft.leaf(Leaf((rows, width), bounds, seeds[0], False), "batch")
    target = draft.leaf(Leaf((rows, outputs), bounds, seeds[1], False), "target")
    weights = [Leaf((width, outputs), bounds, seeds[2]), Leaf((outputs,), bounds, seeds[3])]
    if hidden:
        weights[0] = Leaf((width, 2), bounds, seeds[2])
        weights.append(Leaf((2, outputs), bounds, seeds[4]))
    names = [draft.leaf(weight, "p") for weight in weights]
    twins = [draft.leaf(weight, "t") for weight in weights]
    length = rows // parts
    count = draft.constant(float(parts))
    for part in range(parts):
        slices = [
            draft.apply("narrow", name, stem="part", dim=0, start=part * length, length=length)
            for name in (batch, target)
        ]
        loss = _loss(draft, names, *slices)
        draft.backward(draft.apply("div", loss, count, stem="out"))
    draft.backward(_loss(draft, twins, batch, target))
    figures = [draft.bind_grad(name) for name in twins]
    for name, figure in zip(names, figures, strict=True):
        draft.grad(name, Ref(figure))


def _loss(draft: Draft, params: list[str], batch: str, target: str) -> str:
    """Write the mean squared error of a linear layer, or of two with tanh in between."""
    y = draft.apply("matmul", batch, params[0])
    if len(params) == 3:
        y = draft.apply("matmul", draft.apply("tanh", y), params[2])
    error = draft.apply("sub", draft.apply("add", y, params[1]), target)
    return draft.apply("mean", draft.apply("mul", error, error), stem="loss")


@recipe("accumulation.preset", "backward grad set_grad accumulates", "add")
def preset(draft: Draft) -> None:
    """Backward adds to a gradient that was assigned before it."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    names = draft.leaves(graph)
    twins = draft.twins(graph, names)
    draft.backward(draft.forward(graph, twins, root))
    figures: Names = {}
    for index in graph.leaves():
        if index in graph.receiving(root):
            given = Leaf(graph.leaf(index).shape, (-2.0, 2.0), draft.choices.byte(), False)
            assigned = draft.leaf(given, "p")
            gradient = draft.bind_grad(twins[index])
            figures[index] = draft.apply("add", assigned, gradient, stem="s")
            draft.act("set_grad", names[index], value=Ref(assigned))
    draft.backward(draft.forward(graph, names, root))
    compare_gradients(draft, names, figures)


@recipe("accumulation.alias", "backward grad accumulates", "mul")
def alias(draft: Draft) -> None:
    """Operations that hand a gradient on unchanged; then a backward that reaches one leaf only."""
    choices = draft.choices
    growth = Growth(draft.facts, requires_grad=True, room=2)
    first = growth.leaf(choices)
    shape = growth.graph.vertices[first].shape
    second = growth.leaf(choices, [shape])
    joined = growth.combine(choices, first, second, "add", "sub")
    seeded = choices.flag() and draft.can("backward.gradient")
    root = joined if seeded else growth.scalar(choices, joined, weighted=False)
    again = growth.scalar(choices, growth.number(first, "mul", choices.pick((2.0, 1.0, -1.0))))
    graph = growth.graph
    names = draft.leaves(graph)
    if seeded:
        cotangent = draft.leaf(Leaf(shape, (-2.0, 2.0), choices.byte(), False), "v")
        before = draft.times(cotangent, 1.0, "v")
        draft.backward(draft.forward(graph, names, root), gradient=Ref(cotangent))
    else:
        draft.backward(draft.forward(graph, names, root))
    figures = scaled(draft, bound_gradients(draft, names, {second}), 1.0)
    draft.grad(names[first])
    draft.backward(draft.forward(graph, names, again))
    draft.grad(names[first])
    compare_gradients(draft, names, figures)
    if seeded:
        draft.equal(cotangent, before)


@recipe("accumulation.inputs", "backward grad backward.inputs")
def inputs(draft: Draft) -> None:
    """A backward that is asked for the gradients of some leaves writes none on the others."""
    choices = draft.choices
    growth = Growth(draft.facts)
    pair = [growth.leaf(choices), 0]
    pair[1] = growth.leaf(choices, [growth.graph.vertices[pair[0]].shape, ()])
    root = growth.combine(choices, pair[0], pair[1])
    root = growth.scalar(choices, growth.grow(choices, 0, 3, root))
    graph = growth.graph
    candidates = [i for i in graph.leaves() if i in graph.receiving(root)]
    asked = _some(candidates, choices.byte())
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    draft.backward(out, inputs=tuple(Ref(names[i]) for i in asked))
    _read(draft, graph, names, asked)


def _some(items: list[int], code: int) -> list[int]:
    """Return at least one and not all of the items."""
    chosen = [item for number, item in enumerate(items) if code >> number & 1]
    return chosen if 0 < len(chosen) < len(items) else items[:1]


def _read(draft: Draft, graph: Graph, names: Names, asked: list[int]) -> None:
    for index in graph.leaves():
        if graph.leaf(index).requires_grad:
            if index in asked:
                draft.grad(names[index])
            else:
                draft.grad(names[index], None)
