"""Programs that ask for gradients as a result: of several roots, and where there is no path."""

from __future__ import annotations

from conformance.program import Literal, Param, Ref, Step
from conformance.strategies.beginnings import grown, heads
from conformance.strategies.cotangents import other_shapes
from conformance.strategies.draft import Draft
from conformance.strategies.gradients import (
    bound_gradients,
    compare_gradients,
    read_gradients,
    scaled,
    tracked_names,
)
from conformance.strategies.graphs import Leaf
from conformance.strategies.growth import RANGES, Growth
from conformance.strategies.recipes import recipe
from conformance.strategies.shapes import ARRAYS, SHAPES, Shape


def ask(
    draft: Draft, outputs: list[str], inputs: list[str], refused: bool = False, **params: Param
) -> list[str]:
    """Write the question for gradients of the outputs by the inputs; return the answers' names."""
    made = [draft.fresh("r") for _ in inputs]
    listed: tuple[tuple[str, Param], ...] = (
        ("outputs", tuple(Ref(name) for name in outputs)),
        ("inputs", tuple(Ref(name) for name in inputs)),
    )
    draft.write(Step("grad_of", tuple(made), params=(*listed, *params.items()), refused=refused))
    return made


def weights(draft: Draft, shape: Shape, stem: str = "v") -> str:
    """Write an untracked leaf of the shape."""
    part = draft.choices.part(2)
    return draft.leaf(Leaf(shape, RANGES[part.byte() % 3], part.byte(), False), stem)


@recipe("roots.asked", "grad_of grad_of.grad_outputs backward grad backward.gradient", "add")
def several(draft: Draft) -> None:
    """The gradient of several outputs is the sum of what backward from each of them leaves."""
    choices = draft.choices
    growth = Growth(draft.facts)
    trunk = growth.leaf(choices, ARRAYS)
    visible, roots = list(growth.visible), []
    for _ in range(choices.between(2, 3)):
        growth.visible = list(visible)
        roots.append(growth.grow(choices, 1, 2, trunk))
    graph = growth.graph
    names = draft.leaves(graph)
    twins = draft.twins(graph, names)
    seeds = tuple(Ref(weights(draft, graph.vertices[root].shape)) for root in roots)
    results = dict(names)
    draft.nodes(graph, graph.reached(*roots), results)
    outputs = [results[root] for root in roots]
    (made,) = ask(draft, outputs, [names[trunk]], grad_outputs=seeds)
    parts = []
    for root, seed in zip(roots, seeds, strict=True):
        twin = draft.leaf(graph.leaf(trunk), "t")
        draft.backward(draft.forward(graph, {**twins, trunk: twin}, root), gradient=seed)
        parts.append(draft.bind_grad(twin))
    whole = parts[0]
    for part in parts[1:]:
        whole = draft.apply("add", whole, part, stem="total")
    draft.equal(made, whole)
    draft.grad(names[trunk], None)


