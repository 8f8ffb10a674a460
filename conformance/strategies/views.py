"""Programs on views: views of views, overlapping ones, and writes to leaves through them."""

from __future__ import annotations

from conformance.program import Step
from conformance.strategies.draft import Draft
from conformance.strategies.gradients import read_gradients, total
from conformance.strategies.graphs import Leaf
from conformance.strategies.growth import RANGES, Growth
from conformance.strategies.recipes import recipe
from conformance.strategies.shapes import ARRAYS, Shape
from conformance.strategies.writes import write_in_place, write_view


def weighted(draft: Draft, name: str, shape: Shape) -> str:
    """Write a 0-d tensor that depends on every element of a tensor in a way of its own."""
    factors = draft.leaf(Leaf(shape, RANGES[3], 91 + draft.choices.byte(), False), "w")
    product = draft.apply("mul", name, factors, stem="z")
    return draft.apply("sum", product, stem="z") if shape else product


@recipe("views.chains", "backward grad apply_", "mul add narrow select")
def chains(draft: Draft) -> None:
    """A view of a view; a write into one of the three; then all of them are used."""
    choices = draft.choices
    growth = Growth(draft.facts)
    growth.leaf(choices, [shape for shape in ARRAYS if len(shape) >= 2])
    copy = growth.number(growth.visible[-1], "mul", choices.pick((1.0, 2.0, -1.0)))
    graph = growth.graph
    names = draft.leaves(graph)
    shape = graph.vertices[copy].shape
    whole = draft.forward(graph, names, copy)
    axis = choices.below(len(shape))
    index = choices.below(shape[axis])
    slice_shape = (*shape[:axis], *shape[axis + 1 :])
    outer = draft.apply("select", whole, stem="outer", dim=axis, index=index)
    last = slice_shape[-1]
    length = choices.between(1, last)
    start = choices.below(last - length + 1)
    inner_shape = (*slice_shape[:-1], length)
    inner = draft.apply("narrow", outer, stem="inner", dim=-1, start=start, length=length)
    aliases = [(whole, shape), (outer, slice_shape), (inner, inner_shape)]
    target, its_shape = choices.pick(aliases[::-1])
    write_in_place(draft, target, its_shape, names=("mul", "add", "zero", "neg", "copy"))
    for name, _ in aliases:
        draft.observe("value", name)
    used = aliases if choices.flag() else [choices.pick(aliases)]
    draft.backward(total(draft, [weighted(draft, name, each) for name, each in used]))
    read_gradients(draft, graph, names, graph.receiving(copy))


@recipe("views.overlap", "backward grad", "mul narrow sum")
def overlap(draft: Draft) -> None:
    """Windows of one tensor that overlap, multiplied; or one that shows an element repeatedly."""
    choices = draft.choices
    shape = choices.pick(ARRAYS)
    dim = max(range(len(shape)), key=lambda axis: shape[axis])
    size = shape[dim]
    leaf = draft.leaf(Leaf(shape, RANGES[choices.below(3)], choices.seed(), True))
    length = choices.between(size // 2 + 1, size)
    shapes = (*shape[:dim], length, *shape[dim + 1 :])
    starts = (choices.below(size - length + 1), size - length)
    windows = [
        draft.apply("narrow", leaf, stem="window", dim=dim, start=start, length=length)
        for start in starts
    ]
    product = draft.apply("mul", *windows)
    draft.backward(weighted(draft, product, shapes))
    draft.grad(leaf)


@recipe("views.leaf_update", "backward grad no_grad apply_", "mul add")
def leaf_update(draft: Draft) -> None:
    """A leaf that is written through a view under no_grad stays a leaf and learns on."""
    choices = draft.choices
    growth = Growth(draft.facts)
    leaf = growth.leaf(choices, ARRAYS)
    root = growth.scalar(choices, growth.grow(choices, 1, 3))
    graph = growth.graph
    names = draft.leaves(graph)
    shape = graph.leaf(leaf).shape
    with draft.block("no_grad"):
        seen, its_shape = write_view(draft, names[leaf], shape)
        write_in_place(draft, seen, its_shape, names=("neg", "copy"))
    draft.observe("value", names[leaf])
    draft.flags(names[leaf], True, True)
    draft.backward(draft.forward(graph, names, root))
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("views.several", "backward grad", "mul add split")
def several(draft: Draft) -> None:
    """Views that one operation returned, of which some are used."""
    choices = draft.choices
    shape = choices.pick(ARRAYS)
    dim = choices.below(len(shape))
    leaf = draft.leaf(Leaf(shape, RANGES[choices.below(3)], choices.seed(), True))
    size = choices.between(1, shape[dim])
    count = -(-shape[dim] // size)
    made = tuple(draft.fresh("part") for _ in range(count))
    params = (("split_size_or_sections", size), ("dim", dim))
    draft.write(Step("apply", made, (leaf,), "split", params))
    lengths = [min(size, shape[dim] - size * number) for number in range(count)]
    kept = [i for i in range(count) if choices.flag()] or [choices.below(count)]
    terms = [weighted(draft, made[i], (*shape[:dim], lengths[i], *shape[dim + 1 :])) for i in kept]
    draft.backward(total(draft, terms))
    draft.grad(leaf)
