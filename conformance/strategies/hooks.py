"""Programs with hooks and with kept gradients."""

from __future__ import annotations

from conformance.program import Step
from conformance.strategies.asking import ask
from conformance.strategies.beginnings import grown
from conformance.strategies.draft import Draft, Names
from conformance.strategies.gradients import bound_gradients, compare_gradients, read_gradients
from conformance.strategies.graphs import Graph
from conformance.strategies.recipes import recipe

ACTIONS = ("record", "double", "none", "zero")


class Hooked:
    """A graph whose steps are written, before any backward, and the tensors on its way."""

    def __init__(self, draft: Draft, least: int = 1) -> None:
        growth = grown(draft, least, 4)
        self.draft = draft
        self.graph: Graph = growth.graph
        self.root = growth.scalar(draft.choices, growth.visible[-1])
        self.leaves: Names = draft.leaves(self.graph)
        self.names: Names = dict(self.leaves)
        draft.nodes(self.graph, self.graph.reached(self.root), self.names)
        way = self.graph.receiving(self.root)
        self.results = [i for i in self.graph.nodes() if i in way]
        self.way = sorted(way, reverse=True)

    def hook(self, index: int, action: str, named: bool = False) -> str:
        """Write a hook on a tensor; with `named`, its handle is bound and the name returned."""
        handle = self.draft.fresh("h") if named else ""
        out = (handle,) if named else ()
        step = Step("hook", out, (self.names[index],), params=(("action", action),))
        self.draft.write(step)
        return handle

    def log(self) -> None:
        """Write an observation of what hooks saw."""
        self.draft.observe("hook_log", None)

    def backward(self, retain_graph: bool = False) -> None:
        """Write backward from the root."""
        self.draft.backward(self.names[self.root], retain_graph=retain_graph)

    def read(self) -> None:
        """Write the gradients of all leaves."""
        read_gradients(self.draft, self.graph, self.leaves, self.graph.receiving(self.root))


