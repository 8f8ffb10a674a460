"""Growth: how a graph is grown from choices.

Shapes, and the interval in which each result lies, are known while a graph grows, so every graph is
valid, smooth and tame (`Operation.result`) by construction, and nothing is drawn in vain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from conformance.catalogue import EVERYWHERE, OPERATIONS, Interval, Operation, product
from conformance.errors import Unsupported
from conformance.strategies.choices import Choices
from conformance.strategies.facts import Facts
from conformance.strategies.graphs import DETACH, Graph, Leaf, Node, Vertex, keeps_values
from conformance.strategies.placement import Draw, Scene, place
from conformance.strategies.shapes import MOST_ELEMENTS, SHAPES, Shape, broadcast

RANGES: tuple[Interval, ...] = ((0.5, 2.0), (-2.0, 2.0), (-1.0, 1.0), (0.25, 3.0), (-3.0, -0.5))
"""Intervals of the numbers of leaves, simplest first."""
PART = 6
"""Bytes of choices for one operation: itself, its operands, its parameter, a new leaf's facts."""

Admit = Callable[[Operation], bool]


def anything(_: Operation) -> bool:
    """Admit every operation."""
    return True


def elementwise(op: Operation) -> bool:
    """Admit operations whose results have elements that depend on one element of each operand."""
    return op.elementwise


def saves_nothing(op: Operation) -> bool:
    """Admit operations whose derivative needs no saved value, whatever their operands are."""
    return not op.saves


def writable(op: Operation) -> bool:
    """Admit operations of which all engines agree whether the result is memory of its own."""
    return op.name not in ("expand", "reshape")


def anywhere(op: Operation) -> bool:
    """Admit operations that are smooth and tame whatever was written into their operands."""
    return writable(op) and op.domain == EVERYWHERE and not op.kinks and not op.divisor


@lru_cache(maxsize=256)
def operations_for(facts: Facts, admit: Admit) -> tuple[Operation, ...]:
    """Return the catalogue's operations that the engine may have and `admit` admits.

    Elementwise ones are listed twice and those of two tensors more often: there is more to get
    wrong in them than in changes of shape.
    """
    found = [op for op in OPERATIONS.values() if facts.knows(op.name) and admit(op)]
    found = [op for op in found if op.family != "reduce" or facts.takes(f"{op.name}.dim")]
    again = [op for op in found if op.elementwise or op.family == "matmul"]
    return (*found, *again, *[op for op in found if op.family == "binary"] * 3)


