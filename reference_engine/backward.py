"""Running a graph backwards.

The walk is a loop over a heap: a node runs when all cotangents that reach it have arrived, the
latest node first. Nothing recurses, so a chain of a million nodes is no different from one of ten.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from math import prod
from typing import Any, TypeAlias

import numpy as np

from reference_engine.anomaly import run_watched
from reference_engine.backends.base import BACKENDS, COMPLEX, OF_DTYPE, of_array
from reference_engine.graph import AccumulateGrad, Cotangent, Cotangents, GradientEdge, Node
from reference_engine.modes import MODES, refuse_in_transform
from reference_engine.ops.namespace import TENSORS, raw_namespace
from reference_engine.scope import Edge, Task
from reference_engine.tensor import Tensor, from_raw

#: what a backward run starts from or goes to
Place: TypeAlias = "Tensor | GradientEdge"
Places: TypeAlias = "Place | Sequence[Place]"


def run(roots: Sequence[Edge], grads: Cotangents, F: Any, *, keep_graph: bool, task: Task) -> None:
    """Sends cotangents from the roots to the leaves, or to the task's targets.

    ``grads`` are what ``F`` computes with: raw arrays, or tensors when a graph is being created.
    """
    dependencies = task.dependencies
    buffers: dict[Node, list[Cotangent]] = {}
    for (node, nr), grad in zip(roots, grads, strict=True):
        buffer = buffers.setdefault(node, [None] * len(node.metas))
        buffer[nr] = grad if buffer[nr] is None else F.add(buffer[nr], grad)
    ready = [(node.priority, node) for node in buffers if not dependencies[node]]
    heapify(ready)
    creates_graph = F.creates_graph
    plain = task.everywhere and not MODES.anomaly
    while ready:
        node = heappop(ready)[1]
        grads_in = buffers.pop(node, None) or [None] * len(node.metas)
        first = grads_in[0]
        if first is None and len(grads_in) > 1:
            first = next((g for g in grads_in if g is not None), None)
        if not (creates_graph or first is None or type(first) is F.array_type or F.batched):
            F = raw_namespace(type(first))  # the graph goes on on another backend
        if plain and node.hooks is None:
            outs = node.run(grads_in, F, None)
        else:
            visited = _visit(node, grads_in, F, task)
            if visited is None:
                continue
            outs = visited
        if not keep_graph:
            node.release()
        for parent, nr, out in zip(node.next, node.nrs, outs):  # noqa: B905 (hot)
            if parent is None:
                continue
            if out is not None:
                # fit to what the edge carries: broadcast dimensions summed, dtype cast
                raw = out._raw if creates_graph else out
                shape, dtype = parent.metas[nr]
                if raw.shape != shape or raw.dtype is not dtype or type(raw) not in BACKENDS:
                    out = F.fit(out, shape, dtype, node)
                buffer = buffers.get(parent) or buffers.setdefault(
                    parent, [None] * len(parent.metas)
                )
                before = buffer[nr]
                buffer[nr] = out if before is None else F.add(before, out)
            left = dependencies[parent] - 1
            dependencies[parent] = left
            if not left:
                heappush(ready, (parent.priority, parent))


def _visit(node: Node, grads: list[Cotangent], F: Any, task: Task) -> Cotangents | None:
    """Runs a node that has hooks, or in a run to targets; None when it need not run for these."""
    hooks, wanted = node.hooks, None
    if not (task.everywhere or node in task.wanted or node is task.root):
        return None  # nothing arrives here that was asked for: not even a hook is called
    if hooks is not None:
        grads = hooks.arrive(grads, F)
    if not task.everywhere:
        for nr in task.targets.get(node, ()):
            task.captured[node, nr] = grads[nr]
        if node not in task.running:
            return None
        wanted = [parent in task.wanted for parent in node.next]
    if hooks is not None:
        grads = hooks.before(grads, F)
    outs = (run_watched if MODES.anomaly else type(node).run)(node, grads, F, wanted)
    return outs if node.hooks is None else node.hooks.after(outs, grads, F)


def backward(
    tensors: Places,
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    inputs: Places | None = None,
) -> None:
    """Adds to the leaves' ``.grad`` the gradients of ``tensors``, as ``torch.autograd.backward``.

    ``grad_tensors`` are the vectors of the vector-Jacobian products, left out only for real
    scalars. With ``inputs``, only their ``.grad`` is filled. RuntimeError when an output requires
    no grad, a gradient does not fit its output, the graph was freed, or a saved value was modified
    in place.
    """
    refuse_in_transform("backward")
    outputs = _sequence(tensors)
    roots = _edges(outputs, "output")
    grads = _root_grads(outputs, grad_tensors)
    targets = None
    if inputs is not None:
        wanted = _sequence(inputs)
        if not wanted:
            raise RuntimeError("backward got inputs=(), which asks for no gradient; leave it out")
        targets = _edges(wanted, "input")
        for x in wanted:
            if isinstance(x, Tensor):
                x.retain_grad()
    if create_graph:
        warnings.warn(
            "backward(create_graph=True) makes a cycle between a leaf and its .grad, which only "
            "the garbage collector frees; use autograd.grad, or set .grad to None afterwards",
            UserWarning,
            stacklevel=2,
        )
    _run(roots, grads, targets, retain_graph, create_graph, accumulate=True)


def grad(
    outputs: Places,
    inputs: Places,
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, as ``torch.autograd.grad``.

    Nothing is accumulated. RuntimeError as for :func:`backward`, and when an input was not used
    unless ``allow_unused`` (its gradient is then None, or zeros with ``materialize_grads``).
    """
    if materialize_grads and allow_unused is False:
        raise ValueError("materialize_grads needs allow_unused=True, got False")
    allow_unused = materialize_grads if allow_unused is None else allow_unused
    outs, wanted = _sequence(outputs), _sequence(inputs)
    if not wanted:
        raise RuntimeError("grad got no inputs; name the tensors to differentiate with respect to")
    targets = _edges(wanted, "input")
    roots = _edges(outs, "output")
    grads = _root_grads(outs, grad_outputs, is_grads_batched)
    go = _run_batched if is_grads_batched else _run
    results = go(roots, grads, targets, retain_graph, create_graph)
    if materialize_grads:
        return tuple(
            _zeros(x, create_graph) if g is None else g
            for g, x in zip(results, wanted, strict=True)
        )
    unused = [g is None for g in results]
    if not allow_unused and True in unused:
        place = unused.index(True)
        raise RuntimeError(
            f"input {place} was not used in computing the outputs; pass allow_unused=True to get "
            "None for it"
        )
    return tuple(results)


