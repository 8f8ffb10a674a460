"""How far one backward run goes: everywhere, or to the targets it was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
        if targets is None:
            return
        self.captured: dict[Edge, Cotangent] = {}
        #: the targets' outputs that are wanted
        self.targets: dict[Node, list[int]] = {}
        for node, nr in targets:
            self.targets.setdefault(node, []).append(nr)
        self.running = leading(self.dependencies, self.targets)
        #: the nodes that a cotangent is wanted for, and those of them that must run
        self.wanted = self.running.union(self.targets)
        if accumulate:
            self.running = self.wanted
        #: PyTorch always looks at a single root, hooks and all
        self.root = nodes[0] if len(nodes) == 1 else None

    def enters(self, node: Node | None) -> bool:
        """Whether the run comes, or has come, to a node."""
        looked_at = self.everywhere or node in self.wanted or node is self.root
        return node is not None and node in self.dependencies and looked_at