class Growth:
    """A graph while it grows.

    room: how many leaves operations may bring it to. admit: which operations. requires_grad:
    whether leaves are tracked; None leaves it to the choices. saving: whether every operation must
    save a value for its derivative. visible: the vertices that may be operands.
    """

    def __init__(
        self,
        facts: Facts,
        *,
        room: int = 3,
        admit: Admit = anything,
        requires_grad: bool | None = True,
    ) -> None:
        self.facts = facts
        self.graph = Graph()
        self.room = room
        self.operations = operations_for(facts, admit)
        self.requires_grad = requires_grad
        self.saving = False
        self.visible: list[int] = []

    def leaf(
        self,
        choices: Choices,
        shapes: Sequence[Shape] = SHAPES,
        *,
        requires_grad: bool | None = None,
        bounds: Interval | None = None,
    ) -> int:
        """Add a leaf of one of the shapes, 0-d for an engine without `sum`; three bytes."""
        part = choices.part(3)
        shape = part.pick(shapes) if self.facts.knows("sum") else ()
        leaf = self._leaf(shape, part.byte(), part.byte(), requires_grad)
        if bounds is not None:
            leaf = Leaf(shape, bounds, leaf.seed, leaf.requires_grad)
        return self.add(leaf)

    def _leaf(self, shape: Shape, code: int, seed: int, requires_grad: bool | None = None) -> Leaf:
        flag = self.requires_grad if requires_grad is None else requires_grad
        if flag is None:
            flag = code < 192
        seed += 256 * len(self.graph.leaves())  # two leaves never share their numbers by chance
        return Leaf(shape, RANGES[code % len(RANGES)], seed, flag)

    def add(self, vertex: Vertex) -> int:
        """Add a vertex, visible, and return its index."""
        self.graph.vertices.append(vertex)
        self.visible.append(len(self.graph.vertices) - 1)
        return self.visible[-1]

    def grow(
        self,
        choices: Choices,
        least: int,
        most: int,
        after: int | None = None,
    ) -> int:
        """Add `least` to `most` operations and return the last result.

        With `after`, the first is on that vertex and the result depends on it; without, on the
        latest one, and operations may start from older vertices too.
        1 + 6 × most bytes. An operation whose byte is 0 is left out, as long as `least` remain.
        Raises `Unsupported` where the engine's operations do not suffice.
        """
        latest = self.visible[-1] if after is None else after
        count = choices.between(least, most)
        made = 0
        for number in range(most):
            part = choices.part(PART)
            code = part.byte()
            left_out = code == 0 and made + count - number > least
            if number < count and not left_out:
                found = self._sprout(code - 1, latest, part, after is None)
                made += found is not None
                latest = latest if found is None else found
        if made < least:
            raise Unsupported(f"operations for a graph of {least} on {self.graph.vertices[latest]}")
        return latest

    def _sprout(self, code: int, latest: int, part: Choices, free: bool) -> int | None:
        """Apply the first operation, counted on from `code`, that is possible."""
        first = part.byte()
        draw = Draw(part.byte(), part.byte(), part.byte(), part.byte())
        operands = [latest]
        if free and first >= 160:  # mostly the latest result, so that few results are left unused
            operands.insert(0, self.visible[-1 - first % len(self.visible)])
        count = len(self.operations)
        for operand in operands:
            for offset in range(count):
                op = self.operations[(code + offset) % count]
                found = self.apply(op, operand, draw)
                if found is not None:
                    return found
        return None

    def apply(self, op: Operation, operand: int, draw: Draw) -> int | None:
        """Apply `op` with `operand` first; None where it does not fit or would not be tame."""
        latest_first = self.visible[::-1]
        scene = Scene(
            self.graph.vertices,
            latest_first,
            lambda shape: self._fresh(shape, draw),
            self.facts.takes,
        )
        placed = place(op, operand, draw, scene)
        if placed is None or math.prod(placed.shape) > MOST_ELEMENTS:
            return None
        if self.saving and not keeps_values(op, len(placed.inputs)):
            return None
        inputs = tuple(self.add(i) if isinstance(i, Leaf) else i for i in placed.inputs)
        return self.add(Node(op, inputs, placed.params, placed.shape, placed.bounds))

    def combine(self, choices: Choices, a: int, b: int, *names: str) -> int:
        """Add a binary operation on two vertices that broadcast: the drawn one, if it is tame.

        names: those to draw from; `mul`, `add` and `sub` by default. One byte.
        """
        drawn = choices.byte()
        known = [OPERATIONS[name] for name in names or ("mul", "add", "sub")]
        known = [op for op in known if self.facts.knows(op.name)]
        if not known:
            raise Unsupported("an operation of two tensors: mul, add or sub")
        vertices = self.graph.vertices
        shape = broadcast(vertices[a].shape, vertices[b].shape)
        assert shape is not None, (vertices[a], vertices[b])
        operands = (vertices[a].bounds, vertices[b].bounds)
        for offset in range(len(known)):
            op = known[(drawn + offset) % len(known)]
            bounds = op.result(operands)
            if bounds is not None:
                return self.add(Node(op, (a, b), (), shape, bounds))
        return self.add(Node(known[-1], (a, b), (), shape, EVERYWHERE))

    def partners(self, index: int) -> list[int]:
        """Return the visible vertices that broadcast against the vertex, latest first."""
        vertices, shape = self.graph.vertices, self.graph.vertices[index].shape
        return [
            i for i in reversed(self.visible) if broadcast(vertices[i].shape, shape) is not None
        ]

    def array(self, choices: Choices, root: int, leaf: int) -> int:
        """Return `root`, or its combination with the array `leaf` where it has one element."""
        part = choices.part(1)
        if math.prod(self.graph.vertices[root].shape) != 1:
            return root
        return self.combine(part, root, leaf)

    def detach(self, index: int) -> int:
        """Add the vertex's detached tensor."""
        vertex = self.graph.vertices[index]
        return self.add(Node(DETACH, (index,), (), vertex.shape, vertex.bounds))

    def number(self, operand: int, name: str, number: float) -> int:
        """Add the operation on a vertex and a number: a Python number, if the engine takes one."""
        vertex = self.graph.vertices[operand]
        op = OPERATIONS[name]
        bounds = op.result((vertex.bounds,), number) or EVERYWHERE
        if not self.facts.takes(f"{name}.other"):
            other = self.add(Leaf((), (number, number), 0, False))
            return self.add(Node(op, (operand, other), (), vertex.shape, bounds))
        return self.add(Node(op, (operand,), (("other", number),), vertex.shape, bounds))

    def scalar(self, choices: Choices, root: int, *, weighted: bool | None = None) -> int:
        """Return a 0-d vertex that depends on all of `root`: itself, its sum, or a weighted sum.

        Three bytes. Weights, untracked and often drawn, tell the elements of a gradient apart.
        """
        part = choices.part(3)
        vertex = self.graph.vertices[root]
        if not vertex.shape:
            return root
        drawn, seed = part.byte(), part.seed()
        if (drawn % 2 == 1 if weighted is None else weighted) and self.facts.knows("mul"):
            weights = self.add(Leaf(vertex.shape, RANGES[3], seed, False))
            bounds = product(vertex.bounds, RANGES[3])
            root = self.add(Node(OPERATIONS["mul"], (root, weights), (), vertex.shape, bounds))
        bounds = self.graph.vertices[root].bounds  # the sum ends the graph, however large it is
        return self.add(Node(OPERATIONS["sum"], (root,), (), (), bounds))

    def _fresh(self, shape: Shape, draw: Draw) -> Leaf | None:
        if len(self.graph.leaves()) >= self.room:
            return None
        return self._leaf(shape, draw.fresh, draw.seed)
