"""Programs on backward from results of several elements, with a cotangent for each."""

from __future__ import annotations

import math

from conformance.program import Ref, Step
from conformance.strategies.beginnings import grown, track_one
from conformance.strategies.draft import Draft
from conformance.strategies.gradients import (
    bound_gradients,
    compare_gradients,
    read_gradients,
    scaled,
    tracked_names,
)
from conformance.strategies.graphs import Graph, Leaf
from conformance.strategies.growth import RANGES, Growth
from conformance.strategies.recipes import recipe
from conformance.strategies.shapes import ARRAYS, SHAPES, Shape, filled


def grown_array(draft: Draft, least: int, most: int) -> tuple[Graph, int]:
    """Return a graph and a result in it that has more than one element."""
    growth = Growth(draft.facts)
    leaf = growth.leaf(draft.choices, ARRAYS)
    root = growth.grow(draft.choices, least, most)
    return growth.graph, growth.array(draft.choices, root, leaf)


def cotangent(draft: Draft, shape: Shape, stem: str = "v") -> str:
    """Write a seeded leaf of the shape, untracked."""
    part = draft.choices.part(2)
    return draft.leaf(Leaf(shape, part.pick(RANGES), 7 + part.byte(), False), stem)


@recipe("cotangents.vjp", "backward grad backward.gradient", "sum")
def vjp(draft: Draft) -> None:
    """A cotangent on a result of several elements: the vector-Jacobian product."""
    graph, root = grown_array(draft, 1, 5)
    names = draft.leaves(graph)
    v = cotangent(draft, graph.vertices[root].shape)
    draft.backward(draft.forward(graph, names, root), gradient=Ref(v))
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("cotangents.ones", "backward grad backward.gradient", "sum")
def ones(draft: Draft) -> None:
    """A cotangent of ones: the gradient of the sum."""
    graph, root = grown_array(draft, 1, 5)
    names = draft.leaves(graph)
    twins = draft.twins(graph, names)
    v = draft.constant(filled(graph.vertices[root].shape, 1.0), "v")
    draft.backward(draft.forward(graph, names, root), gradient=Ref(v))
    draft.backward(draft.apply("sum", draft.forward(graph, twins, root), stem="total"))
    compare_gradients(draft, names, bound_gradients(draft, twins, graph.receiving(root)))


@recipe("cotangents.linear", "backward grad backward.gradient", "sum mul add")
def linear(draft: Draft) -> None:
    """The gradient is linear in the cotangent."""
    graph, root = grown_array(draft, 1, 3)
    shape = graph.vertices[root].shape
    a, b = (draft.choices.pick((2.0, 0.5, -1.0, 3.0, 1.5)) for _ in range(2))
    receiving = graph.receiving(root)
    names = draft.leaves(graph)
    v, w = cotangent(draft, shape), cotangent(draft, shape, "w")
    terms = [draft.times(v, a), draft.times(w, b)]
    both = draft.apply("add", *terms, stem="c")
    gradients = []
    for seed, factor in ((v, a), (w, b)):
        twins = draft.twins(graph, names)
        draft.backward(draft.forward(graph, twins, root), gradient=Ref(seed))
        gradients.append(scaled(draft, bound_gradients(draft, twins, receiving), factor))
    draft.backward(draft.forward(graph, names, root), gradient=Ref(both))
    first, second = gradients
    figures = {i: draft.apply("add", first[i], second[i], stem="s") for i in first}
    compare_gradients(draft, names, figures)


@recipe("cotangents.missing", "backward grad", "sum")
def missing(draft: Draft) -> None:
    """A result of several elements has no implicit cotangent."""
    graph, root = grown_array(draft, 1, 4)
    names = draft.leaves(graph)
    draft.backward(draft.forward(graph, names, root), refused=True)
    read_gradients(draft, graph, tracked_names(graph, names), set())


def other_shapes(shape: Shape) -> list[Shape]:
    """Return shapes that a cotangent for a result of `shape` must not have."""
    found: list[Shape] = [shape[1:], (*shape, 1), (1, *shape), shape[::-1], (math.prod(shape),)]
    for axis, size in enumerate(shape):
        for wrong in (size + 1, size - 1, 1):
            found.append((*shape[:axis], wrong, *shape[axis + 1 :]))
    return [other for other in dict.fromkeys(found) if other != shape and 0 not in other]


@recipe("cotangents.mismatch", "backward grad backward.gradient", "sum")
def mismatch(draft: Draft) -> None:
    """A cotangent of another shape than the result's is refused, though it may broadcast."""
    growth = Growth(draft.facts)
    growth.leaf(draft.choices, SHAPES[1:] + SHAPES[:1])
    root = growth.grow(draft.choices, 1, 4)
    graph, names = growth.graph, draft.leaves(growth.graph)
    shapes = other_shapes(graph.vertices[root].shape)
    v = cotangent(draft, draft.choices.pick(shapes))
    draft.backward(draft.forward(graph, names, root), gradient=Ref(v), refused=True)
    read_gradients(draft, graph, tracked_names(graph, names), set())


