"""Running one operation: bring the inputs together, compute, and record a node when someone cares.

This is the general way; :mod:`reference_engine.fast` has a short one for the common case.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any, NamedTuple, TypeAlias

from reference_engine.anomaly import note_traceback
from reference_engine.backends.base import COMPLEX, DIFFERENTIABLE, Backend, Kernel
from reference_engine.forward import push_forward
from reference_engine.graph import CONSTANT, Node, OpNode, new_node, node_type
from reference_engine.modes import MODES
from reference_engine.ops.accepted import as_torch, check, least_of
from reference_engine.ops.opdef import OpDef
from reference_engine.ops.plan import Plan
from reference_engine.ops.promotion import Common, bring_together
from reference_engine.saved_tensors import as_saved, pack
from reference_engine.tensor import Tensor, from_raw
from reference_engine.views import make_view

#: of an op's inputs the nodes whose outputs they are and which of these, and the inputs that have
#: such a node
Edges: TypeAlias = "tuple[tuple[Node | None, ...], tuple[int, ...], tuple[int, ...]]"


class Operator:
    """An op ready to run: its row, its kernels by array type, its plans."""

    def __init__(self, op: OpDef) -> None:
        self.op = op
        self.view = op.view
        self.kernels: dict[type, Kernel] = {}
        #: by the kinds of inputs, what they are brought to
        self.common: dict[tuple[object, ...], Common] = {}
        #: by the inputs that require grad ((0,) for a variadic op) and whether it is complex
        self.plan: Callable[[tuple[int, ...], bool], Plan] = cache(partial(Plan, op))
        self.variadic = op.variadic
        self.single = op.outputs == ("y",)
        #: several outputs come as a named tuple, any number of them as a tuple
        self.collect: Callable[..., tuple[Any, ...]] = tuple
        if not self.single and not op.outputs[0].startswith("*"):
            named = namedtuple(op.name.split(".")[-1].strip("_"), op.outputs)  # type: ignore[misc]
            self.collect = lambda outputs: named(*outputs)
        self.names = names = [n.lstrip("*") for n in op.inputs]
        #: which inputs have a derivative
        self.follows = tuple(n in op.rules for n in names)
        #: which inputs' dtypes are brought together
        self.promoted = tuple(
            op.promotion != "keep" and (n in op.rules or not op.rules) for n in names
        )
        self.promotes = any(self.promoted)
        #: what it is called in place
        self.writing = op.name.split(".")[-1] + "_"
        #: the least category of its inputs
        self.least = least_of(op.name)

    def for_each(self, flags: tuple[bool, ...], inputs: Sequence[Any]) -> tuple[bool, ...]:
        """One flag for each input of a call."""
        return flags * len(inputs) if self.variadic else flags

    @cached_property
    def node_class(self) -> type[OpNode]:
        """The class of the op's nodes."""
        return node_type(self.op.node)

    @cached_property
    def overloads(self) -> list[tuple[str, int | None, Callable[[Any], type[OpNode]]]]:
        """By parameter or input (and its place), the class of nodes of PyTorch's overloads."""
        names, stem = self.op.inputs, self.op.node[:-1]

        def class_of(digit: int | Callable[[Any], int]) -> Callable[[Any], type[OpNode]]:
            if callable(digit):
                return lambda value: node_type(f"{stem}{digit(value)}")
            made = node_type(f"{stem}{digit}")
            return lambda value: made

        return [
            (name, names.index(name) if name in names else None, class_of(digit))
            for name, digit in self.op.nodes.items()
        ]

    def node_class_for(self, inputs: Sequence[Any], params: Mapping[str, Any]) -> type[OpNode]:
        """The class of a node: PyTorch's overloads of an op have nodes of their own."""
        for name, place, class_of in self.overloads:
            value = params.get(name) if place is None else inputs[place]
            if value is not None and (place is None or isinstance(value, Tensor)):
                return class_of(value)
        return self.node_class

    def kernel(self, backend: Backend) -> Kernel:
        """The function that computes the op on a backend's arrays."""
        found = self.kernels.get(backend.array_type)
        if found is None:
            found = backend.kernel(self.op.forward)
            if not backend.batched:  # ``fast`` must not find it
                self.kernels[backend.array_type] = found
        return found


@cache
def operator(op: OpDef) -> Operator:
    """The running form of a row."""
    return Operator(op)


class Call(NamedTuple):
    """One run of an op: its inputs, their arrays as the op saw them (promoted), its outputs."""

    run: Operator
    inputs: Sequence[Any]
    raws: Sequence[Any]
    params: Mapping[str, Any]
    outputs: Sequence[Tensor]


