"""Running one operation: bring the inputs together, compute, and record a node when someone cares.

This is the general way; :mod:`reference_engine.fast` has a short one for the common case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from reference_engine.backends.base import BACKENDS, Backend, Kernel, of_array
from reference_engine.backends.dtypes import (
    Category,
    dtype,
    get_default_dtype,
    of_python,
    result_type,
)
from reference_engine.graph import CONSTANT, Node, OpNode, is_differentiable, new_node, node_type
from reference_engine.modes import MODES
from reference_engine.ops.opdef import OpDef
from reference_engine.ops.plan import PlanCache
from reference_engine.tensor import Tensor, from_raw
from reference_engine.views import make_view

NUMBERS = (bool, int, float, complex)


class Operator:
    """An op ready to run: its row, its kernels by array type, its plans."""

    def __init__(self, op: OpDef) -> None:
        self.op = op
        self.kernels: dict[type, Kernel] = {}
        self.plans = PlanCache(op)
        self.variadic = op.variadic
        #: indices of the inputs whose dtypes are brought together
        names = [n.lstrip("*") for n in op.inputs]
        self.promoted = frozenset(
            range(len(names)) if not op.rules else (i for i, n in enumerate(names) if n in op.rules)
        )

    @cached_property
    def node_class(self) -> type[OpNode]:
        """The class of the op's nodes."""
        return node_type(self.op.node)

    def kernel(self, array_type: type) -> Kernel:
        """The function that computes the op on raw arrays of a type."""
        found = self.kernels.get(array_type)
        if found is None:
            found = self.kernels[array_type] = BACKENDS[array_type].kernel(self.op.forward)
        return found


_operators: dict[str, Operator] = {}


def operator(op: OpDef) -> Operator:
    """The running form of a row."""
    found = _operators.get(op.name)
    if found is None or found.op is not op:
        found = _operators[op.name] = Operator(op)
    return found


def apply(run: Operator, inputs: Sequence[Any], params: Mapping[str, Any]) -> Any:
    """Runs an op on tensors, Python numbers and None (a missing optional input).

    Returns a tensor, or a tuple of them for an op with several outputs. Raises TypeError for an
    input that is no tensor, RuntimeError for inputs on different devices, and what the forward rule
    raises.
    """
    op = run.op
    raws, backend = bring_together(run, inputs)
    out = MODES.run(run.kernel(backend.array_type), *raws, **params)
    edges = input_edges(op, inputs) if MODES.recording else None
    if op.view:
        return make_view(run, inputs[0], params, out, edges)
    single = op.outputs == ("y",)
    outputs = tuple(from_raw(backend.wrap(raw)) for raw in ((out,) if single else out))
    if edges is not None and any(is_differentiable(o._raw.dtype) for o in outputs):
        record(run, inputs, raws, params, outputs, edges)
    return outputs[0] if single else outputs


def bring_together(run: Operator, inputs: Sequence[Any]) -> tuple[list[Any], Backend]:
    """The raw arrays of an op's inputs, on one backend and promoted as the row says."""
    op = run.op
    backend: Backend | None = None
    for position, x in enumerate(inputs):
        if isinstance(x, Tensor):
            own = of_array(x._raw)
            if backend is not None and own is not backend:
                devices = sorted({str(t.device) for t in inputs if isinstance(t, Tensor)})
                raise RuntimeError(
                    f"{op.name} got tensors on different devices, {' and '.join(devices)}; "
                    "move them together with to(device)"
                )
            backend = own
        elif x is not None and not isinstance(x, NUMBERS):
            name = op.inputs[0] if run.variadic else op.inputs[position]
            raise TypeError(
                f"{op.name}: argument {name!r} must be a Tensor, got {type(x).__name__}"
            )
    if backend is None:
        raise TypeError(f"{op.name} needs at least one Tensor, got {inputs!r}")
    common = None
    if op.promotion != "keep":
        common = _common_dtype(run, inputs)
    device = next(x._raw for x in inputs if isinstance(x, Tensor)).device
    raws = [
        _raw(backend, x, common if run.variadic or i in run.promoted else None, device)
        for i, x in enumerate(inputs)
    ]
    return raws, backend


