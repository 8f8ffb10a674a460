"""Programs of higher order: gradients that are themselves differentiated."""

from __future__ import annotations

from conformance.program import Ref, Step
from conformance.strategies.asking import ask, weights
from conformance.strategies.beginnings import grown
from conformance.strategies.draft import Draft, Names
from conformance.strategies.graphs import Graph, Leaf
from conformance.strategies.growth import RANGES, Growth
from conformance.strategies.recipes import recipe


class Curved:
    """A graph with a curved last operation, and its steps as far as the scalar root."""

    def __init__(self, draft: Draft) -> None:
        self.draft, choices = draft, draft.choices
        growth = Growth(draft.facts)
        self.first = growth.leaf(choices)
        last = growth.grow(choices, 0, 3)
        vertex = growth.graph.vertices[last]
        last = growth.combine(choices, last, last, "mul")
        if choices.flag():
            partner = growth.leaf(choices, [vertex.shape])
            last = growth.combine(choices, last, partner, "mul")
        self.graph: Graph = growth.graph
        self.root = growth.scalar(choices, last)
        self.reached = self.graph.receiving(self.root)
        self.names: Names = draft.leaves(self.graph)
        self.out = draft.forward(self.graph, self.names, self.root)
        self.asked = [i for i in self.graph.leaves() if i in self.reached]

    def gradients(self, create_graph: bool = True) -> list[str]:
        """Write the question for the gradients of all reached leaves."""
        inputs = [self.names[i] for i in self.asked]
        if create_graph:
            return ask(self.draft, [self.out], inputs, create_graph=True)
        return ask(self.draft, [self.out], inputs)

    def dotted(self, index: int, gradient: str, stem: str = "v") -> str:
        """Write the inner product of a leaf's gradient with a constant."""
        shape = self.graph.leaf(index).shape
        product = self.draft.apply("mul", gradient, weights(self.draft, shape, stem), stem="z")
        return self.draft.apply("sum", product, stem="z") if shape else product


NEEDS = "grad_of grad_of.create_graph"


@recipe("higher.second", f"{NEEDS} backward grad", "mul sum")
def second(draft: Draft) -> None:
    """Backward from a product of the gradient with a constant: a Hessian-vector product."""
    graph = Curved(draft)
    made = graph.gradients()
    for name in made:
        draft.observe("value", name)
    draft.backward(graph.dotted(graph.asked[0], made[0]))
    for index in graph.asked:
        draft.grad(graph.names[index])


@recipe("higher.constant", f"{NEEDS} requires_grad", "mul sum")
def constant(draft: Draft) -> None:
    """Gradients require gradients exactly when a graph of them was asked for."""
    graph = Curved(draft)
    made = graph.gradients(create_graph=False)
    draft.observe("requires_grad", made[0], False)
    total = graph.dotted(graph.asked[0], made[0])
    ask(draft, [total], [graph.names[graph.asked[0]]], True)


@recipe("higher.symmetric", f"{NEEDS} grad_of.retain_graph", "mul sum")
def symmetric(draft: Draft) -> None:
    """<u, H v> = <v, H u>."""
    graph = Curved(draft)
    index = graph.asked[0]
    gradient = graph.gradients()[0]
    shape = graph.graph.leaf(index).shape
    u, v = weights(draft, shape, "u"), weights(draft, shape, "v")
    sides = []
    for one, other in ((u, v), (v, u)):
        inner = _inner(draft, gradient, one, bool(shape))
        (product,) = ask(draft, [inner], [graph.names[index]], retain_graph=True)
        sides.append(_inner(draft, product, other, bool(shape)))
    draft.equal(sides[0], sides[1])


def _inner(draft: Draft, a: str, b: str, axes: bool) -> str:
    product = draft.apply("mul", a, b, stem="z")
    return draft.apply("sum", product, stem="z") if axes else product


@recipe("higher.penalty", f"{NEEDS} backward grad", "mul sum add")
def penalty(draft: Draft) -> None:
    """Backward from a loss that contains the square of its own gradient."""
    graph = Curved(draft)
    index = graph.asked[0]
    gradient = graph.gradients()[0]
    squared = _inner(draft, gradient, gradient, bool(graph.graph.leaf(index).shape))
    part = draft.choices.pick((1.0, 0.5, 0.25))
    draft.backward(draft.apply("add", graph.out, draft.times(squared, part), stem="total"))
    for each in graph.asked:
        draft.grad(graph.names[each])


@recipe("higher.retained", f"{NEEDS} backward grad", "mul")
def retained(draft: Draft) -> None:
    """The graph of a function survives the question for a graph of its gradient."""
    graph = Curved(draft)
    made = graph.gradients()
    draft.backward(graph.out)
    for index, name in zip(graph.asked, made, strict=True):
        gradient = draft.bind_grad(graph.names[index])
        draft.equal(gradient, name)


@recipe("higher.detached", f"{NEEDS} backward grad detach", "mul sum add")
def detached(draft: Draft) -> None:
    """A detached gradient is a constant; the loss beside it is not."""
    graph = Curved(draft)
    index = graph.asked[0]
    cut = draft.unary("detach", graph.gradients()[0])
    inner = _inner(draft, cut, graph.names[index], bool(graph.graph.leaf(index).shape))
    draft.backward(draft.apply("add", graph.out, inner, stem="total"))
    for each in graph.asked:
        draft.grad(graph.names[each])


@recipe("higher.third", f"{NEEDS} backward grad", "mul sum")
def third(draft: Draft) -> None:
    """The gradient of a Hessian-vector product: one order more."""
    graph = Curved(draft)
    index = graph.asked[0]
    leaf = graph.names[index]
    cubed = draft.apply("mul", graph.dotted(index, leaf, "a"), graph.out, stem="cube")
    (gradient,) = ask(draft, [cubed], [leaf], create_graph=True)
    (product,) = ask(draft, [graph.dotted(index, gradient, "u")], [leaf], create_graph=True)
    draft.observe("value", product)
    draft.backward(graph.dotted(index, product))
    draft.grad(leaf)


@recipe("higher.cotangent", f"{NEEDS} grad_of.grad_outputs", "mul")
def by_the_cotangent(draft: Draft) -> None:
    """The gradient of a gradient by the cotangent that it was seeded with."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.visible[-1]
    index = next(i for i in graph.leaves() if i in graph.receiving(root))
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    seed = draft.leaf(Leaf(graph.vertices[root].shape, RANGES[0], draft.choices.byte(), True), "u")
    (made,) = ask(draft, [out], [names[index]], grad_outputs=Ref(seed), create_graph=True)
    direction = weights(draft, graph.leaf(index).shape)
    (along,) = ask(draft, [made], [seed], grad_outputs=Ref(direction))
    draft.observe("value", along)


@recipe("higher.stored", "grad_of backward grad backward.create_graph", "mul sum")
def stored(draft: Draft) -> None:
    """A stored gradient that is itself differentiated."""
    graph = Curved(draft)
    draft.write(Step("backward", (), (graph.out,), params=(("create_graph", True),)))
    index = graph.asked[0]
    gradient = draft.bind_grad(graph.names[index])
    inputs = [graph.names[i] for i in graph.asked[:1]]
    for name in ask(draft, [graph.dotted(index, gradient)], inputs):
        draft.observe("value", name)
