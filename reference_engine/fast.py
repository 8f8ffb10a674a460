"""The short way through an elementwise op, for the common case.

The common case: tensors (or one and a Python number) of one real floating dtype on one backend,
in no special mode. It comes to what ``dispatch.apply`` comes to, with everything
that depends only on the op worked out beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from reference_engine.backends.base import NATIVE_FLOATING, of_array
from reference_engine.dispatch import apply, operator, save
from reference_engine.graph import new_node, node_type
from reference_engine.modes import MODES
from reference_engine.ops.accepted import check, least_of
from reference_engine.ops.opdef import OpDef
from reference_engine.rare import NOTHING
from reference_engine.storage import Storage
from reference_engine.tensor import Tensor

_new = object.__new__


@cache
def quick(op: OpDef) -> Callable[..., Any]:
    """The function of an op all of whose parameters are at their defaults."""
    if callable(op.forward) and op.kind == "composite":
        from reference_engine.ops.namespace import TENSORS

        forward, least = partial(op.forward, TENSORS), least_of(op.name)

        def composed(*inputs: Any) -> Any:
            check(op.name, least, [x for x in inputs if isinstance(x, Tensor)])
            return forward(*inputs)

        return forward if least is None else composed
    run = operator(op)
    plain = op.kind in ("elementwise", "linear") and not (op.optional or op.variadic or op.view)
    if plain and len(op.inputs) < 3:
        return unary(op) if len(op.inputs) == 1 else binary(op)
    return lambda *args: apply(run, args, {})


def unary(op: OpDef) -> Callable[[Any], Any]:
    """The function of an elementwise op of one input, its parameters at their defaults."""
    run = operator(op)
    plan = run.plan((0,), False)
    facts = plan.default_facts()
    if facts is None:  # its rule asks for shapes or dtypes
        return lambda x: apply(run, (x,), {})
    kernels, node_class, sources = run.kernels, run.node_class, plan.sources

    def call(x: Any) -> Any:
        short = MODES.short
        if short is None or type(x) is not Tensor:
            return apply(run, (x,), {})
        raw = x._raw
        kernel = kernels.get(type(raw))
        if kernel is None or raw.dtype not in NATIVE_FLOATING:
            return apply(run, (x,), {})
        fast, recording = short
        y = _output(fast(kernel, raw), raw)
        if recording and x._tracked:
            parent, nr = x._grad_fn, x._nr
            if parent is None:
                parent, nr = x._edge()
                if parent is None:
                    return apply(run, (x,), {}) if x.requires_grad else y
            metas = ((y._raw.shape, y._raw.dtype),)
            saved = save(sources, (x, y), (raw, y._raw)) if sources else ()
            y._grad_fn = new_node(node_class, plan, (parent,), (nr,), metas, saved, facts)
            y._tracked = True
        return y

    call.__name__ = op.name.split(".")[-1]
    return call


def binary(op: OpDef) -> Callable[[Any, Any], Any]:
    """The function of an elementwise op of two inputs, its parameters at their defaults."""
    run = operator(op)
    # indexed by which inputs require grad: 1 the first, 2 the second, 3 both
    plans = [run.plan(wanted, False) for wanted in ((), (0,), (1,), (0, 1))]
    facts = [found for plan in plans if (found := plan.default_facts()) is not None]
    if len(facts) < len(plans):  # a rule asks for shapes or dtypes
        return lambda a, b: apply(run, (a, b), {})
    kernels, node_class = run.kernels, run.node_class
    digit = op.nodes.get(op.inputs[1], 0)
    tensors_class = node_type(f"{op.node[:-1]}{digit}") if digit else node_class
    follow_a, follow_b = run.follows

    def call(a: Any, b: Any) -> Any:
        short, kind = MODES.short, type(b)
        if short is None or type(a) is not Tensor or kind not in _OPERANDS:
            return apply(run, (a, b), {})
        x = a._raw
        y = b._raw if kind is Tensor else b
        kernel, dtype = kernels.get(type(x)), x.dtype
        if (
            kernel is None
            or dtype not in NATIVE_FLOATING
            or (y.dtype is not dtype if kind is Tensor else not y)  # Python refuses x / 0
        ):
            return apply(run, (a, b), {})
        fast, recording = short
        try:
            out = _output(fast(kernel, x, y), x)
        except (ValueError, TypeError):  # shapes, or a batch of vmap
            return apply(run, (a, b), {})  # which says it in PyTorch's way
        if not (recording and (a._tracked or (kind is Tensor and b._tracked))):
            return out
        wanted = nr_a = nr_b = 0
        parent_a = parent_b = None
        if follow_a and a._tracked:
            parent_a, nr_a = a._grad_fn, a._nr
            if parent_a is None:
                parent_a, nr_a = a._edge()
            wanted = parent_a is not None
        if follow_b and kind is Tensor and b._tracked:
            parent_b, nr_b = b._grad_fn, b._nr
            if parent_b is None:
                parent_b, nr_b = b._edge()
            wanted += 2 * (parent_b is not None)
        if not wanted:
            made_in_no_grad = a.requires_grad or (kind is Tensor and b.requires_grad)  # a view
            return apply(run, (a, b), {}) if made_in_no_grad else out
        plan, made = plans[wanted], out._raw
        saved = save(plan.sources, (a, b, out), (x, y, made)) if plan.sources else ()
        metas = ((made.shape, made.dtype),)
        parents, nrs = (parent_a, parent_b), (nr_a, nr_b)
        named = tensors_class if kind is Tensor else node_class
        out._grad_fn = new_node(named, plan, parents, nrs, metas, saved, facts[wanted])
        out._tracked = True
        return out

    call.__name__ = op.name.split(".")[-1]
    return call


_OPERANDS = frozenset({Tensor, float, int})


def _output(result: Any, like: Any) -> Tensor:
    """A new tensor outside the graph, over new memory."""
    made = _new(Tensor)
    # NumPy turns 0-d results into scalars
    made._raw = result if type(result) is type(like) else of_array(like).wrap(result)
    storage = made._storage = _new(Storage)
    storage.version = 0
    made._nr = 0
    made._grad_fn = None
    made._rare = NOTHING
    made._tracked = False
    return made
