"""Running one operation: bring the inputs together, compute, and record a node when someone cares.

There are two ways through. ``apply`` is the general one. ``unary`` and ``binary`` make, for one op,
a function with a short way for the common case (tensors of one real floating dtype, gradients on,
no special mode), which does the same with everything known beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reference_engine.backends.base import BACKENDS, Backend, Kernel, of_array
from reference_engine.backends.dtypes import (
    Category,
    dtype,
    get_default_dtype,
    of_python,
    result_type,
)
from reference_engine.graph import CONSTANT, Node, OpNode, is_differentiable, node_type, priorities
from reference_engine.modes import MODES
from reference_engine.ops.opdef import OpDef
from reference_engine.ops.plan import PlanCache
from reference_engine.storage import Storage
from reference_engine.tensor import Tensor, from_raw
from reference_engine.views import make_view

NUMBERS = (bool, int, float, complex)
_new = object.__new__


class Operator:
    """An op ready to run: its row, its kernels by array type, its plans."""

    __slots__ = ("kernels", "node_class", "op", "plans", "promoted", "variadic")

    def __init__(self, op: OpDef) -> None:
        self.op = op
        self.kernels: dict[type, Kernel] = {}
        self.plans = PlanCache(op)
        self.node_class = node_type(op.node)
        self.variadic = op.variadic
        #: indices of the inputs whose dtypes are brought together
        names = [n.lstrip("*") for n in op.inputs]
        self.promoted = frozenset(
            range(len(names)) if not op.rules else (i for i, n in enumerate(names) if n in op.rules)
        )

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

    Returns a tensor, or a tuple of them for an op with several outputs. Raises TypeError for an input
    that is no tensor, RuntimeError for inputs on different devices, and what the forward rule raises.
    """
    op = run.op
    raws, backend = bring_together(run, inputs)
    out = MODES.run(run.kernel(backend.array_type), *raws, **params)
    edges = input_edges(op, inputs) if MODES.grad else None
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
) -> OpNode:
    """Makes the node of an op that has run, and the differentiable outputs its children."""
    node = make_node(run, inputs, params, outputs, edges)
    node._saved = save(node, inputs, raws, outputs)
    for nr, out in enumerate(outputs):
        if is_differentiable(out._raw.dtype):
            out._grad_fn, out._nr, out._tracked = node, nr, True
    return node


def make_node(
    run: Operator,
    inputs: Sequence[Any],
    params: Mapping[str, Any],
    outputs: Sequence[Tensor],
    edges: Sequence[tuple[Node | None, int]],
) -> OpNode:
    """A node without saved values."""
    node = _new(run.node_class)
    wanted = (0,) if run.variadic else tuple(i for i, (n, _) in enumerate(edges) if n is not None)
    is_complex = any(getattr(o._raw.dtype, "kind", "") == "c" for o in outputs) or any(
        o.dtype.is_complex for o in outputs
    )
    plan = run.plans.get(wanted, is_complex)
    node._plan = plan
    node.next = tuple(n for n, _ in edges)
    node.nrs = tuple(nr for _, nr in edges)
    node.metas = tuple((tuple(o._raw.shape), o._raw.dtype) for o in outputs)
    node.priority = next(priorities)
    node.hooks = None
    node._facts = plan.facts(inputs, params)
    node._saved = ()
    return node


def save(
    node: OpNode, inputs: Sequence[Any], raws: Sequence[Any], outputs: Sequence[Tensor]
) -> tuple[Any, ...]:
    """The flat triples of (value, storage, version) that a node's plan asks for."""
    saved: list[Any] = []
    plan = node._plan
    if not plan.sources:
        return ()
    if plan.op.variadic:
        places = [i for s in plan.sources for i in _variadic_places(s, len(inputs), len(outputs))]
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


def _variadic_places(source: int, inputs: int, outputs: int) -> range:
    """Places of a variadic op's saved value: all its inputs, or one output."""
    if source == 0:
        return range(inputs)
    return range(inputs + source - 1, inputs + source)


# the short way ------------------------------------------------------------------------------------
def _real_floating() -> set[object]:
    return {d for backend in BACKENDS.values() for d in backend.real_floating}


REAL_FLOATING = _real_floating()