@recipe("roots.twice", "backward_many backward grad", "mul")
def twice(draft: Draft) -> None:
    """A root that is given several times counts as often."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    count = draft.choices.between(2, 3)
    names = draft.leaves(graph)
    twins = draft.twins(graph, names)
    draft.backward(draft.forward(graph, twins, root))
    figures = scaled(draft, bound_gradients(draft, twins, graph.receiving(root)), float(count))
    draft.backward(*[draft.forward(graph, names, root)] * count)
    compare_gradients(draft, names, figures)


@recipe("paths.untracked", "grad_of grad_of.allow_unused")
def untracked(draft: Draft) -> None:
    """The gradient by a tensor that does not require gradients is refused, used or not."""
    growth = grown(draft, 1, 4)
    root = growth.scalar(draft.choices, growth.visible[-1])
    graph = growth.graph
    names = draft.leaves(graph)
    constant = weights(draft, draft.choices.pick(SHAPES), "c")
    out = draft.forward(graph, names, root)
    inputs = [constant]
    if draft.choices.flag():
        inputs.insert(draft.choices.below(2), names[graph.leaves()[0]])
    ask(draft, [out], inputs, True, **({"allow_unused": True} if draft.choices.flag() else {}))


@recipe("paths.detached", "grad_of grad_of.allow_unused detach", "mul")
def detached(draft: Draft) -> None:
    """What is reached through a cut only is unused; what comes after the cut is not."""
    choices = draft.choices
    growth = grown(draft, 1, 3)
    before = growth.graph.leaves()
    cut = growth.detach(growth.visible[-1])
    shape = growth.graph.vertices[cut].shape
    growth.visible = [cut]
    after = growth.leaf(choices, [shape])
    end = growth.combine(choices, cut, after, "mul", "add", "sub")
    growth.visible = [end]
    growth.room = 0
    root = growth.scalar(choices, growth.grow(choices, 0, 2, end))
    graph = growth.graph
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    inputs = [names[i] for i in (*before, after)]
    made = ask(draft, [out], inputs, allow_unused=True)
    for name in made[:-1]:
        draft.observe("value", name, None)
    draft.observe("value", made[-1])


@recipe("paths.beside", "grad_of grad_of.allow_unused")
def beside(draft: Draft) -> None:
    """Leaves and results that the output was not computed from are unused."""
    growth = grown(draft, 1, 3)
    trunk = growth.visible[-1]
    root, aside = heads(draft, growth, 2, 2, trunk)
    graph = growth.graph
    names = draft.leaves(graph)
    results = dict(names)
    draft.nodes(graph, graph.reached(root, aside), results)
    reached = graph.receiving(root)
    inputs = [*tracked_names(graph, names), aside]
    made = ask(draft, [results[root]], [results[i] for i in inputs], allow_unused=True)
    for index, name in zip(inputs, made, strict=True):
        if index in reached:
            draft.observe("value", name)
        else:
            draft.observe("value", name, None)


@recipe("paths.itself", "grad_of grad_of.grad_outputs")
def itself(draft: Draft) -> None:
    """The gradient of a tensor by itself is the cotangent."""
    growth = grown(draft, 0, 4)
    graph, root = growth.graph, growth.visible[-1]
    shape = graph.vertices[root].shape
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    seed = weights(draft, shape)
    (made,) = ask(draft, [out], [out], grad_outputs=Ref(seed))
    draft.equal(made, seed)


@recipe("paths.repeated", "grad_of", "mul")
def repeated(draft: Draft) -> None:
    """An input that is asked for twice is answered twice, alike."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    names = draft.leaves(graph)
    inputs = [names[i] for i in graph.leaves() if i in graph.receiving(root)]
    again = draft.choices.pick(inputs)
    made = ask(draft, [draft.forward(graph, names, root)], [*inputs, again])
    draft.equal(made[-1], made[inputs.index(again)])
    draft.observe("value", made[-1])


@recipe("roots.refused", "backward_many backward grad requires_grad", "mul sum")
def refused_root(draft: Draft) -> None:
    """Of several roots one is untracked, or has several elements and no cotangent."""
    choices = draft.choices
    growth = Growth(draft.facts)
    growth.leaf(choices, ARRAYS)
    middle = growth.array(choices, growth.grow(choices, 1, 3), growth.graph.leaves()[0])
    root = growth.scalar(choices, middle)
    graph = growth.graph
    names = draft.leaves(graph)
    results = dict(names)
    draft.nodes(graph, graph.reached(root), results)
    wrong = results[middle] if choices.flag() else weights(draft, (), "c")
    roots = [results[root], wrong]
    draft.backward(*(roots if choices.flag() else roots[::-1]), refused=True)
    read_gradients(draft, graph, tracked_names(graph, names), set())


@recipe("errors.assigned", "backward grad set_grad", "mul")
def assigned(draft: Draft) -> None:
    """A gradient of another shape cannot be assigned, and leaves the stored one alone."""
    growth = grown(draft, 1, 3)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    names = draft.leaves(graph)
    draft.backward(draft.forward(graph, names, root))
    index = next(i for i in graph.leaves() if i in graph.receiving(root))
    shape = graph.leaf(index).shape
    wrong = weights(draft, draft.choices.pick(other_shapes(shape) or [(3,)]), "w")
    figures = scaled(draft, bound_gradients(draft, names, {index}), 1.0)
    draft.write(
        Step("set_grad", (), (names[index],), params=(("value", Ref(wrong)),), refused=True)
    )
    compare_gradients(draft, names, figures)


