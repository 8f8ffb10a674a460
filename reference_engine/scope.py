"""How far one backward run goes: everywhere, or to the targets it was given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from reference_engine.graph import Cotangent, Node

#: a place in the graph: output ``nr`` of a node
Edge = tuple[Node, int]


def reachable(roots: Iterable[Node]) -> dict[Node, int]:
    """For each node that can be reached, how many edges lead to it."""
    counts: dict[Node, int] = dict.fromkeys(roots, 0)
    stack = list(counts)
    while stack:
        for parent in stack.pop().next:
            if parent is not None:
                if parent in counts:
                    counts[parent] += 1
                else:
                    counts[parent] = 1
                    stack.append(parent)
    return counts


def leading(reached: Iterable[Node], targets: Iterable[Node]) -> set[Node]:
    """Those of the nodes reached from which a step or more leads to a target."""
    children: dict[Node, list[Node]] = {}
    for node in reached:
        for parent in node.next:
            if parent is not None:
                children.setdefault(parent, []).append(node)
    stack = [child for target in targets for child in children.get(target, ())]
    found: set[Node] = set()
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(children.get(node, ()))
    return found


class Task:
    """One backward run: the innermost that is going on is ``MODES.task``.

    Given targets it goes no further than these, and keeps what arrives at them. With ``accumulate``
    the targets run too, so that leaves among them fill their ``.grad``.
    """

    def __init__(
        self, roots: Sequence[Edge], targets: Sequence[Edge] | None = None, accumulate: bool = False
    ) -> None:
        nodes = [node for node, _ in roots]
        #: the nodes that can be reached, and how many edges to each have not been walked yet
        self.dependencies = reachable(nodes)
        self.everywhere = targets is None
        self.captured: dict[Edge, Cotangent] = {}
        self._accumulate = accumulate
        self._targets: dict[Node, list[int]] = {}
        for node, nr in targets or ():
            self._targets.setdefault(node, []).append(nr)
        self._leading: Collection[Node] = (
            self.dependencies if targets is None else leading(self.dependencies, self._targets)
        )
        self._root = nodes[0] if len(nodes) == 1 else None

    def capture(self, node: Node, grads: Sequence[Cotangent]) -> None:
        """Keeps what has arrived at a target."""
        for nr in self._targets.get(node, ()):
            self.captured[node, nr] = grads[nr]

    def runs(self, node: Node) -> bool:
        """Whether the node itself must run."""
        return node in self._leading or (self._accumulate and node in self._targets)

    def leads_on(self, node: Node) -> bool:
        """Whether a cotangent for the node is wanted."""
        return node in self._leading or node in self._targets

    def enters(self, node: Node | None) -> bool:
        """Whether the node is looked at: PyTorch always looks at a single root, hooks and all."""
        return node in self.dependencies and (self.leads_on(node) or node is self._root)
