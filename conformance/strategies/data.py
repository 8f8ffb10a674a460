"""Programs on in-place writes: those that must be caught, those that are harmless, and `.data`."""

from __future__ import annotations

from conformance.catalogue import Operation
from conformance.strategies.draft import Draft, Names
from conformance.strategies.gradients import read_gradients, total
from conformance.strategies.graphs import Graph, Leaf, Node
from conformance.strategies.growth import RANGES, Admit, Growth, anywhere, writable
from conformance.strategies.recipes import recipe
from conformance.strategies.saved import saved_by
from conformance.strategies.shapes import Shape, broadcast
from conformance.strategies.writes import write_in_place, write_view

HARMLESS = ("add", "mul", "neg", "sub")
"""In-place operations whose own derivatives need no old value."""


def harmless(op: Operation) -> bool:
    """Admit operations whose derivatives need no tensor's old value: `mul` by numbers only."""
    return anywhere(op) and (not op.saves or op.name == "mul")


def settled(op: Operation) -> bool:
    """Admit operations of which engines agree what their derivative is computed from.

    PyTorch's logsumexp saves its operand and its result; the operand alone is enough.
    """
    return writable(op) and not {"input", "output"} <= op.saves


def base(draft: Draft, growth: Growth) -> int:
    """Add a tracked leaf and a copy of it, which is no leaf and may be written in place."""
    choices = draft.choices
    leaf = growth.leaf(choices)
    copy = growth.number(leaf, "mul", choices.pick((1.0, 2.0, -1.0)))
    growth.visible = [copy]
    return copy


@recipe("data.inplace", "backward grad apply_", "mul")
def in_place(draft: Draft) -> None:
    """In-place operations on results and on untracked tensors, legal ones and hazards alike."""
    choices = draft.choices
    growth = Growth(draft.facts, admit=anywhere, requires_grad=None)
    start = base(draft, growth)
    growth.graph.set_requires_grad(growth.graph.leaves()[0], True)
    root = growth.scalar(choices, growth.grow(choices, 1, 4, start))
    graph = growth.graph
    names = draft.leaves(graph)
    results = dict(names)
    nodes = sorted(graph.reached(root) - set(names))
    after = {choices.below(len(nodes)) for _ in range(choices.between(1, 3))}
    for number, index in enumerate(nodes):
        draft.node(graph, index, results)
        if number in after:
            _write_any(draft, graph, results)
    draft.backward(results[root])
    for name in names.values():
        draft.grad(name)


