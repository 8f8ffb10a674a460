"""Programs that train small networks by gradient descent."""

from __future__ import annotations

from conformance.program import Step
from conformance.strategies.draft import Draft
from conformance.strategies.graphs import Leaf
from conformance.strategies.recipes import recipe

ACTIVATIONS = ("tanh", "sigmoid", "sin", "nn.functional.softplus")
_OPERATIONS = "matmul add sub mul mean"


class _Network:
    """One linear layer, or two with an activation in between, on a seeded batch."""

    def __init__(self, draft: Draft) -> None:
        choices = draft.choices
        self.draft = draft
        rows, width, outputs = choices.between(1, 4), choices.between(1, 3), choices.between(1, 2)
        known = [name for name in ACTIVATIONS if draft.facts.knows(name)]
        hidden, self.activation = choices.flag() and bool(known), choices.byte()
        self.activations = known
        shapes = [(width, 2), (2,), (2, outputs)] if hidden else [(width, outputs), (outputs,)]
        seeds = [choices.byte() + 256 * number for number in range(5)]
        self.batch = draft.leaf(Leaf((rows, width), (-1.0, 1.0), seeds[3], False), "batch")
        self.target = draft.leaf(Leaf((rows, outputs), (-1.0, 1.0), seeds[4], False), "target")
        self.params = [
            draft.leaf(Leaf(shape, (-1.0, 1.0), seed), "p")
            for shape, seed in zip(shapes, seeds, strict=False)
        ]

    def loss(self) -> str:
        """Write the mean squared error of the network as its parameters are now."""
        draft = self.draft
        y = draft.apply("matmul", self.batch, self.params[0])
        y = draft.apply("add", y, self.params[1])
        if len(self.params) == 3:
            name = self.activations[self.activation % len(self.activations)]
            y = draft.apply("matmul", draft.apply(name, y), self.params[2])
        error = draft.apply("sub", y, self.target)
        return draft.apply("mean", draft.apply("mul", error, error), stem="loss")


@recipe("training.sgd", "backward grad", _OPERATIONS)
def sgd(draft: Draft) -> None:
    """Steps of gradient descent that make new parameters, as saved and loaded ones are."""
    network = _Network(draft)
    rate = draft.choices.pick((0.5, 0.25, 0.125))
    for _ in range(draft.choices.between(1, 3)):
        loss = network.loss()
        draft.observe("value", loss)
        draft.backward(loss)
        moved = []
        for name in network.params:
            step = draft.times(draft.bind_grad(name), rate)
            stepped = draft.apply("sub", name, step, stem="n")
            new = draft.fresh("p")
            draft.write(Step("reload", (new,), (stepped,), params=(("requires_grad", True),)))
            moved.append(new)
        network.params = moved
    for name in network.params:
        draft.observe("value", name)


@recipe("training.momentum", "backward grad no_grad apply_ set_grad", _OPERATIONS)
def momentum(draft: Draft) -> None:
    """Steps with momentum, in place under no_grad; gradients are removed in between."""
    network = _Network(draft)
    rate, decay = draft.choices.pick((0.5, 0.25, 0.125)), draft.choices.pick((0.5, 0.75))
    buffers: list[str] = []
    for number in range(draft.choices.between(2, 3)):
        draft.backward(network.loss())
        gradients = [draft.bind_grad(name) for name in network.params]
        with draft.block("no_grad"):
            if number == 0:
                buffers = [draft.times(g, 1.0, "m") for g in gradients]
            for name, buffer, gradient in zip(network.params, buffers, gradients, strict=True):
                if number:
                    draft.apply_("mul", buffer, other=decay)
                    draft.apply_("add", buffer, gradient)
                draft.apply_("sub", name, buffer, alpha=rate)
        for name in network.params:
            draft.observe("value", name)
            draft.act("set_grad", name, value=None)
