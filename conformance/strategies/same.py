"""Programs run twice: whatever happens in between or beside, the bits must be the same."""

from __future__ import annotations

from conformance.program import Step
from conformance.strategies.asking import ask, truth
from conformance.strategies.beginnings import grown
from conformance.strategies.draft import Draft, Names
from conformance.strategies.gradients import bound_gradients
from conformance.strategies.graphs import Graph
from conformance.strategies.recipes import recipe


class Twice:
    """A graph, its leaves, and second leaves of the same numbers, untracked ones too."""

    def __init__(self, draft: Draft) -> None:
        growth = grown(draft, 1, 5)
        self.draft = draft
        self.graph: Graph = growth.graph
        self.root = growth.scalar(draft.choices, growth.visible[-1])
        self.names: Names = draft.leaves(self.graph)
        self.twins: Names = draft.twins(self.graph, self.names)
        self.reached = self.graph.receiving(self.root)

    def run(self, names: Names) -> Names:
        """Write a forward and a backward pass; return the names of the gradients."""
        self.draft.backward(self.draft.forward(self.graph, names, self.root))
        return bound_gradients(self.draft, names, self.reached)

    def same(self, first: Names, second: Names) -> None:
        """Write that gradients have the same bits."""
        for index, name in first.items():
            truth(self.draft, name, second[index])


@recipe("same.twins", "backward grad", "eq all")
def twins(draft: Draft) -> None:
    """The same program twice: values and gradients."""
    pair = Twice(draft)
    outs = [draft.forward(pair.graph, names, pair.root) for names in (pair.names, pair.twins)]
    truth(draft, *outs)
    gradients = []
    for out, names in zip(outs, (pair.names, pair.twins), strict=True):
        draft.backward(out)
        gradients.append(bound_gradients(draft, names, pair.reached))
    pair.same(*gradients)


@recipe("same.again", "backward grad backward.retain_graph accumulates", "eq all mul")
def again(draft: Draft) -> None:
    """Two backward passes through one graph: exactly twice the first."""
    pair = Twice(draft)
    out = draft.forward(pair.graph, pair.names, pair.root)
    draft.backward(out, retain_graph=True)
    once = bound_gradients(draft, pair.names, pair.reached)
    doubled = {i: draft.times(name, 2.0) for i, name in once.items()}
    draft.backward(out)
    pair.same(doubled, bound_gradients(draft, pair.names, pair.reached))


@recipe("same.observed", "backward grad retain_grad register_hook", "eq all")
def observed(draft: Draft) -> None:
    """Kept gradients and hooks that look change no bit."""
    pair = Twice(draft)
    names = dict(pair.names)
    draft.nodes(pair.graph, pair.graph.reached(pair.root), names)
    way = [i for i in pair.graph.nodes() if i in pair.reached]
    for _ in range(draft.choices.between(1, 3)):
        index = draft.choices.pick(way)
        if draft.choices.flag():
            draft.act("retain_grad", names[index])
        else:
            action = (("action", draft.choices.pick(("none", "record"))),)
            draft.write(Step("hook", (), (names[index],), params=action))
    draft.backward(names[pair.root])
    first = bound_gradients(draft, pair.names, pair.reached)
    pair.same(first, pair.run(pair.twins))


@recipe("same.asked", "backward grad grad_of grad_of.retain_graph", "eq all")
def asked(draft: Draft) -> None:
    """Gradients asked for as a result have the bits that backward leaves."""
    pair = Twice(draft)
    out = draft.forward(pair.graph, pair.names, pair.root)
    leaves = [i for i in pair.names if i in pair.reached]
    made = ask(draft, [out], [pair.names[i] for i in leaves], retain_graph=True)
    draft.backward(out)
    found = bound_gradients(draft, pair.names, pair.reached)
    pair.same(dict(zip(leaves, made, strict=True)), found)


@recipe("same.between", "backward grad", "eq all mul")
def between(draft: Draft) -> None:
    """Work on other tensors between the steps of the second run."""
    pair = Twice(draft)
    first = pair.run(pair.names)
    aside = draft.leaf(pair.graph.leaf(pair.graph.leaves()[0]), "other", requires_grad=True)
    names = dict(pair.twins)
    for index in sorted(pair.graph.reached(pair.root) - set(names)):
        draft.node(pair.graph, index, names)
        if draft.choices.flag():
            aside = draft.times(aside, draft.choices.pick((0.5, -1.0)), "aside")
    draft.backward(names[pair.root])
    pair.same(first, bound_gradients(draft, pair.twins, pair.reached))