def unary(op: OpDef) -> Callable[[Any], Any]:
    """The function of an elementwise op of one input without parameters."""
    run = operator(op)
    plan = run.plans.get((0,), False)
    kernels, node_class, facts = run.kernels, run.node_class, plan.fact_names
    # saved are the input (source 0), the output (1), or both
    sources = plan.sources
    first, both = (sources[0] if sources else -1), len(sources) == 2

    def call(x: Any) -> Any:
        fast = MODES.fast
        if fast is None or type(x) is not Tensor or facts:
            return apply(run, (x,), {})
        raw = x._raw
        kernel = kernels.get(type(raw))
        if kernel is None or raw.dtype not in REAL_FLOATING:
            return _first(run, (x,))
        result = fast(kernel, raw)
        if type(result) is not type(raw):
            result = of_array(raw).wrap(result)
        y = _new(Tensor)
        y._raw = result
        storage = y._storage = _new(Storage)
        storage.version = 0
        y._nr = 0
        y._rare = y._grad_fn = None
        y._tracked = False
        if x._tracked:
            parent = x._grad_fn
            nr = x._nr
            if parent is None:
                parent, nr = x._edge()
                if parent is None:
                    return y
            node = _new(node_class)
            node._plan = plan
            node.next = (parent,)
            node.nrs = (nr,)
            node.metas = ((result.shape, result.dtype),)
            node.priority = next(priorities)
            node.hooks = None
            node._facts = ()
            if first < 0:
                node._saved = ()
            elif both:
                node._saved = (raw, x._storage, x._storage.version, result, storage, 0)
            elif first == 0:
                node._saved = (raw, x._storage, x._storage.version)
            else:
                node._saved = (result, storage, 0)
            y._grad_fn = node
            y._tracked = True
        return y

    call.__name__ = op.name.split(".")[-1]
    return call


def binary(op: OpDef) -> Callable[[Any, Any], Any]:
    """The function of an elementwise op of two inputs, its parameters at their defaults."""
    run = operator(op)
    plans = (None, *(run.plans.get(w, False) for w in ((0,), (1,), (0, 1))))
    facts = tuple(() if p is None else p.default_facts() for p in plans)
    if any(f is None for f in facts):  # a rule asks for shapes or dtypes
        return lambda a, b: apply(run, (a, b), {})
    kernels, node_class = run.kernels, run.node_class
    sources = tuple(() if p is None else p.sources for p in plans)

    def call(a: Any, b: Any) -> Any:
        fast = MODES.fast
        if fast is None or type(a) is not Tensor:
            return apply(run, (a, b), {})
        x = a._raw
        kernel = kernels.get(type(x))
        kind = type(b)
        if kind is Tensor:
            y = b._raw
            if x.dtype is not y.dtype:
                return apply(run, (a, b), {})
        elif kind is float or kind is int:
            y = b
        else:
            return apply(run, (a, b), {})
        if kernel is None or x.dtype not in REAL_FLOATING:
            return _first(run, (a, b))
        result = fast(kernel, x, y)
        if type(result) is not type(x):
            result = of_array(x).wrap(result)
        out = _new(Tensor)
        out._raw = result
        storage = out._storage = _new(Storage)
        storage.version = 0
        out._nr = 0
        out._rare = out._grad_fn = None
        out._tracked = False
        parent_a = parent_b = None
        nr_a = nr_b = wanted = 0
        if a._tracked:
            parent_a, nr_a = a._grad_fn, a._nr
            if parent_a is None:
                parent_a, nr_a = a._edge()
            wanted = 0 if parent_a is None else 1
        if kind is Tensor and b._tracked:
            parent_b, nr_b = b._grad_fn, b._nr
            if parent_b is None:
                parent_b, nr_b = b._edge()
            wanted += 0 if parent_b is None else 2
        if not wanted:
            return out
        node = _new(node_class)
        node._plan = plans[wanted]
        node.next = (parent_a, parent_b)
        node.nrs = (nr_a, nr_b)
        node.metas = ((result.shape, result.dtype),)
        node.priority = next(priorities)
        node.hooks = None
        node._facts = facts[wanted]
        places = sources[wanted]
        if not places:
            node._saved = ()
        elif len(places) == 1:
            node._saved = _triple((a, b, out)[places[0]])
        else:
            operands = (a, b, out)
            node._saved = tuple(v for i in places for v in _triple(operands[i]))
        out._grad_fn = node
        out._tracked = True
        return out

    call.__name__ = op.name.split(".")[-1]
    return call


def _triple(x: Any) -> tuple[Any, Storage, int]:
    if type(x) is Tensor:
        storage = x._storage
        return x._raw, storage, storage.version
    return x, CONSTANT, 0


def _first(run: Operator, inputs: tuple[Any, ...]) -> Any:
    """The general way, which also finds the kernel of an array type met for the first time."""
    REAL_FLOATING.update(of_array(inputs[0]._raw).real_floating)
    return apply(run, inputs, {})
