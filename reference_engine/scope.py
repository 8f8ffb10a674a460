"""How far one backward run goes: everywhere, or to the targets it was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reference_engine.graph import Cotangent, Node

#: a place in the graph: output ``nr`` of a node
Edge = tuple[Node, int]


class Scope:
    """What a run with given targets is limited to, and what arrives at them.

    With ``accumulate`` the targets run too, so that leaves among them fill their ``.grad``.
    """

    def __init__(self, targets: Sequence[Edge], accumulate: bool) -> None:
        self.captured: dict[Edge, Cotangent] = {}
        self._accumulate = accumulate
        self._targets: dict[Node, list[int]] = {}
        for node, nr in targets:
            self._targets.setdefault(node, []).append(nr)
        self._leading: set[Node] = set()
        self.root: Node | None = None

    def reach(self, reached: Iterable[Node]) -> None:
        """Finds, among the nodes reached, those from which a step or more leads to a target."""
        children: dict[Node, list[Node]] = {}
        for node in reached:
            for parent in node.next:
                if parent is not None:
                    children.setdefault(parent, []).append(node)
        stack = [child for target in self._targets for child in children.get(target, ())]
        while stack:
            node = stack.pop()
            if node not in self._leading:
                self._leading.add(node)
                stack.extend(children.get(node, ()))

    def capture(self, node: Node, grads: Sequence[Cotangent]) -> None:
        """Keeps what has arrived at a target."""
        for nr in self._targets.get(node, ()):
            self.captured[node, nr] = grads[nr]

    def runs(self, node: Node) -> bool:
        """Whether the node itself must run."""
        return node in self._leading or (self._accumulate and node in self._targets)

    def enters(self, node: Node) -> bool:
        """Whether the node is looked at: PyTorch always looks at a single root, hooks and all."""
        return self.leads_on(node) or node is self.root

    def leads_on(self, node: Node) -> bool:
        """Whether a cotangent for the node is wanted."""
        return node in self._leading or node in self._targets


class Task:
    """One backward run: the innermost that is going on is ``MODES.task``."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope
        #: the nodes that can be reached, and how many edges to each have not been walked yet
        self.dependencies: Mapping[Node, int] = {}

    def visits(self, node: Node | None) -> bool:
        """Whether the run comes, or has come, to a node."""
        found = node in self.dependencies
        return found and (self.scope is None or node is None or self.scope.enters(node))