@recipe("hooks.passes", "backward grad register_hook accumulates")
def passes(draft: Draft) -> None:
    """A hook on a leaf over several forward and backward passes."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.scalar(draft.choices, growth.visible[-1])
    names = draft.leaves(graph)
    leaf = names[draft.choices.pick([i for i in graph.leaves() if i in graph.receiving(root)])]
    draft.act("hook", leaf, action=draft.choices.pick(("record", "double")))
    for _ in range(draft.choices.between(2, 3)):
        draft.backward(draft.forward(graph, names, root))
    draft.observe("hook_log", None)
    read_gradients(draft, graph, names, graph.receiving(root))


@recipe("hooks.leaf", "backward grad register_hook")
def on_leaves(draft: Draft) -> None:
    """Hooks on leaves replace what is accumulated."""
    graph = Hooked(draft)
    reached = [i for i in graph.way if i in graph.leaves]
    for index in reached[: draft.choices.between(1, 2)]:
        graph.hook(index, draft.choices.pick(("double", "zero")))
    graph.backward()
    graph.read()


@recipe("hooks.chain", "backward grad register_hook")
def chain(draft: Draft) -> None:
    """Several hooks on one tensor, each after the other."""
    graph = Hooked(draft)
    index = draft.choices.pick(graph.way)
    for _ in range(draft.choices.between(2, 4)):
        graph.hook(index, draft.choices.pick(ACTIONS))
    graph.backward()
    graph.log()
    graph.read()


@recipe("hooks.removed", "backward grad register_hook")
def removed(draft: Draft) -> None:
    """Hooks of which one is removed before backward."""
    graph = Hooked(draft)
    index = draft.choices.pick(graph.way)
    handles = [
        graph.hook(index, draft.choices.pick(ACTIONS), named=True)
        for _ in range(draft.choices.between(1, 3))
    ]
    draft.act("remove_hook", draft.choices.pick(handles))
    graph.backward()
    graph.log()
    graph.read()


@recipe("hooks.observing", "backward grad register_hook")
def observing(draft: Draft) -> None:
    """Hooks that only look leave the gradients as they are without them."""
    graph = Hooked(draft)
    for _ in range(draft.choices.between(1, 3)):
        graph.hook(draft.choices.pick(graph.way), draft.choices.pick(("none", "record")))
    twins = draft.twins(graph.graph, graph.leaves)
    draft.backward(draft.forward(graph.graph, twins, graph.root))
    figures = bound_gradients(draft, twins, graph.graph.receiving(graph.root))
    graph.backward()
    compare_gradients(draft, graph.leaves, figures)


@recipe("hooks.asked", "grad_of register_hook")
def asked(draft: Draft) -> None:
    """Gradients asked for as a result, with hooks on the way."""
    graph = Hooked(draft)
    index = draft.choices.pick(graph.way)
    graph.hook(index, draft.choices.pick(("double", "zero")))
    inputs = [name for i, name in graph.leaves.items() if i in graph.way]
    for name in ask(draft, [graph.names[graph.root]], inputs):
        draft.observe("value", name)
    graph.log()


@recipe("kept.twins", "backward grad retain_grad")
def kept_twins(draft: Draft) -> None:
    """Keeping gradients changes no gradient of a leaf."""
    graph = Hooked(draft, 2)
    for _ in range(draft.choices.between(1, 2)):
        draft.act("retain_grad", graph.names[draft.choices.pick(graph.results)])
    twins = draft.twins(graph.graph, graph.leaves)
    draft.backward(draft.forward(graph.graph, twins, graph.root))
    figures = bound_gradients(draft, twins, graph.graph.receiving(graph.root))
    graph.backward()
    compare_gradients(draft, graph.leaves, figures)


@recipe("kept.late", "backward grad retain_grad")
def late(draft: Draft) -> None:
    """retain_grad once everything is recorded."""
    graph = Hooked(draft)
    chosen = {draft.choices.pick(graph.results) for _ in range(2)}
    for index in sorted(chosen):
        draft.act("retain_grad", graph.names[index])
    graph.backward()
    for index in sorted(chosen):
        draft.grad(graph.names[index])
    graph.read()


@recipe("kept.hooked", "backward grad retain_grad register_hook")
def kept_and_hooked(draft: Draft) -> None:
    """retain_grad and hooks on one tensor, in any order."""
    graph = Hooked(draft)
    index = draft.choices.pick(graph.results)
    actions = [draft.choices.pick(ACTIONS) for _ in range(draft.choices.between(1, 3))]
    at = draft.choices.below(len(actions) + 1)
    for number, action in enumerate([*actions[:at], "keep", *actions[at:]]):
        if number == at:
            draft.act("retain_grad", graph.names[index])
        else:
            graph.hook(index, action)
    graph.backward()
    draft.grad(graph.names[index])
    graph.log()
    graph.read()


@recipe("kept.unreached", "backward grad retain_grad", "mul")
def kept_aside(draft: Draft) -> None:
    """A tensor beside the path keeps nothing."""
    graph = Hooked(draft)
    source = graph.names[draft.choices.pick(graph.way)]
    aside = draft.times(source, draft.choices.pick((2.0, 3.0, -1.0)), "aside")
    draft.act("retain_grad", aside)
    index = draft.choices.pick(graph.results)
    draft.act("retain_grad", graph.names[index])
    graph.backward()
    draft.grad(aside, None)
    draft.grad(graph.names[index])
    graph.read()


@recipe("paths.hooked", "backward grad register_hook", "mul")
def unreached_hook(draft: Draft) -> None:
    """A hook beside the path is not called."""
    graph = Hooked(draft)
    source = graph.names[draft.choices.pick(graph.way)]
    aside = draft.times(source, draft.choices.pick((2.0, 3.0, -1.0)), "aside")
    draft.act("hook", aside, action=draft.choices.pick(ACTIONS))
    graph.backward()
    draft.observe("hook_log", None, ())
    graph.read()


@recipe("hooks.untracked", "register_hook requires_grad")
def untracked(draft: Draft) -> None:
    """A hook on what requires no gradients is refused: a leaf, a result, a detached tensor."""
    growth = grown(draft, 1, 4)
    graph, root = growth.graph, growth.visible[-1]
    cut = draft.choices.flag() and draft.can("detach")
    names = {i: draft.leaf(graph.leaf(i), requires_grad=cut) for i in graph.leaves()}
    draft.nodes(graph, graph.reached(root), names)
    target = names[draft.choices.pick(sorted(names, reverse=True))]
    target = draft.unary("detach", target) if cut else target
    draft.observe("requires_grad", target, False)
    action = (("action", draft.choices.pick(ACTIONS)),)
    draft.write(Step("hook", (), (target,), params=action, refused=True))