def _common_dtype(run: Operator, inputs: Sequence[Any]) -> dtype:
    joined = inputs if run.variadic else [inputs[i] for i in run.promoted if i < len(inputs)]
    tensors = [x for x in joined if isinstance(x, Tensor)]
    common = result_type(
        (x.dtype for x in tensors if x._raw.ndim),
        (x.dtype for x in tensors if not x._raw.ndim),
        (of_python(x) for x in joined if isinstance(x, NUMBERS)),
    )
    if run.op.promotion == "float" and common.category < Category.FLOATING:
        return get_default_dtype()
    return common


def _raw(backend: Backend, x: Any, common: dtype | None, device: Any) -> Any:
    if isinstance(x, Tensor):
        return x._raw if common is None else backend.cast(x._raw, common)
    if x is None:
        return None
    return backend.asarray(x, common or of_python(x), device=device)


def input_edges(op: OpDef, inputs: Sequence[Any]) -> list[tuple[Node | None, int]] | None:
    """The graph edges of the differentiable inputs; None when no input requires grad."""
    if op.variadic:
        edges = [x._edge() for x in inputs] if op.rules else []
    else:
        edges = [
            x._edge() if isinstance(x, Tensor) and name in op.rules else (None, 0)
            for name, x in zip(op.inputs, inputs, strict=False)
        ]
    return edges if any(node is not None for node, _ in edges) else None


def record(
    run: Operator,
    inputs: Sequence[Any],
    raws: Sequence[Any],
    params: Mapping[str, Any],
    outputs: Sequence[Tensor],
    edges: Sequence[tuple[Node | None, int]],
) -> None:
    """Makes the node of an op that has run, and the differentiable outputs its children."""
    node = make_node(run, inputs, params, outputs, edges)
    node._saved = save(node, inputs, raws, outputs)
    for nr, out in enumerate(outputs):
        if is_differentiable(out._raw.dtype):
            out._grad_fn, out._nr, out._tracked = node, nr, True


def make_node(
    run: Operator,
    inputs: Sequence[Any],
    params: Mapping[str, Any],
    outputs: Sequence[Tensor],
    edges: Sequence[tuple[Node | None, int]],
) -> OpNode:
    """A node without saved values."""
    wanted = (0,) if run.variadic else tuple(i for i, (n, _) in enumerate(edges) if n is not None)
    plan = run.plans.get(wanted, any(out.dtype.is_complex for out in outputs))
    parents, nrs = zip(*edges, strict=True)
    metas = tuple((tuple(out._raw.shape), out._raw.dtype) for out in outputs)
    return new_node(run.node_class, plan, parents, nrs, metas, (), plan.facts(inputs, params))


def save(
    node: OpNode, inputs: Sequence[Any], raws: Sequence[Any], outputs: Sequence[Tensor]
) -> tuple[Any, ...]:
    """The flat triples of (value, storage, version) that a node's plan asks for."""
    saved: list[Any] = []
    plan = node._plan
    if not plan.sources:
        return ()
    if plan.op.variadic:
        places = [i for s in plan.sources for i in _variadic_places(s, len(inputs))]
    else:
        places = list(plan.sources)
    count = len(inputs) if plan.op.variadic else len(plan.op.inputs)
    for place in places:
        if place >= count:
            out = outputs[place - count]
            saved += (out._raw, out._storage, out._storage.version)
            continue
        x = inputs[place] if place < len(inputs) else None
        if isinstance(x, Tensor):
            saved += (raws[place], x._storage, x._storage.version)
        else:
            saved += (x if x is None else raws[place], CONSTANT, 0)
    return tuple(saved)


def _variadic_places(source: int, inputs: int) -> range:
    """Places of a variadic op's saved value: all its inputs, or one output."""
    if source == 0:
        return range(inputs)
    return range(inputs + source - 1, inputs + source)