def _zeros(x: Place, create_graph: bool) -> Tensor:
    """The gradient of an unused input: a leaf, so that derivatives of it are zeros as well."""
    if not isinstance(x, Tensor):
        raise RuntimeError("materialize_grads needs tensors as inputs, got a GradientEdge")
    zeros: Tensor = TENSORS.zeros_like(x)
    zeros._tracked = create_graph
    return zeros


def _run(
    roots: Sequence[Edge],
    grads: Sequence[Tensor],
    targets: Sequence[Edge] | None,
    retain_graph: bool | None,
    create_graph: bool,
    accumulate: bool = False,
) -> Sequence[Tensor | None]:
    """Runs with the right namespace; returns what arrived at the targets, as tensors."""
    if not roots:
        return [None for _ in targets or ()]
    keep = create_graph if retain_graph is None else retain_graph
    task = Task(roots, targets, accumulate)
    # saved values and cotangents may have tangents in a level of forward mode
    kind = type(grads[0]._raw)
    for g in grads:
        kind = type(g._raw) if BACKENDS[type(g._raw)].batched else kind
    F: Any = TENSORS if create_graph or MODES.forward else raw_namespace(kind)
    # nobody has asked NumPy for warnings about overflow or 0/0: torch gives none
    before = MODES.switch({"grad": create_graph, "task": task})
    try:
        with np.errstate(all="ignore"):
            fitted = [
                F.fit(F.from_tensor(g), *node.metas[nr], node)
                for g, (node, nr) in zip(grads, roots, strict=True)
            ]
            run(roots, fitted, F, keep_graph=keep, task=task)
            found = [task.captured.get(edge) for edge in targets or ()]
            return [None if g is None else F.to_tensor(g) for g in found]
    finally:
        MODES.switch(before)