@recipe("cotangents.many", "backward_many backward grad backward.gradient accumulates", "sum")
def many(draft: Draft) -> None:
    """Several results in one backward: the sum of the gradients of one backward each."""
    choices = draft.choices
    growth = Growth(draft.facts)
    trunk = growth.leaf(choices, ARRAYS)
    if choices.flag():
        trunk = growth.grow(choices, 1, 1, trunk)
    visible, roots = list(growth.visible), []
    for _ in range(choices.between(2, 3)):
        growth.visible = list(visible)
        root = growth.grow(choices, 1, 2, trunk)
        roots.append(growth.scalar(choices, root) if choices.flag() else root)
    graph = growth.graph
    names = draft.leaves(graph)
    twins = draft.twins(graph, names)
    shapes = [graph.vertices[root].shape for root in roots]
    seeds = [Ref(cotangent(draft, shape)) if shape else None for shape in shapes]
    results = dict(names)
    draft.nodes(graph, graph.reached(*roots), results)
    gradients = tuple(seeds) if any(seed is not None for seed in seeds) else None
    draft.backward(*(results[root] for root in roots), gradient=gradients)
    for root, seed in zip(roots, seeds, strict=True):
        draft.backward(draft.forward(graph, twins, root), gradient=seed)
    compare_gradients(draft, names, bound_gradients(draft, twins, graph.receiving(*roots)))


@recipe("cotangents.grad_of", "grad_of backward grad")
def grad_of(draft: Draft) -> None:
    """The function that returns gradients returns what backward leaves, and leaves nothing."""
    choices = draft.choices
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.visible[-1]
    if not draft.can("grad_of.grad_outputs", "backward.gradient") or choices.byte() % 2 == 0:
        root = growth.scalar(choices, root)
    shape = graph.vertices[root].shape
    receiving = graph.receiving(root)
    asked = [i for i in graph.leaves() if i in receiving]
    inner = [i for i in graph.nodes() if i in receiving and i != root]
    if inner and choices.flag():
        asked.append(choices.pick(inner))
    names = draft.leaves(graph)
    twins = draft.twins(graph, names)
    seed = Ref(cotangent(draft, shape)) if shape else None
    results = dict(names)
    draft.nodes(graph, graph.reached(root), results)
    made = _grad_of(draft, results[root], [results[i] for i in asked], seed)
    draft.backward(draft.forward(graph, twins, root), gradient=seed)
    leaves = set(graph.leaves()).intersection(asked)
    figures = bound_gradients(draft, twins, leaves)
    for index, name in zip(asked, made, strict=True):
        if index in figures:
            draft.equal(name, figures[index])
            draft.grad(names[index], None)
        else:
            draft.observe("value", name)


def _grad_of(draft: Draft, output: str, inputs: list[str], seed: Ref | None) -> list[str]:
    made = [draft.fresh("r") for _ in inputs]
    params = (("outputs", (Ref(output),)), ("inputs", tuple(Ref(name) for name in inputs)))
    cotangents = () if seed is None else (("grad_outputs", seed),)
    draft.write(Step("grad_of", tuple(made), params=(*params, *cotangents)))
    return made


@recipe("cotangents.untracked", "backward requires_grad")
def untracked(draft: Draft) -> None:
    """Backward from a result that nothing tracked is refused."""
    choices = draft.choices
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(choices, growth.visible[-1])
    how = choices.below(3)
    views = any(graph.node(i).op.view for i in graph.nodes())
    if how == 1 and draft.can("no_grad") and not views:  # PyTorch's views are tracked even there
        names = draft.leaves(graph)
        with draft.block("no_grad"):
            out = draft.forward(graph, names, root)
    elif how == 2 and draft.can("detach"):
        names = draft.leaves(graph)
        out = draft.unary("detach", draft.forward(graph, names, root))
    else:
        names = {i: draft.leaf(graph.leaf(i), requires_grad=False) for i in graph.leaves()}
        out = draft.forward(graph, names, root)
    draft.observe("requires_grad", out, False)
    draft.backward(out, refused=True)


@recipe("cotangents.inner", "backward grad")
def inner(draft: Draft) -> None:
    """Backward from an intermediate result ignores what was built on it afterwards."""
    choices = draft.choices
    growth = grown(draft, 1, 3)
    graph, middle = growth.graph, growth.visible[-1]
    root = growth.scalar(choices, middle)
    growth.room = len(graph.leaves()) + 2
    shape = graph.vertices[middle].shape
    later = growth.leaf(choices, [shape, ()])
    end = growth.grow(choices, 0, 2, growth.combine(choices, middle, later))
    track_one(graph, root)
    names = draft.leaves(graph)
    results = dict(names)
    draft.nodes(graph, graph.reached(root, end), results)
    draft.backward(results[root])
    read_gradients(draft, graph, tracked_names(graph, names), graph.receiving(root))
