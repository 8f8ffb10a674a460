"""Programs on grad modes: what is tracked inside their blocks, and what holds after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from conformance.program import Param, Step
from conformance.strategies.beginnings import grown
from conformance.strategies.choices import Choices
from conformance.strategies.draft import Draft, Names
from conformance.strategies.gradients import read_gradients
from conformance.strategies.growth import Growth, anywhere
from conformance.strategies.recipes import recipe
from conformance.strategies.saved import saved_by
from conformance.strategies.writes import write_in_place

DEPTH = 4


class Modes:
    """The modes of a program while it is written: the generator's own model of them.

    enabled: whether operations are recorded. inference: whether an inference mode is on, in which
    nothing is recorded whatever the grad mode says.
    """

    def __init__(self, draft: Draft, *, decorator: bool = False) -> None:
        self.draft = draft
        self.enabled = True
        self.inference = False
        self.decorator = decorator
        offered: list[tuple[str, bool | None]] = [
            ("no_grad", None),
            ("enable_grad", None),
            ("set_grad_enabled", False),
            ("set_grad_enabled", True),
        ]
        self.offered = [(verb, flag) for verb, flag in offered if draft.can(verb)]

    @property
    def recording(self) -> bool:
        """Whether an operation on a tracked tensor makes a tracked one."""
        return self.enabled and not self.inference

    @contextmanager
    def block(self, verb: str, flag: bool | None, *, raising: bool = False) -> Iterator[None]:
        """Write a block; what is written inside the `with` is its body."""
        params: dict[str, Param] = {} if flag is None else {"enabled": flag}
        if self.decorator and self.draft.choices.byte() % 4 != 3:
            params["decorator"] = True
        before = self.enabled, self.inference
        with self.draft.block(verb, **params):
            if verb == "inference_mode":
                self.inference = True
            else:
                self.enabled = verb == "enable_grad" if flag is None else flag
            yield
            if raising:
                self.draft.write(Step("raise"))
        self.enabled, self.inference = before

    def probe(self, leaf: str) -> None:
        """Write an operation on a tracked leaf, and the flags that it must have here."""
        draft = self.draft
        name = draft.times(leaf, draft.choices.pick((2.0, 3.0, -1.0)), "y")
        draft.flags(name, self.recording)
        if not self.inference:
            draft.observe("is_grad_enabled", None, self.enabled)


def _tracked_leaf(draft: Draft) -> str:
    growth = Growth(draft.facts)
    return draft.leaf(growth.graph.leaf(growth.leaf(draft.choices)))


def _nest(draft: Draft, modes: Modes, leaf: str, depth: int, *, raising: bool = False) -> None:
    """Write a block with a probe, perhaps further blocks inside, and a probe after each."""
    choices = draft.choices
    part = choices.part(3)
    verb, flag = part.pick(modes.offered)
    inner, ends = part.byte(), part.byte()
    with modes.block(verb, flag, raising=raising and ends % 2 == 0):
        modes.probe(leaf)
        for _ in range(inner % 3 if depth < DEPTH else 0):
            _nest(draft, modes, leaf, depth + 1, raising=raising)
    modes.probe(leaf)


@recipe("modes.nesting", "requires_grad no_grad", "mul")
def nesting(draft: Draft) -> None:
    """Blocks in blocks: an operation records as the innermost mode says, and as before after it."""
    leaf = _tracked_leaf(draft)
    modes = Modes(draft)
    for _ in range(draft.choices.between(1, 2)):
        _nest(draft, modes, leaf, 1)


@recipe("modes.decorator", "requires_grad no_grad", "mul")
def decorator(draft: Draft) -> None:
    """The same, where some modes decorate a function instead of opening a block."""
    leaf = _tracked_leaf(draft)
    modes = Modes(draft, decorator=True)
    with modes.block("no_grad", None):
        modes.probe(leaf)
    modes.probe(leaf)
    _nest(draft, modes, leaf, 2)


@recipe("modes.exceptions", "requires_grad no_grad", "mul")
def exceptions(draft: Draft) -> None:
    """Blocks that an exception leaves: the mode before them is restored."""
    leaf = _tracked_leaf(draft)
    modes = Modes(draft)
    with modes.block("no_grad", None, raising=True):
        modes.probe(leaf)
        if draft.choices.flag():
            _nest(draft, modes, leaf, 2, raising=True)
    modes.probe(leaf)
    for _ in range(draft.choices.between(0, 1)):
        _nest(draft, modes, leaf, 1, raising=True)


@recipe("modes.gradients", "backward grad no_grad")
def gradients(draft: Draft) -> None:
    """A graph of which parts are recorded and parts are not; the gradients of its leaves."""
    choices = draft.choices
    growth = grown(draft, 2, 5)
    graph, latest = growth.graph, growth.visible[-1]
    modes = Modes(draft)
    cut: set[int] = set()
    blocks: list[tuple[tuple[str, bool | None] | None, list[int]]] = []
    for index in graph.nodes():
        part = choices.part(2)
        drawn = part.byte() % 4 if blocks else 0
        if drawn == 3 and len(blocks[-1][1]) < 3:
            blocks[-1][1].append(index)
        else:
            mode = None if drawn == 1 else part.pick(modes.offered)
            blocks.append((mode, [index]))
        if not _records(blocks[-1][0]):
            cut.add(index)
    names = draft.leaves(graph)
    growth.room += 1
    shape = graph.vertices[latest].shape
    late = growth.leaf(choices, [shape, ()])
    root = growth.scalar(choices, growth.combine(choices, latest, late))
    names |= draft.leaves(graph, "w", set(graph.leaves()) - set(names))
    results = dict(names)
    for mode, indices in blocks:
        if mode is None:
            draft.nodes(graph, indices, results)
        else:
            with modes.block(*mode):
                draft.nodes(graph, indices, results)
    draft.nodes(graph, graph.reached(root), results)
    draft.backward(results[root])
    read_gradients(draft, graph, names, graph.receiving(root, cut=cut))


def _records(mode: tuple[str, bool | None] | None) -> bool:
    return mode is None or mode[0] == "enable_grad" or mode[1] is True


@recipe("modes.update", "backward grad no_grad apply_", "sub")
def update(draft: Draft) -> None:
    """Steps of gradient descent in place, under no_grad: a leaf stays a leaf that is tracked."""
    choices = draft.choices
    growth = grown(draft, 1, 3, admit=anywhere)
    graph, root = growth.graph, growth.scalar(choices, growth.visible[-1])
    rate = choices.pick((0.5, 0.25, 0.125))
    steps = choices.between(1, 3) if draft.can("set_grad") else 1
    names = draft.leaves(graph)
    asked = [i for i in graph.leaves() if i in graph.receiving(root)]
    for _ in range(steps):
        draft.backward(draft.forward(graph, names, root))
        gradients = {i: draft.bind_grad(names[i]) for i in asked}
        with draft.block("no_grad"):
            for index, gradient in gradients.items():
                draft.apply_("sub", names[index], gradient, alpha=rate)
        for index in asked:
            draft.observe("value", names[index])
            draft.flags(names[index], True, is_leaf=True)
            if draft.can("set_grad"):
                draft.act("set_grad", names[index], value=None)


@recipe("modes.inference", "inference_mode requires_grad", "mul")
def inference(draft: Draft) -> None:
    """In inference mode nothing is recorded, whatever the grad mode says; afterwards as before."""
    choices = draft.choices
    leaf = _tracked_leaf(draft)
    modes = Modes(draft)
    with modes.block("inference_mode", None):
        modes.probe(leaf)
        for _ in range(choices.between(0, 2) if modes.offered else 0):
            verb, flag = choices.pick(modes.offered)
            with modes.block(verb, flag):
                modes.probe(leaf)
            modes.probe(leaf)
    modes.probe(leaf)


_MAKERS = ("mul", "add", "sin", "exp")


@recipe("modes.inference_saved", "inference_mode", "mul")
def inference_saved(draft: Draft) -> None:
    """A tensor made in inference mode cannot be saved for backward."""
    choices = draft.choices
    growth = grown(draft, 0, 2)
    graph, last = growth.graph, growth.visible[-1]
    names = draft.leaves(graph)
    results = dict(names)
    draft.nodes(graph, graph.reached(last), results)
    made = choices.pick([name for name in _MAKERS if draft.facts.knows(name)])
    with draft.block("inference_mode"):
        args = (results[last],) * (2 if made in ("add", "mul") else 1)
        inference_tensor = draft.apply(made, *args, stem="t")
    swap = choices.flag()
    pair = (inference_tensor, results[last]) if swap else (results[last], inference_tensor)
    draft.call("mul", pair, (), "y", refused=True)


@recipe("modes.stale", "backward grad no_grad apply_", "mul")
def stale(draft: Draft) -> None:
    """A leaf whose value is saved is overwritten under no_grad: backward owes an error."""
    choices = draft.choices
    growth = Growth(draft.facts)
    leaf = growth.leaf(choices)
    _, user = saved_by(choices, growth, leaf, itself=True)
    growth.visible = [user]
    root = growth.scalar(choices, growth.grow(choices, 0, 1, user))
    graph = growth.graph
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    write_in_place(draft, names[leaf], graph.leaf(leaf).shape, block="no_grad")
    draft.backward(out, refused=True)
    draft.grad(names[leaf], None)


@recipe("modes.backward", "backward grad no_grad")
def backward(draft: Draft) -> None:
    """Backward inside a mode's block is that of the graph that was recorded outside."""
    choices = draft.choices
    growth = grown(draft, 1, 5)
    graph, root = growth.graph, growth.scalar(choices, growth.visible[-1])
    modes = Modes(draft)
    offered = list(modes.offered)
    if draft.can("inference_mode"):
        offered.append(("inference_mode", None))
    names = draft.leaves(graph)
    out = draft.forward(graph, names, root)
    with modes.block(*choices.pick(offered)):
        if choices.flag():
            draft.forward(graph, names, root, stem="z")
        draft.backward(out)
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("modes.leaves", "backward grad no_grad requires_grad")
def leaves(draft: Draft) -> None:
    """A leaf is what it was made as, in whatever block; its results are what the mode says."""
    choices = draft.choices
    growth = grown(draft, 1, 3, requires_grad=None)
    graph, latest = growth.graph, growth.visible[-1]
    modes = Modes(draft)
    around = {i: _some_mode(choices, modes) for i in graph.nodes() if not graph.node(i).op.view}
    late = growth.leaf(choices, [graph.vertices[latest].shape, ()], requires_grad=True)
    root = growth.scalar(choices, growth.combine(choices, latest, late))
    cut = [i for i, mode in around.items() if not _records(mode)]
    tracked = graph.tracked(cut)
    names: Names = {}
    for index in graph.leaves():
        with modes.block(*choices.pick(modes.offered)):
            names[index] = draft.leaf(graph.leaf(index))
        draft.flags(names[index], index in tracked, is_leaf=True)
    results = dict(names)
    for index in sorted(graph.reached(root) - set(names)):
        mode = around.get(index)
        with nullcontext() if mode is None else modes.block(*mode):
            draft.node(graph, index, results)
        draft.flags(results[index], index in tracked)
    draft.backward(results[root])
    read_gradients(draft, graph, names, graph.receiving(root, cut=cut))


def _some_mode(choices: Choices, modes: Modes) -> tuple[str, bool | None] | None:
    part = choices.part(2)
    inside, mode = part.byte(), part.pick(modes.offered)
    return mode if inside % 3 == 2 else None
