"""Drafts: programs while they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Union

from conformance.program import VERBS, Expect, Literal, Param, Program, Ref, Step
from conformance.strategies.choices import Choices
from conformance.strategies.facts import Facts
from conformance.strategies.graphs import DETACH, Graph, Leaf

Names = dict[int, str]
"""The name that each vertex of a graph has in a program."""


class Bare:
    """The absence of a figure: the oracles say what an observation should have been."""


BARE = Bare()
Figure = Union[Literal, Ref, Bare]  # noqa: UP007
Pairs = tuple[tuple[str, Param], ...]


class Draft:
    """The steps of a program so far; every method that makes a tensor returns its name.

    choices: where the theme reads its decisions. facts: what the engine can do.
    """

    def __init__(self, choices: Choices, facts: Facts) -> None:
        self.choices = choices
        self.facts = facts
        self._blocks: list[list[Step]] = [[]]
        self._used: dict[str, int] = {}

    def program(self) -> Program:
        """Return what has been written, validated."""
        (steps,) = self._blocks
        return Program(tuple(steps))

    def can(self, *capabilities: str) -> bool:
        """Whether the engine has all of these capabilities."""
        return self.facts.can(*capabilities)

    def fresh(self, stem: str) -> str:
        """Return a name that is not in use: the stem, then the stem with a number."""
        count = self._used.get(stem, 0)
        self._used[stem] = count + 1
        return f"{stem}{count}" if count else stem

    def write(self, step: Step) -> None:
        """Append any step."""
        self._blocks[-1].append(step)

    # tensors ------------------------------------------------------------------------------------

    def leaf(self, leaf: Leaf, stem: str = "x", *, requires_grad: bool | None = None) -> str:
        """Write a seeded leaf; `requires_grad` overrides the leaf's own flag."""
        name = self.fresh(stem)
        params: list[tuple[str, Param]] = [
            ("shape", leaf.shape),
            ("seed", leaf.seed),
            ("low", leaf.bounds[0]),
            ("high", leaf.bounds[1]),
        ]
        if leaf.requires_grad if requires_grad is None else requires_grad:
            params.append(("requires_grad", True))
        self.write(Step("leaf", (name,), params=tuple(params)))
        return name

    def constant(self, value: Literal, stem: str = "c", *, requires_grad: bool = False) -> str:
        """Write a leaf of given numbers."""
        name = self.fresh(stem)
        params: tuple[tuple[str, Param], ...] = (("value", value),)
        if requires_grad:
            params += (("requires_grad", True),)
        self.write(Step("leaf", (name,), params=params))
        return name

    def apply(self, op: str, *args: str, stem: str = "y", **params: Param) -> str:
        """Write an operation."""
        return self.call(op, args, tuple(params.items()), stem)

    def times(self, name: str, number: float, stem: str = "s") -> str:
        """Write a multiple of a tensor: by a Python number, if the engine takes one."""
        if self.facts.takes("mul.other"):
            return self.apply("mul", name, stem=stem, other=number)
        return self.apply("mul", name, self.constant(number), stem=stem)

    def call(
        self, op: str, args: tuple[str, ...], params: Pairs, stem: str, refused: bool = False
    ) -> str:
        """Write an operation whose parameters are at hand as pairs, or that owes an error."""
        name = self.fresh(stem)
        self.write(Step("apply", (name,), args, op, params, refused=refused))
        return name

    def apply_(self, op: str, target: str, *args: str, **params: Param) -> None:
        """Write an operation in place."""
        self.call_(op, (target, *args), tuple(params.items()))

    def call_(
        self, op: str, args: tuple[str, ...], params: Pairs, *, refused: bool = False
    ) -> None:
        """Write an operation in place, on the first of `args`, that may owe an error."""
        self.write(Step("apply_", (), args, op, params, refused=refused))

    def unary(self, verb: str, name: str, stem: str = "d") -> str:
        """Write a verb that makes a tensor of one tensor: `detach`, `data` or `reload`."""
        made = self.fresh(stem)
        self.write(Step(verb, (made,), (name,)))
        return made

    def leaves(self, graph: Graph, stem: str = "x", only: Iterable[int] | None = None) -> Names:
        """Write leaves of the graph, all unless `only` some are asked for."""
        indices = graph.leaves() if only is None else sorted(only)
        return {index: self.leaf(graph.leaf(index), stem) for index in indices}

    def node(self, graph: Graph, index: int, names: Names, stem: str = "y") -> str:
        """Write one operation of the graph and enter its name."""
        node = graph.node(index)
        args = tuple(names[i] for i in node.inputs)
        if node.op is DETACH:
            names[index] = self.unary("detach", *args)
            return names[index]
        names[index] = self.call(node.op.name, args, node.params, stem)
        return names[index]

    def nodes(self, graph: Graph, indices: Iterable[int], names: Names, stem: str = "y") -> None:
        """Write those of the operations that have no name yet, in order."""
        for index in sorted(indices):
            if index not in names:
                self.node(graph, index, names, stem)

    def twins(self, graph: Graph, names: Names, stem: str = "t") -> Names:
        """Write second leaves with the numbers of the tracked ones; untracked ones are shared."""
        return {
            index: self.leaf(graph.leaf(index), stem) if graph.leaf(index).requires_grad else name
            for index, name in names.items()
        }

    def forward(self, graph: Graph, leaves: Mapping[int, str], root: int, stem: str = "y") -> str:
        """Write what the root depends on, from the leaves on, and return the root's name."""
        names = dict(leaves)
        self.nodes(graph, graph.reached(root) - {root}, names, stem)
        return names[root] if root in names else self.node(graph, root, names, "out")

    # running backward ---------------------------------------------------------------------------

    def backward(
        self,
        *roots: str,
        gradient: Ref | tuple[Ref | None, ...] | None = None,
        retain_graph: bool = False,
        inputs: tuple[Ref, ...] = (),
        refused: bool = False,
    ) -> None:
        """Write a backward pass."""
        params: list[tuple[str, Param]] = []
        if gradient is not None:
            params.append(("gradient", gradient))
        if retain_graph:
            params.append(("retain_graph", True))
        if inputs:
            params.append(("inputs", inputs))
        self.write(Step("backward", (), roots, params=tuple(params), refused=refused))

    def grad(self, name: str, figure: Figure = BARE) -> None:
        """Write an observation of the gradient."""
        self.observe("grad", name, figure)

    def bind_grad(self, name: str, stem: str = "g") -> str:
        """Write an observation of the gradient that also gives it a name."""
        made = self.fresh(stem)
        self.write(Step("grad", (made,), (name,)))
        return made

    def act(self, verb: str, name: str, **params: Param) -> None:
        """Write a verb that changes a tensor's state: `retain_grad`, `detach_`, `set_grad` …"""
        self.write(Step(verb, (), (name,), params=tuple(params.items())))

    def refuse(self, verb: str, name: str) -> None:
        """Write a verb of one tensor that owes an error."""
        self.write(Step(verb, (), (name,), refused=True))

    # blocks and observations --------------------------------------------------------------------

    @contextmanager
    def block(self, verb: str, **params: Param) -> Iterator[None]:
        """Write a block; what is written inside the `with` is its body."""
        self._blocks.append([])
        yield
        body = tuple(self._blocks.pop())
        self.write(Step(verb, params=tuple(params.items()), body=body))

    def observe(self, verb: str, name: str | None, figure: Figure = BARE) -> None:
        """Write an observation, where the engine offers it."""
        if not self.can(*VERBS[verb].needs):
            return
        args = () if name is None else (name,)
        expect = None if isinstance(figure, Bare) else Expect(figure)
        self.write(Step(verb, (), args, expect=expect))

    def equal(self, name: str, other: str) -> None:
        """Write that two tensors have equal values."""
        self.observe("value", name, Ref(other))

    def flags(self, name: str, requires_grad: bool, is_leaf: bool | None = None) -> None:
        """Write the flags that the engine lets one read, with the figures that they must have."""
        self.observe("requires_grad", name, requires_grad)
        if is_leaf is not None:
            self.observe("is_leaf", name, is_leaf)
