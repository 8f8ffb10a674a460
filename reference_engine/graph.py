"""The graph: nodes, each knowing whose outputs its inputs were, and what it saved.

Edges point from outputs to inputs only, and a node never holds a tensor that holds the node, so
graphs have no reference cycles: dropping the last tensor frees the graph at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from weakref import ref

from reference_engine import errors
from reference_engine.backends.base import BACKENDS, DIFFERENTIABLE, Shape, of_array
from reference_engine.ops.plan import Plan
from reference_engine.storage import Detached, Storage, new_storage

if TYPE_CHECKING:
    from reference_engine.forward import Tangents
    from reference_engine.hooks import RemovableHandle
    from reference_engine.saved_tensors import Dual, Packed
    from reference_engine.tensor import Tensor

#: shape and raw dtype of a node's output
Meta: TypeAlias = "tuple[Shape, Any]"
#: a cotangent: a raw array, or a tensor when a graph is being created; None is undefined
Cotangent: TypeAlias = Any

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


class NodeHooks:
    """What has been attached to a node; most nodes have none."""

    __slots__ = ("metadata", "output", "post", "pre", "retained")

    def __init__(self) -> None:
        self.metadata: dict[Any, Any] = {}
        #: tensor hooks, by output: called with that output's cotangent, in order of registration
        self.output: dict[int, dict[int, Callable[..., Any]]] = {}
        self.pre: dict[int, Callable[..., Any]] = {}
        self.post: dict[int, Callable[..., Any]] = {}
        #: outputs whose tensor asked to retain_grad
        self.retained: dict[int, ref[Tensor]] = {}


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

    def name(self) -> str:
        """The node's name, as PyTorch spells it."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
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
        from reference_engine.hooks import RemovableHandle

        return RemovableHandle(self.attached().post, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls ``hook(grad_outputs)`` before the node; a tuple returned replaces them."""
        from reference_engine.hooks import RemovableHandle

        return RemovableHandle(self.attached().pre, hook)

    def attached(self) -> NodeHooks:
        """The node's hooks, made when first asked for."""
        if self.hooks is None:
            self.hooks = NodeHooks()
        return self.hooks

    def run(
        self, grads: Sequence[Cotangent], F: Any, wanted: Sequence[bool] | None
    ) -> Sequence[Cotangent]:
        """The cotangents of the inputs from those of the outputs.

        ``F`` is the namespace of raw arrays or of tensors that ``grads`` are made of. Where
        ``wanted`` is False the cotangent need not be computed.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Frees saved values: the node can then run again only if it had none."""


class GradientEdge(NamedTuple):
    """A place in the graph to start a backward from or to go to, without the tensor that was there.

    ``ownership_token`` keeps alive what the edge needs.
    """

    node: Node
    output_nr: int
    ownership_token: Any = None


class OpNode(Node):
    """The node of an op of the table; a subclass per op gives it its name.

    ``saved`` is flat: (value, storage, version at the time) for each of the plan's sources.
    """

    __slots__ = ("_facts", "_plan", "_saved")

    _plan: Plan
    _saved: tuple[Any, ...] | Packed | Dual | None
    _facts: tuple[Any, ...]

    def run(
        self,
        grads: Sequence[Cotangent],
        F: Any,
        wanted: Sequence[bool] | None,
        output: Tensor | None = None,
    ) -> Sequence[Cotangent]:
        """``output`` stands for the saved output of a write into a view, see ``inplace``."""
        plan = self._plan
        saved = self._saved
        if type(saved) is not tuple:
            saved = self._unpacked()
        if grads[0] is None and all(g is None for g in grads):
            return [None] * len(self.next)
        pool: list[Any] = self._cotangents(grads, F) if plan.multiple else [grads[0]]
        if saved:
            self._check_versions(saved)
            values = self._rebuild(saved, output) if F.creates_graph else saved[::3]
            pool += self._grouped(values) if plan.variadic else values
        if self._facts:
            pool += self._facts
        if plan.variadic:
            return self._run_variadic(pool, F)
        if len(plan.steps) == len(self.next) == 1:
            ((_, rule, picks),) = plan.steps
            return (rule(F, *pool) if picks is None else rule(F, *[pool[i] for i in picks]),)
        outs: list[Cotangent] = [None] * len(self.next)
        for i, rule, picks in plan.steps:
            if wanted is None or wanted[i]:
                outs[i] = rule(F, *pool) if picks is None else rule(F, *[pool[k] for k in picks])
        return outs

    def _run_variadic(self, pool: list[Any], F: Any) -> Sequence[Cotangent]:
        ((_, rule, picks),) = self._plan.steps
        outs: Sequence[Cotangent] = rule(F, *(pool if picks is None else [pool[i] for i in picks]))
        return outs

    def _grouped(self, values: Sequence[Any]) -> list[Any]:
        """The saved values of a variadic op: its inputs are one value, a tuple."""
        if 0 not in self._plan.sources:
            return list(values)
        n = len(self.next)
        return [tuple(values[:n]), *values[n:]]

    def _cotangents(self, grads: Sequence[Cotangent], F: Any) -> list[Any]:
        """The cotangents of a node with several outputs, undefined ones filled with zeros where the
        rules want them.
        """
        if self._plan.op.undefined:
            return list(grads)
        grads = [
            g if g is not None or dtype not in DIFFERENTIABLE else F.zeros(shape, dtype, grads)
            for g, (shape, dtype) in zip(grads, self.metas, strict=True)
        ]
        variadic = self._plan.op.outputs[0].startswith("*")
        return [tuple(grads)] if variadic else grads

    def _unpacked(self) -> tuple[Any, ...]:
        """The saved values; RuntimeError when they have been freed."""
        from reference_engine.saved_tensors import unpack

        if self._saved is None:
            raise errors.freed(self.name())
        return unpack(self._saved)

    def _check_versions(self, saved: tuple[Any, ...]) -> None:
        for i in range(1, len(saved), 3):
            if saved[i].version != saved[i + 1]:
                source = self._saved_sources()[i // 3]
                place = (None, 0) if source >= len(self.next) else self.next_functions[source]
                refuse_changed(self, saved[i - 1], saved[i + 1], saved[i].version, place)

    def _rebuild(self, saved: tuple[Any, ...], output: Tensor | None = None) -> list[Any]:
        """Saved values as tensors with their place in the graph."""
        sources = self._saved_sources()
        values = [
            self._tensor(source, value, storage)
            if output is None or source < len(self.next)
            else output
            for source, value, storage in zip(sources, saved[::3], saved[1::3], strict=True)
        ]
        tangents = getattr(self._saved, "tangents", None)
        return values if tangents is None else list(map(with_tangents, values, tangents))

    def _saved_sources(self) -> tuple[int, ...]:
        if self._plan.variadic and self._plan.sources:
            n = len(self.next)
            return tuple(range(n)) + tuple(n + s - 1 for s in self._plan.sources if s > 0)
        return self._plan.sources

    def _tensor(self, source: int, value: Any, storage: Storage) -> Any:
        """One saved value: an input, seen through this node's edge, or an output of this node."""
        from reference_engine.tensor import from_graph

        if storage is CONSTANT:
            # a number, or None; one brought together with the other inputs is an array
            return from_graph(value, storage, None, 0) if hasattr(value, "shape") else value
        if source < len(self.next):
            node, nr = self.next[source], self.nrs[source]
            if isinstance(node, AccumulateGrad) and node.variable._raw is value:
                return node.variable
            return from_graph(value, storage, node, nr)
        # an array of its own: to detach the output in place leaves what is saved of this alone
        alias = value if of_array(value).batched else value[...]
        return from_graph(alias, storage, self, source - len(self.next))

    def release(self) -> None:
        """Frees saved values."""
        if self._saved or any(map(_holds_array, self._facts)):
            self._saved = None
            self._facts = ()

    def __getattr__(self, name: str) -> Any:
        """``_saved_<name>``: an input, output (``_saved_result``) or parameter that was saved."""
        if not name.startswith("_saved_"):
            raise AttributeError(f"{self.name()} has no attribute {name!r}")
        return self._saved_value(name[len("_saved_") :])

    def _saved_value(self, name: str) -> Any:
        plan, op = self._plan, self._plan.op
        inputs = [n.lstrip("*") for n in op.inputs]
        spelled = dict(zip(("self", "other"), inputs, strict=False)) | {"result": plan.outputs[0]}
        name = name if name in inputs else spelled.get(name, name)
        place = {**{n: i for i, n in enumerate(inputs)}}
        place |= {n: len(inputs) + i for i, n in enumerate(plan.outputs)}
        if name in plan.fact_names and self._facts:
            return self._facts[plan.fact_names.index(name)]
        if place.get(name) not in plan.sources:
            if name in place and name in inputs:
                return None
            raise AttributeError(f"{self.name()} has no attribute '_saved_{name}'")
        saved = self._unpacked()
        self._check_versions(saved)
        return self._rebuild(saved)[plan.sources.index(place[name])]


def refuse_changed(by: Node, raw: Any, then: int, now: int, place: tuple[Node | None, int]) -> None:
    """Raises for a saved input at a place whose version moved on, or that was detached in place."""
    if not isinstance(now, Detached) or int(now) != int(then):
        raise errors.modified(by.name(), tuple(raw.shape), then, now)
    if place[0] is not None and now.was(raw, *place):
        raise errors.detached(by.name(), tuple(raw.shape))


def with_tangents(x: Any, tangents: Tangents | None) -> Any:
    """A saved tensor with the tangents that it had."""
    if tangents is None:
        return x
    from reference_engine.tensor import from_graph

    made = from_graph(x._raw, x._storage, *x._edge())
    made._extras().tangents = tangents
    return made


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
        self.next = ()
        self.nrs = ()
        self.describe()
        self.priority = next(_leaf_priorities)
        self.hooks = None
        rare = variable._rare
        if rare is not None and rare.hooks:
            self.leaf_hooks()

    def describe(self) -> None:
        """Takes down what gradients must be: of the leaf's shape, and of its ``grad_dtype``."""
        raw, rare = self.variable._raw, self.variable._rare
        dtype = raw.dtype
        if rare is not None and rare.leaf is not None and rare.leaf.grad_dtype != "own":
            kind = rare.leaf.grad_dtype
            dtype = None if kind is None else of_array(raw).raw_dtype(kind)
        self.metas = ((tuple(raw.shape), dtype),)

    def leaf_hooks(self) -> dict[int, Callable[..., Any]]:
        """The leaf's tensor hooks, which outlive this node."""
        hooks = self.variable._extras().hooks
        self.attached().output[0] = hooks
        return hooks

    def run(
        self, grads: Sequence[Cotangent], F: Any, wanted: Sequence[bool] | None
    ) -> Sequence[Cotangent]:
        """Accumulates."""
        del wanted
        leaf = self.variable
        if grads[0] is not None and leaf._tracked:
            with _accumulating:
                F.accumulate(leaf, grads[0])
            if leaf._rare is not None and leaf._rare.leaf is not None:
                leaf._rare.leaf.run_hooks(leaf)
        return ()


_node_types: dict[str, type[OpNode]] = {}


def node_type(name: str) -> type[OpNode]:
    """The class of an op's nodes, made when first needed."""
    found = _node_types.get(name)
    if found is None:
        found = _node_types[name] = type(name, (OpNode,), {"__slots__": (), "__module__": __name__})
    return found
