"""Graphs: what programs compute, before it is written down as steps.

A theme grows a graph (`conformance.strategies.growth`) and writes it into a program, once or
several times, with whatever it wants to happen in between (`conformance.strategies.draft`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Union

from conformance.catalogue import Interval, Operation
from conformance.program import Literal
from conformance.strategies.shapes import Shape

Params = tuple[tuple[str, Literal], ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor that the program makes from a seed."""

    shape: Shape
    bounds: Interval
    seed: int
    requires_grad: bool = True


@dataclass(frozen=True, slots=True)
class Node:
    """The result of an operation on earlier vertices."""

    op: Operation
    inputs: tuple[int, ...]
    params: Params
    shape: Shape
    bounds: Interval

    @property
    def saves(self) -> bool:
        """Whether the derivative needs a saved value."""
        return keeps_values(self.op, len(self.inputs))


def keeps_values(op: Operation, operands: int) -> bool:
    """Whether the derivative of `op` on so many tensors needs saved values; numbers are none."""
    return bool(op.saves) and not (op.family == "binary" and operands == 1)


DETACH = Operation("detach", "shape", lambda interval: interval, view=True)
"""Not an operation of engines but a verb of programs; in a graph it is a vertex like others."""
Vertex = Union[Leaf, Node]  # noqa: UP007


class Graph:
    """Vertices in the order in which they are made; inputs are indices of earlier ones."""

    def __init__(self) -> None:
        self.vertices: list[Vertex] = []

    def leaves(self) -> list[int]:
        """Return the indices of the leaves."""
        return [i for i, vertex in enumerate(self.vertices) if isinstance(vertex, Leaf)]

    def nodes(self) -> list[int]:
        """Return the indices of the results."""
        return [i for i, vertex in enumerate(self.vertices) if isinstance(vertex, Node)]

    def node(self, index: int) -> Node:
        """Return the result at `index`."""
        vertex = self.vertices[index]
        assert isinstance(vertex, Node)
        return vertex

    def leaf(self, index: int) -> Leaf:
        """Return the leaf at `index`."""
        vertex = self.vertices[index]
        assert isinstance(vertex, Leaf)
        return vertex

    def inputs(self, index: int) -> tuple[int, ...]:
        """Return the inputs of the vertex: none for a leaf."""
        vertex = self.vertices[index]
        return vertex.inputs if isinstance(vertex, Node) else ()

    def reached(self, *roots: int) -> set[int]:
        """Return the vertices that the roots are computed from, and the roots."""
        return self._upstream(roots, frozenset(range(len(self.vertices))))

    def tracked(self, cut: Collection[int] = ()) -> set[int]:
        """Return the vertices that require grad; detached ones do not, nor do results in `cut`."""
        found: set[int] = set()
        for index, vertex in enumerate(self.vertices):
            if isinstance(vertex, Leaf):
                flag = vertex.requires_grad
            else:
                flag = vertex.op is not DETACH and any(i in found for i in vertex.inputs)
            if flag and index not in cut:
                found.add(index)
        return found

    def receiving(self, *roots: int, cut: Collection[int] = ()) -> set[int]:
        """Return the vertices that receive a gradient from a backward of the roots."""
        return self._upstream(roots, self.tracked(cut))

    def _upstream(self, roots: Collection[int], among: Collection[int]) -> set[int]:
        found: set[int] = set()
        open_ = list(roots)
        while open_:
            index = open_.pop()
            if index not in found and index in among:
                found.add(index)
                open_.extend(self.inputs(index))
        return found

    def set_requires_grad(self, index: int, flag: bool) -> None:
        """Change the flag of a leaf."""
        self.vertices[index] = replace(self.leaf(index), requires_grad=flag)
