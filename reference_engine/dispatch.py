"""Running one operation: bring the inputs together, compute, and record a node when someone cares.

This is the general way; :mod:`reference_engine.fast` has a short one for the common case.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any, NamedTuple

from reference_engine.anomaly import note_traceback
from reference_engine.backends.base import BACKENDS, COMPLEX, DIFFERENTIABLE, Backend, Kernel
from reference_engine.forward import push_forward
from reference_engine.graph import CONSTANT, NO_EDGE, Edge, OpNode, new_node, node_type
from reference_engine.modes import MODES
from reference_engine.ops.accepted import check, least_of
from reference_engine.ops.opdef import OpDef
from reference_engine.ops.plan import Plan
from reference_engine.ops.promotion import bring_together
from reference_engine.saved_tensors import pack
from reference_engine.tensor import Tensor, from_raw
from reference_engine.views import make_view


class Operator:
    """An op ready to run: its row, its kernels by array type, its plans."""

    def __init__(self, op: OpDef) -> None:
        self.op = op
        self.kernels: dict[type, Kernel] = {}
        #: by the inputs that require grad ((0,) for a variadic op) and whether it is complex
        self.plan: Callable[[tuple[int, ...], bool], Plan] = cache(partial(Plan, op))
        self.variadic = op.variadic
        self.single = op.outputs == ("y",)
        #: several outputs come as a named tuple, any number of them as a tuple
        self.collect: Callable[..., tuple[Any, ...]] = tuple
        if not self.single and not op.outputs[0].startswith("*"):
            named = namedtuple(op.name.split(".")[-1].strip("_"), op.outputs)  # type: ignore[misc]
            self.collect = lambda outputs: named(*outputs)
        names = [n.lstrip("*") for n in op.inputs]
        #: which inputs have a derivative
        self.follows = tuple(n in op.rules for n in names)
        #: which inputs' dtypes are brought together
        self.promoted = tuple(
            op.promotion != "keep" and (n in op.rules or not op.rules) for n in names
        )
        self.promotes = any(self.promoted)
        #: the least category of its inputs
        self.least = least_of(op.name)

    def for_each(self, flags: tuple[bool, ...], inputs: Sequence[Any]) -> tuple[bool, ...]:
        """One flag for each input of a call."""
        return flags * len(inputs) if self.variadic else flags

    @cached_property
    def node_class(self) -> type[OpNode]:
        """The class of the op's nodes."""
        return node_type(self.op.node)

    def node_class_for(self, inputs: Sequence[Any], params: Mapping[str, Any]) -> type[OpNode]:
        """The class of a node: PyTorch's overloads of an op have nodes of their own."""
        for name, number in self.op.nodes.items():
            names = self.op.inputs
            value = inputs[names.index(name)] if name in names else params.get(name)
            if value is not None and (name in params or isinstance(value, Tensor)):
                digit = number if isinstance(number, int) else number(value)
                return node_type(f"{self.op.node[:-1]}{digit}")
        return self.node_class

    def kernel(self, array_type: type) -> Kernel:
        """The function that computes the op on raw arrays of a type."""
        found = self.kernels.get(array_type)
        if found is None:
            backend = BACKENDS[array_type]
            found = backend.kernel(self.op.forward)
            if not backend.batched:  # ``fast`` must not find it
                self.kernels[array_type] = found
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
    raws, backend = bring_together(run, inputs)
    if run.least is not None and params.get("dtype") is None:
        check(run.op.name, run.least, inputs)
    array_type = backend.array_type
    if backend.batched:
        from reference_engine.ops.batching import align

        inputs, raws = align(run.op.name, inputs, raws, params)
    out: Any = compute(run, backend, raws, params)
    y: Any
    edges = input_edges(run, inputs) if MODES.recording else None
    if run.op.view:
        y = make_view(run, inputs[0], params, out, edges)
    elif run.single:
        if type(out) is not array_type:
            out = backend.wrap(out)
        elif id(out) in map(id, raws):  # positive(x): an alias that is no view
            out = backend.copy(out)
        y = from_raw(out)
    else:
        y = run.collect(from_raw(backend.wrap(raw)) for raw in out)
    if edges is None and not MODES.forward:
        return y
    call = Call(run, inputs, raws, params, (y,) if run.single else y)
    if not DIFFERENTIABLE.isdisjoint([x._raw.dtype for x in call.outputs]):
        if edges is not None and not run.op.view:
            record(call, edges)
        if MODES.forward:
            push_forward(call)
    return y


def compute(run: Operator, backend: Backend, raws: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """What the op's kernel gives; RuntimeError, as in PyTorch, when operands do not broadcast."""
    try:
        kernel = run.kernel(backend.array_type)
        if backend.narrow is not None and not run.op.view:
            kernel = backend.wide(kernel)
        return MODES.run(kernel, *raws, **params)
    except ValueError:
        if run.op.kind != "elementwise":
            raise
        shapes = " and ".join(str(list(getattr(raw, "shape", ()))) for raw in raws)
        raise RuntimeError(f"{run.op.name}: shapes {shapes} do not broadcast together") from None


def input_edges(run: Operator, inputs: Sequence[Any]) -> list[Edge] | None:
    """The graph edges of the differentiable inputs; None when no input requires grad."""
    edges = []
    found = False
    for x, follow in zip(inputs, run.for_each(run.follows, inputs), strict=False):
        edge = NO_EDGE
        if follow and isinstance(x, Tensor) and x._tracked:
            edge = x._edge()
            # a view made in no_grad requires grad and has no edge; so will what comes of it
            found = found or edge[0] is not None or x.requires_grad
        edges.append(edge)
    return edges if found else None


def record(call: Call, edges: Sequence[Edge]) -> None:
    """Makes the node of an op that has run, and the differentiable outputs its children."""
    run, inputs, raws, params, outputs = call
    arrays = [y._raw for y in outputs]
    node = make_node(run, inputs, params, arrays, edges)
    missing = [None] * (len(run.op.inputs) - len(inputs))
    tensors, arrays = [*inputs, *missing, *outputs], [*raws, *missing, *arrays]
    node._saved = pack(save(node._plan.sources, tensors, arrays), inputs)
    for nr, out in enumerate(outputs):
        if out._raw.dtype in DIFFERENTIABLE:
            out._grad_fn, out._nr, out._tracked = node, nr, True


def make_node(
    run: Operator,
    inputs: Sequence[Any],
    params: Mapping[str, Any],
    outputs: Sequence[Any],
    edges: Sequence[Edge],
) -> OpNode:
    """A node without saved values; ``outputs`` are arrays."""
    parents, nrs = zip(*edges, strict=True)
    wanted = (0,) if run.variadic else tuple([i for i, n in enumerate(parents) if n is not None])
    metas = tuple([(out.shape, out.dtype) for out in outputs])
    plan = run.plan(wanted, not COMPLEX.isdisjoint([dtype for _, dtype in metas]))
    facts = plan.facts(inputs, params)
    node_class = run.node_class_for(inputs, params) if run.op.nodes else run.node_class
    node = new_node(node_class, plan, parents, nrs, metas, (), facts)
    note_traceback(node)
    return node


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