@recipe("errors.asked", "grad_of grad_of.grad_outputs")
def mismatched(draft: Draft) -> None:
    """A cotangent of another shape than its output's is refused, though it may broadcast."""
    growth = Growth(draft.facts)
    growth.leaf(draft.choices, SHAPES[1:] + SHAPES[:1])
    root = growth.grow(draft.choices, 1, 4)
    graph, names = growth.graph, draft.leaves(growth.graph)
    seed = weights(draft, draft.choices.pick(other_shapes(graph.vertices[root].shape)))
    out = draft.forward(graph, names, root)
    ask(draft, [out], [names[graph.leaves()[0]]], True, grad_outputs=Ref(seed))


@recipe("errors.implicit", "grad_of", "mul")
def implicit(draft: Draft) -> None:
    """An output of several elements has no implicit cotangent."""
    growth = Growth(draft.facts)
    leaf = growth.leaf(draft.choices, ARRAYS)
    root = growth.array(draft.choices, growth.grow(draft.choices, 1, 4), leaf)
    graph, names = growth.graph, draft.leaves(growth.graph)
    out = draft.forward(graph, names, root)
    ask(draft, [out], [names[leaf]], True)


@recipe("errors.untracked", "grad_of grad_of.allow_unused")
def rootless(draft: Draft) -> None:
    """An output that does not require gradients has none, whatever is allowed."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    names = {i: draft.leaf(graph.leaf(i), requires_grad=False) for i in graph.leaves()}
    wanted = draft.leaf(graph.leaf(graph.leaves()[0]), "p", requires_grad=True)
    out = draft.forward(graph, names, root)
    ask(draft, [out], [wanted], True, **({"allow_unused": True} if draft.choices.flag() else {}))


@recipe("errors.shapes", "backward grad", "add")
def shapes(draft: Draft) -> None:
    """An operation on shapes that do not fit is refused and spoils nothing."""
    growth = grown(draft, 1, 4)
    graph, middle = growth.graph, growth.visible[-1]
    root = growth.scalar(draft.choices, middle)
    names = draft.leaves(graph)
    results = dict(names)
    draft.nodes(graph, graph.reached(middle), results)
    misfit = draft.leaf(Leaf((5, 7), RANGES[0], draft.choices.byte(), draft.choices.flag()), "w")
    bad = [i for i in results if graph.vertices[i].shape[-1:] not in ((), (1,), (7,))]
    other = results[draft.choices.pick(bad)] if bad else weights(draft, (3,), "u")
    draft.call("add", (other, misfit), (), "z", refused=True)
    draft.nodes(graph, graph.reached(root), results)
    draft.backward(results[root])
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("errors.writes", "apply_", "mul")
def misfitting_writes(draft: Draft) -> None:
    """A write whose operand would enlarge its target is refused and changes no value."""
    choices = draft.choices
    shape = choices.pick(SHAPES)
    leaf = Leaf(shape, RANGES[choices.below(3)], choices.byte(), choices.flag())
    target = draft.times(draft.leaf(leaf), 2.0, "y")
    before = draft.times(target, 1.0, "c")
    larger: tuple[Shape, ...] = ((2, *shape), (*shape, 5, 7), (3, *shape))
    part = choices.part(2)
    other = draft.leaf(Leaf(part.pick(larger), RANGES[0], part.byte(), False), "w")
    draft.call_(choices.pick(("add", "mul", "copy")), (target, other), (), refused=True)
    draft.equal(target, before)


def truth(draft: Draft, a: str, b: str) -> None:
    """Write that two tensors have the same bits; a zero's sign and NaN apart."""
    every = draft.apply("all", draft.apply("eq", a, b, stem="alike"), stem="every")
    figure: Literal = True
    draft.observe("value", every, figure)