def _run_batched(
    roots: Sequence[Edge], batches: Sequence[Tensor], *how: Any
) -> Sequence[Tensor | None]:
    """One run for all entries of the gradients' first dimension, which the results have too."""
    from reference_engine.func.vmap import vmap

    undefined: list[bool] = []

    def pull(*grads: Tensor) -> list[Tensor]:
        found = _run(roots, grads, *how)
        undefined[:] = [g is None for g in found]
        return [g for g in found if g is not None]

    defined = iter(vmap(pull)(*batches))
    return [None if missing else next(defined) for missing in undefined]


def _sequence(places: Places) -> tuple[Place, ...]:
    return (places,) if isinstance(places, (Tensor, GradientEdge)) else tuple(places)


def _edges(places: Sequence[Place], what: str) -> list[Edge]:
    """Where tensors are in the graph; RuntimeError for one that requires no grad."""
    edges: list[Any] = []
    for number, place in enumerate(places):
        if not isinstance(place, (Tensor, GradientEdge)):
            raise RuntimeError(
                f"{what} {number} must be a Tensor or a GradientEdge, got {type(place).__name__}"
            )
        edges.append(place[:2] if isinstance(place, GradientEdge) else place._edge())
        if edges[-1][0] is None and isinstance(place, Tensor):
            shape, reason = list(place.shape), _NO_GRAD[what]
            raise RuntimeError(f"{what} {number} of shape {shape} does not require grad{reason}")
    return edges


_NO_GRAD = {
    "output": ": nothing it was computed from does, or it was computed in no_grad",
    "input": "; call requires_grad_() on it before computing the outputs",
}


def _root_grads(
    outputs: Sequence[Place],
    grads: Tensor | Sequence[Tensor | None] | None,
    batched: bool = False,
) -> list[Tensor]:
    """The cotangents to start from, checked against the outputs; ones for real scalars. ``batched``
    ones have one more dimension in front.
    """
    if grads is None:
        grads = [None] * len(outputs)
    given = [grads] if isinstance(grads, Tensor) else list(grads)
    for g in given:
        if not (g is None or isinstance(g, Tensor)):
            raise TypeError(f"a gradient must be a Tensor or None, got {type(g).__name__}")
    if len(given) != len(outputs):
        raise RuntimeError(f"got {len(given)} gradients for {len(outputs)} outputs")
    return [_root_grad(_like(y), g, batched) for y, g in zip(outputs, given, strict=True)]


def _root_grad(out: Tensor, g: Tensor | None, batched: bool) -> Tensor:
    shape, is_complex = tuple(out._raw.shape), out._raw.dtype in COMPLEX
    if g is None:
        if prod(shape) != 1 or is_complex or batched:
            raise RuntimeError(
                f"backward without a gradient needs a real scalar, got shape "
                f"{list(shape)} of {out.dtype}; pass gradient=, a tensor of that shape"
            )
        backend = of_array(out._raw)
        one = backend.copy(out._raw)
        backend.assign(one, 1)
        return from_raw(one)
    if tuple(g._raw.shape)[batched:] != shape or g._raw.ndim != len(shape) + batched:
        raise RuntimeError(
            f"a gradient of shape {list(g.shape)} was given for an output of shape "
            f"{list(shape)}; they must be equal" + ", after the batch's size" * batched
        )
    if (g._raw.dtype in COMPLEX) is not is_complex:
        raise RuntimeError(
            f"a gradient of {g.dtype} was given for an output of {out.dtype}; both must be "
            "complex or neither"
        )
    return g


def _like(place: Place) -> Tensor:
    """The tensor at a place, or one such as it."""
    if isinstance(place, Tensor):
        return place
    if isinstance(place.node, AccumulateGrad):
        return place.node.variable.detach()
    shape, dtype = place.node.metas[place.output_nr]
    return from_raw(OF_DTYPE[dtype].zeros(shape, dtype=dtype))
