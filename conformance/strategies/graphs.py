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
        """Whether the derivative needs a saved value; numbers are no tensors to save."""
        return bool(self.op.saves) and not (self.op.family == "binary" and len(self.inputs) == 1)


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

    def reached(self, *roots: int, cut: Collection[int] = ()) -> set[int]:
        """Return the vertices that the roots depend on, and the roots; not going past `cut`."""
        found: set[int] = set()
        open_ = list(roots)
        while open_:
            index = open_.pop()
            if index not in found:
                found.add(index)
                if index not in cut:
                    open_.extend(self.inputs(index))
        return found

    def tracked(self, cut: Collection[int] = ()) -> set[int]:
        """Return the vertices that require grad, where the results in `cut` are not tracked."""
        found: set[int] = set()
        for index, vertex in enumerate(self.vertices):
            if isinstance(vertex, Leaf):
                if vertex.requires_grad:
                    found.add(index)
            elif index not in cut and any(i in found for i in vertex.inputs):
                found.add(index)
        return found

    def set_requires_grad(self, index: int, flag: bool) -> None:
        """Change the flag of a leaf."""
        self.vertices[index] = replace(self.leaf(index), requires_grad=flag)