def _write_any(draft: Draft, graph: Graph, results: Names) -> None:
    """Write in place into a result or an untracked leaf, the latest being the likeliest."""
    part = draft.choices.part(3)
    targets = [
        i
        for i in sorted(results, reverse=True)
        if isinstance(graph.vertices[i], Node) or not graph.leaf(i).requires_grad
    ]
    target = part.pick(targets)
    shape = graph.vertices[target].shape
    operands = [
        i
        for i in results
        if broadcast(graph.vertices[i].shape, shape) == shape
        and i in graph.tracked()
        # PyTorch refuses to read and write the same memory through different views
        and (i == target or _memory(graph, i) != _memory(graph, target))
    ]
    drawn = part.byte()
    if operands and drawn % 4 == 3:
        op = ("add", "mul", "sub")[drawn // 4 % 3]
        draft.apply_(op, results[target], results[part.pick(operands)])
    else:
        write_in_place(draft, results[target], shape)


def _memory(graph: Graph, index: int) -> int:
    """Return the vertex whose memory a vertex shares: itself where it is no view."""
    vertex = graph.vertices[index]
    while isinstance(vertex, Node) and vertex.op.view:
        index = vertex.inputs[0]
        vertex = graph.vertices[index]
    return index


class _Saved:
    """A program up to the point at which an operation has saved a value that is not a leaf."""

    def __init__(self, draft: Draft, admit: Admit = writable) -> None:
        choices = draft.choices
        growth = Growth(draft.facts, admit=admit)
        copy = base(draft, growth)
        value = growth.grow(choices, 0, 1, copy)
        saved, user = saved_by(choices, growth, value)
        self.graph = growth.graph
        self.root = growth.scalar(choices, user, weighted=False)
        self.names = draft.leaves(self.graph)
        self.results = dict(self.names)
        draft.nodes(self.graph, self.graph.reached(user), self.results)
        self.saved = self.results[saved]
        self.shape = self.graph.vertices[saved].shape
        above = (self.graph.vertices[i] for i in self.graph.reached(saved))
        self.contiguous = not any(isinstance(v, Node) and v.op.view for v in above)

    def finish(self, draft: Draft) -> str:
        """Write what is left of the graph and return the root's name."""
        return draft.forward(self.graph, self.results, self.root)


def _overwrite(draft: Draft, saved: _Saved, *, through: tuple[str, ...]) -> None:
    """Write in place into the saved value, or into an alias of it."""
    part = draft.choices.part(1)
    how = part.pick(through)
    target, shape = saved.saved, saved.shape
    if how == "view":
        target, shape = write_view(draft, target, shape, contiguous=saved.contiguous)
    elif how != "itself":
        target = draft.unary(how, target)
    write_in_place(draft, target, shape)


@recipe("data.hazard", "backward grad apply_", "mul")
def hazard(draft: Draft) -> None:
    """A value that a derivative needs is overwritten: backward owes an error."""
    saved = _Saved(draft)
    through = ("itself", "view", "detach") if draft.can("detach") else ("itself", "view")
    _overwrite(draft, saved, through=through)
    draft.backward(saved.finish(draft), refused=True)
    for name in saved.names.values():
        draft.grad(name, None)


@recipe("data.silent", "backward grad data apply_", "mul")
def silent(draft: Draft) -> None:
    """The same through `.data`, which PyTorch documents not to check."""
    saved = _Saved(draft, settled)
    _overwrite(draft, saved, through=("data",))
    draft.backward(saved.finish(draft))
    read_gradients(draft, saved.graph, saved.names, saved.graph.receiving(saved.root))


@recipe("data.harmless", "backward grad apply_", "mul")
def without_harm(draft: Draft) -> None:
    """In-place operations on results whose old values no derivative needs."""
    choices = draft.choices
    growth = Growth(draft.facts, admit=harmless, room=1)
    start = base(draft, growth)
    last = growth.grow(choices, 1, 4, start)
    graph = growth.graph
    bare = [i for i in graph.nodes() if i <= last]
    root = growth.scalar(choices, last)
    names = draft.leaves(graph)
    results = dict(names)
    after = {choices.pick(bare) for _ in range(choices.between(1, 2))}
    for index in sorted(graph.reached(root) - set(names)):
        draft.node(graph, index, results)
        if index in after:
            write_in_place(draft, results[index], graph.vertices[index].shape, names=HARMLESS)
    draft.backward(results[root])
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("data.views", "backward grad apply_", "mul add view")
def views(draft: Draft) -> None:
    """In-place operations on views of a result, or on their base; then all of them are used."""
    choices = draft.choices
    growth = Growth(draft.facts)
    copy = base(draft, growth)
    graph = growth.graph
    names = draft.leaves(graph)
    shape = graph.vertices[copy].shape
    aliases = [(draft.forward(graph, names, copy), shape)]
    for _ in range(choices.between(1, 2)):
        aliases.append(write_view(draft, aliases[0][0], shape))
    for _ in range(choices.between(1, 2)):
        target, its_shape = choices.pick(aliases[1:] + aliases[:1])
        write_in_place(draft, target, its_shape, names=("mul", "add", "zero", "neg", "copy"))
    terms = [_weighted(draft, name, its_shape) for name, its_shape in aliases]
    for name, _ in aliases:
        draft.observe("value", name)
    draft.backward(total(draft, terms))
    read_gradients(draft, graph, names, graph.receiving(copy))


def _weighted(draft: Draft, name: str, shape: Shape) -> str:
    """Write a 0-d tensor that depends on every element of a tensor in a way of its own."""
    weights = draft.leaf(Leaf(shape, RANGES[3], 77 + draft.choices.byte(), False), "w")
    product = draft.apply("mul", name, weights, stem="z")
    return draft.apply("sum", product, stem="z") if shape else product


@recipe("data.leaf_write", "apply_", "mul")
def leaf_write(draft: Draft) -> None:
    """A leaf that requires grad is not written in place, nor through a view, outside no_grad."""
    choices = draft.choices
    growth = Growth(draft.facts)
    leaf = growth.graph.leaf(growth.leaf(choices))
    name = draft.leaf(leaf)
    before = draft.times(name, 1.0, "c")
    if choices.flag():
        alias, shape = write_view(draft, name, leaf.shape)
        write_in_place(draft, alias, shape, refused=True)
    else:
        write_in_place(draft, name, leaf.shape, refused=True)
    draft.equal(name, before)


@recipe("data.versions", "version apply_", "mul")
def versions(draft: Draft) -> None:
    """Every in-place write counts once, in the version of every alias of the memory."""
    choices = draft.choices
    growth = Growth(draft.facts)
    leaf = growth.graph.leaf(growth.leaf(choices, requires_grad=False))
    name = draft.leaf(leaf)
    if choices.flag():
        name = draft.times(name, 2.0, "y")
    aliases = [(name, leaf.shape)]
    for _ in range(choices.between(0, 2)):
        if choices.flag() and draft.can("detach"):
            aliases.append((draft.unary("detach", name), leaf.shape))
        else:
            aliases.append(write_view(draft, name, leaf.shape))
    for count in range(choices.between(1, 3) + 1):
        if count:
            write_in_place(draft, *choices.pick(aliases))
        for alias, _ in aliases:
            draft.observe("version", alias, count)
