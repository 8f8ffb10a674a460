"""The graph: nodes, each knowing whose outputs its inputs were, and what it saved.

Edges point from outputs to inputs only, and a node never holds a tensor that holds the node, so
graphs have no reference cycles: dropping the last tensor frees the graph at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from reference_engine.backends.base import BACKENDS, DIFFERENTIABLE, Shape, of_array
from reference_engine.hooks import Hooks, NodeHooks, RemovableHandle
from reference_engine.ops.plan import Plan
from reference_engine.storage import Detached, new_storage

if TYPE_CHECKING:
    from reference_engine.saved_tensors import Packed
    from reference_engine.tensor import Tensor

#: shape and raw dtype of a node's output
Meta: TypeAlias = "tuple[Shape, Any]"
#: a cotangent: a raw array, or a tensor when a graph is being created; None is undefined
Cotangent: TypeAlias = Any
Cotangents: TypeAlias = "Sequence[Cotangent]"
#: for each input of a node, whether its cotangent is needed; None: all are
Wanted: TypeAlias = "Sequence[bool] | None"
#: what a node saved, flat: (value, storage, version at the time) for each; None once it is freed
Saved: TypeAlias = "tuple[Any, ...] | Packed | None"
#: a place in the graph: which output of which node; no node where no gradient is wanted
Edge: TypeAlias = "tuple[Node | None, int]"

NO_EDGE: Edge = (None, 0)
_new = object.__new__

#: falls with every node: heaps pop the smallest, and backward goes from the latest node to the
#: first
priorities = count(0, -1)
#: leaves accumulate as soon as they are complete, before any other node
_leaf_priorities = count(-(1 << 62), -1)
#: several threads may run backward into the same leaves; saving what accumulation computes may run
#: hooks, which may run backward again
_accumulating = RLock()
#: the storage of saved numbers, which nobody can modify
CONSTANT = new_storage()


class Node:
    """An operation in the graph.

    ``next`` and ``nrs`` hold, for each array input, the node whose output it was and which of its
    outputs, or None when the input requires no grad. ``metas`` describe the node's own outputs.
    """

    __slots__ = ("__weakref__", "hooks", "metas", "next", "nrs", "priority")

    next: tuple[Node | None, ...]
    nrs: tuple[int, ...]
    metas: tuple[Meta, ...]
    priority: int
    hooks: NodeHooks | None
    _saved: Saved

    def link(self, edges: Sequence[Edge], metas: tuple[Meta, ...]) -> None:
        """Puts a new node into the graph."""
        self.next, self.nrs = tuple([node for node, _ in edges]), tuple([nr for _, nr in edges])
        self.metas = metas
        self.priority = next(priorities)
        self.hooks = None

    def name(self) -> str:
        """The node's name, as PyTorch spells it."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"

    @property
    def next_functions(self) -> tuple[Edge, ...]:
        """(node, output number) of each input."""
        return tuple(zip(self.next, self.nrs, strict=True))

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for the user's notes."""
        return self.attached().metadata

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(grad_inputs, grad_outputs)`` after the node; a tuple returned replaces the
        first.
        """
        return RemovableHandle(self.attached().post, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(grad_outputs)`` before the node; a tuple returned replaces them."""
        return RemovableHandle(self.attached().pre, hook)

    def attached(self) -> NodeHooks:
        """The node's hooks, made when first asked for."""
        if self.hooks is None:
            self.hooks = NodeHooks()
        return self.hooks

    def output_hooks(self, nr: int) -> Hooks:
        """The hooks of the tensor that is output ``nr``."""
        return self.attached().output.setdefault(nr, {})

    def run(self, grads: Cotangents, F: Any, wanted: Wanted) -> Cotangents:
        """The cotangents of the inputs from those of the outputs.

        ``F`` is the namespace of raw arrays or of tensors that ``grads`` are made of. Where
        ``wanted`` is False the cotangent need not be computed.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Frees saved values: the node can then run again only if it had none."""

    def _unpacked(self) -> tuple[Any, ...]:
        """The saved values; RuntimeError when they have been freed."""
        if self._saved is None:
            raise RuntimeError(
                f"the values that {self.name()} saved for its gradient have been freed by an "
                "earlier backward; call that one with retain_graph=True to go through the graph "
                "again"
            )
        return self._saved if isinstance(self._saved, tuple) else self._saved.unpack()

    def _place(self, number: int) -> Edge:
        """Where a saved value was: at the edge to an input, or an output of this node."""
        raise NotImplementedError

    def _check_versions(self, saved: tuple[Any, ...]) -> None:
        for i in range(1, len(saved), 3):
            if saved[i].version != saved[i + 1]:
                self._refuse_changed(saved[i - 1], saved[i].version, saved[i + 1], i // 3)

    def _refuse_changed(self, raw: Any, now: int, then: int, number: int) -> None:
        """Raises for a saved value whose version moved on, or an input detached in place."""
        needed = f"{self.name()} needs a tensor of shape {list(raw.shape)}"
        if not isinstance(now, Detached) or int(now) != int(then):
            raise RuntimeError(
                f"{needed} as it was at version {then}, but an in-place operation has since "
                f"modified it (version {now}); modify a clone() instead"
            )
        place = self._place(number)
        # custom Functions do not mind, as in PyTorch
        if isinstance(self, OpNode) and place[0] not in (None, self) and now.was(raw, *place):
            raise RuntimeError(
                f"{needed} that has since been detached in place; use detach() instead"
            )

    def _rebuild(self, saved: tuple[Any, ...], output: Tensor | None = None) -> list[Any]:
        """Saved values as tensors with their place in the graph, and the tangents that they had.

        ``output`` is where in the graph a write into a view has its saved output, see ``inplace``.
        """
        from reference_engine.tensor import from_graph

        made: list[Any] = []
        tangents = () if self.hooks is None else self.hooks.tangents
        for i, (raw, storage) in enumerate(zip(saved[::3], saved[1::3], strict=True)):
            node, nr = self._place(i)
            if node is self and output is not None:
                node, nr = output._edge()
            if storage is CONSTANT and not hasattr(raw, "shape"):
                made.append(raw)  # a number that was not brought together with others, or None
            elif tangents and tangents[i]:
                made.append(from_graph(raw, storage, node, nr))
                made[-1]._extras().tangents = tangents[i]
            elif isinstance(node, AccumulateGrad) and node.variable._raw is raw:
                made.append(node.variable)
            else:
                # an output as an array of its own: to detach it in place leaves this one alone
                alias = raw[...] if node is self and not of_array(raw).batched else raw
                made.append(from_graph(alias, storage, node, nr))
        return made


class GradientEdge(NamedTuple):
    """A place in the graph to start a backward from or to go to, without the tensor that was there.

    ``ownership_token`` keeps alive what the edge needs.
    """

    node: Node
    output_nr: int
    ownership_token: Any = None


class OpNode(Node):
    """The node of an op of the table, whose plan says what it saves; a subclass per op gives it its
    name.
    """

    __slots__ = ("_facts", "_plan", "_saved")

    _plan: Plan
    _facts: tuple[Any, ...]

    def run(
        self, grads: Cotangents, F: Any, wanted: Wanted, output: Tensor | None = None
    ) -> Cotangents:
        """``output`` as in ``_rebuild``."""
        plan = self._plan
        saved = self._saved
        if type(saved) is not tuple:
            saved = self._unpacked()
        if grads[0] is None and all(g is None for g in grads):
            return [None] * len(self.next)
        pool: list[Any] = self._cotangents(grads, F) if plan.multiple else [grads[0]]
        if saved:
            self._check_versions(saved)
            pool += self._rebuild(saved, output) if F.creates_graph else saved[::3]
        if self._facts:
            pool += self._facts
        outs: list[Cotangent] = [None] * len(self.next)
        for i, rule, pick in plan.steps:
            if wanted is None or wanted[i] or plan.variadic:
                outs[i] = rule(F, *pool) if pick is None else rule(F, *pick(pool))
        return outs[0] if plan.variadic else outs  # whose rule gives the cotangents of all inputs

    def _cotangents(self, grads: Cotangents, F: Any) -> list[Any]:
        """The cotangents of a node with several outputs, undefined ones filled with zeros where the
        rules want them.
        """
        if self._plan.op.undefined:
            return list(grads)
        grads = [
            g if g is not None or dtype not in DIFFERENTIABLE else F.zeros(shape, dtype, grads)
            for g, (shape, dtype) in zip(grads, self.metas, strict=True)
        ]
        return [tuple(grads)] if self._plan.op.outputs[0].startswith("*") else grads

    def _place(self, number: int) -> Edge:
        source, inputs = self._plan.sources[number], len(self.next)
        if source < inputs:
            return self.next[source], self.nrs[source]
        return self, source - inputs

    def release(self) -> None:
        """Frees saved values."""
        if self._saved or (self._facts and any(map(_holds_array, self._facts))):
            self._saved, self._facts = None, ()
            if self.hooks is not None:
                self.hooks.tangents = ()

    def __getattr__(self, name: str) -> Any:
        """``_saved_<name>``: an input, output (``_saved_result``) or parameter that was saved."""
        if name.startswith("_saved_"):
            places, wanted = self._plan.places(), name.removeprefix("_saved_")
            if wanted in places:
                place = places[wanted]
                if place is None:
                    return None
                saved = self._unpacked()
                self._check_versions(saved)
                return [*self._rebuild(saved), *self._facts][place]
        raise AttributeError(f"{self.name()} has no attribute {name!r}")


def _holds_array(fact: Any) -> bool:
    """Whether a parameter is, or as an index holds, an array: it is freed like a saved value."""
    return type(fact) in BACKENDS or (type(fact) is tuple and any(map(_holds_array, fact)))


def new_node(
    node_class: type[OpNode],
    plan: Plan,
    parents: tuple[Node | None, ...],
    nrs: tuple[int, ...],
    metas: tuple[Meta, ...],
    saved: tuple[Any, ...],
    facts: tuple[Any, ...],
) -> OpNode:
    """The node of an op that has just run (an ``__init__`` would cost 0.1 µs more)."""
    node = _new(node_class)
    node._plan = plan
    node._saved = saved
    node._facts = facts
    node.next = parents
    node.nrs = nrs
    node.metas = metas
    node.priority = next(priorities)
    node.hooks = None
    return node


class AccumulateGrad(Node):
    """The end of the graph at a leaf: adds what arrives to ``leaf.grad``.

    The graph keeps it, and it keeps the leaf; the leaf refers back weakly.
    """

    __slots__ = ("variable",)

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable
        self.next, self.nrs, self.hooks = (), (), None
        self.priority = next(_leaf_priorities)
        self.describe()
        if variable._rare.hooks:
            self.output_hooks(0)

    def describe(self) -> None:
        """Takes down what gradients must be: of the leaf's shape, and of its ``grad_dtype``."""
        raw, kind = self.variable._raw, self.variable._rare.grad_dtype
        dtype = raw.dtype if kind == "own" else kind and of_array(raw).raw_dtype(kind)
        self.metas = ((tuple(raw.shape), dtype),)

    def output_hooks(self, nr: int) -> Hooks:
        """The leaf's tensor hooks, which outlive this node."""
        hooks = self.attached().output[nr] = self.variable._extras().hooks
        return hooks

    def run(self, grads: Cotangents, F: Any, wanted: Wanted) -> Cotangents:
        """Accumulates."""
        del wanted
        leaf = self.variable
        if grads[0] is not None and leaf._tracked:
            with _accumulating:
                F.accumulate(leaf, grads[0])
            if leaf._rare.accumulated:
                leaf._run_post_accumulate_hooks()
        return ()


@cache
def node_type(name: str) -> type[OpNode]:
    """The class of an op's nodes."""
    return type(name, (OpNode,), {"__slots__": (), "__module__": __name__})