def apply(run: Operator, inputs: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Runs an op on tensors, Python numbers and None (a missing optional input).

    Returns a tensor, or a tuple of them for an op with several outputs. Raises TypeError for an
    input that is no tensor, RuntimeError for inputs on different devices, and what the forward rule
    raises.
    """
    raws, backend, taken = bring_together(run, inputs)
    if not taken and params.get("dtype") is None:
        check(run.op.name, run.least, inputs)
    if backend.batched:
        from reference_engine.ops.batching import align

        inputs, raws = align(run.op.name, inputs, raws, params)
    out: Any = compute(run, backend, raws, params)
    edges = input_edges(run, inputs) if MODES.recording else None
    if not run.single:
        arrays = tuple(out) if run.view else tuple(map(backend.wrap, out))
    elif type(out) is not backend.array_type:
        arrays = (backend.wrap(out),)
    elif not run.view and id(out) in map(id, raws):  # positive(x): an alias that is no view
        arrays = (backend.copy(out),)
    else:
        arrays = (out,)
    node = None if edges is None else make_node(run, inputs, params, arrays, edges)
    outputs: Sequence[Tensor]
    if run.view:
        outputs = make_view(run, inputs[0], params, arrays, node)
    else:
        outputs = [from_raw(array) for array in arrays]
        if node is not None:
            keep(node, inputs, raws, outputs, arrays)
    if MODES.forward and not DIFFERENTIABLE.isdisjoint([array.dtype for array in arrays]):
        push_forward(Call(run, inputs, raws, params, outputs))
    return outputs[0] if run.single else run.collect(outputs)


def compute(run: Operator, backend: Backend, raws: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """What the op's kernel gives, and its errors as PyTorch raises them."""
    try:
        kernel = run.kernels.get(backend.array_type) or run.kernel(backend)
        kinds = [getattr(raw, "dtype", None) for raw in raws]
        if not backend.narrow.isdisjoint(kinds) and not run.view:
            kernel = backend.wide(kernel)
        return MODES.run(kernel, *raws, **params)
    except (ValueError, TypeError, RuntimeError) as error:
        raise as_torch(run.op.name, run.op.kind, error, raws, params.get("dim")) from None


def input_edges(run: Operator, inputs: Sequence[Any]) -> Edges | None:
    """The graph edges of the differentiable inputs; None when no input requires grad."""
    parents: list[Node | None] = []
    nrs: list[int] = []
    wanted: list[int] = []
    found = False
    for place, x in enumerate(inputs):
        parent, nr = None, 0
        if isinstance(x, Tensor) and x._tracked and run.follows[0 if run.variadic else place]:
            parent, nr = x._grad_fn, x._nr
            if parent is None:
                parent, nr = x._edge()
            if parent is not None:
                wanted.append(place)
            # a view made in no_grad requires grad and has no edge; so will what comes of it
            found = found or parent is not None or x.requires_grad
        parents.append(parent)
        nrs.append(nr)
    return (tuple(parents), tuple(nrs), tuple(wanted)) if found else None


def make_node(
    run: Operator,
    inputs: Sequence[Any],
    params: Mapping[str, Any],
    outputs: Sequence[Any],
    edges: Edges,
) -> OpNode | None:
    """A node without saved values; ``outputs`` are arrays. None where none has a derivative."""
    metas = tuple([(out.shape, out.dtype) for out in outputs])
    if DIFFERENTIABLE.isdisjoint([dtype for _, dtype in metas]):
        return None
    parents, nrs, wanted = edges
    # only elementwise rules, of one output, ask whether that is complex
    plan = run.plan((0,) if run.variadic else wanted, metas[0][1] in COMPLEX)
    facts = plan.facts(inputs, params)
    node_class = run.node_class_for(inputs, params) if run.op.nodes else run.node_class
    node = new_node(node_class, plan, parents, nrs, metas, (), facts)
    if MODES.anomaly:
        note_traceback(node)
    return node


def keep(
    node: OpNode,
    inputs: Sequence[Any],
    raws: Sequence[Any],
    outputs: Sequence[Tensor],
    arrays: Sequence[Any],
) -> None:
    """Saves what the node of an op that has run needs, and makes its outputs the node's."""
    sources = node._plan.sources
    if sources:
        missing = [None] * (len(node._plan.op.inputs) - len(inputs))
        tensors = [*inputs, *missing, *outputs]
        if MODES.transforms:
            tensors = list(map(as_saved, tensors))
        saved = save(sources, tensors, [*raws, *missing, *arrays])
        node._saved = pack(saved, inputs)
    for nr, out in enumerate(outputs):
        if out._raw.dtype in DIFFERENTIABLE:
            out._grad_fn, out._nr, out._tracked = node, nr, True


def save(sources: Sequence[int], tensors: Sequence[Any], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The flat triples of (value, storage, version) that a plan's sources ask for.

    ``tensors`` are an op's inputs, numbers and None among them, and its outputs; ``arrays`` what
    was computed with.
    """
    saved: list[Any] = []
    for place in sources:
        x = tensors[place]
        if type(x) is Tensor or isinstance(x, Tensor):
            storage = x._storage
            saved += (arrays[place], storage, storage.version)
        else:
            saved += (arrays[place], CONSTANT, 0)
    return tuple(saved)
