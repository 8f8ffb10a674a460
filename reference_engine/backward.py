"""Running a graph backwards.

The walk is a loop over a heap: a node runs when all cotangents that reach it have arrived, the
latest node first. Nothing recurses, so a chain of a million nodes is no different from one of ten.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from reference_engine import errors
from reference_engine.backends.base import BACKENDS
from reference_engine.graph import Cotangent, Node
from reference_engine.hooks import run_post_hooks, run_pre_hooks, run_tensor_hooks
from reference_engine.modes import set_grad_enabled
from reference_engine.ops.namespace import TENSORS, raw_namespace
from reference_engine.tensor import Tensor

#: a place in the graph: output ``nr`` of a node
Edge = tuple[Node, int]


def run(
    roots: Sequence[Edge],
    grads: Sequence[Any],
    F: Any,
    *,
    keep_graph: bool,
    targets: Sequence[Edge] | None = None,
    accumulate: bool = False,
) -> dict[Edge, Cotangent]:
    """Sends cotangents from the roots to the leaves.

    ``grads`` are what ``F`` computes with: raw arrays, or tensors when a graph is being created.
    With ``targets`` only what leads to them is run; what arrives at them is returned, or with
    ``accumulate`` added to the targets' ``.grad`` instead.
    """
    dependencies = _dependencies([node for node, _ in roots])
    needed = None if targets is None else _leading_to(dependencies, {node for node, _ in targets})
    captured: dict[Edge, Cotangent] = {}
    wanted_at: dict[Node, list[int]] = {}
    for node, nr in targets or ():
        wanted_at.setdefault(node, []).append(nr)
    buffers: dict[Node, list[Cotangent]] = {}
    for (node, nr), grad in zip(roots, grads, strict=True):
        _deliver(buffers, node, nr, grad, F)
    ready: list[tuple[int, Node]] = []
    for node in dict.fromkeys(node for node, _ in roots):
        if not dependencies[node]:
            heappush(ready, (node.priority, node))
    creates_graph = F.creates_graph
    while ready:
        node = heappop(ready)[1]
        grads_in = buffers.pop(node, None) or [None] * len(node.metas)
        wanted = None
        first = grads_in[0]
        if not creates_graph and type(first) is not F.array_type and first is not None:
            F = raw_namespace(type(first))  # the graph goes on on another backend
        if node.hooks is not None:
            grads_in = run_tensor_hooks(node, grads_in, F)
        if needed is not None:
            for nr in wanted_at.get(node, ()):
                captured[node, nr] = grads_in[nr]
            if node not in needed and not (accumulate and node in wanted_at):
                continue
            wanted = [n is not None and (n in needed or n in wanted_at) for n in node.next]
        if node.hooks is not None:
            grads_in = run_pre_hooks(node, grads_in, F)
        outs = node.run(grads_in, F, wanted)
        if node.hooks is not None:
            outs = run_post_hooks(node, outs, grads_in, F)
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
                buffer = buffers.get(parent)
                if buffer is None:
                    buffer = buffers[parent] = [None] * len(parent.metas)
                before = buffer[nr]
                buffer[nr] = out if before is None else F.add(before, out)
            left = dependencies[parent] - 1
            dependencies[parent] = left
            if not left:
                heappush(ready, (parent.priority, parent))
    return captured


def _deliver(
    buffers: dict[Node, list[Cotangent]], node: Node, nr: int, grad: Cotangent, F: Any
) -> None:
    buffer = buffers.setdefault(node, [None] * len(node.metas))
    buffer[nr] = grad if buffer[nr] is None else F.add(buffer[nr], grad)


def _dependencies(roots: Sequence[Node]) -> dict[Node, int]:
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


def _leading_to(reached: dict[Node, int], targets: set[Node]) -> set[Node]:
    """The nodes among those reached from which a target can be reached in at least one step."""
    children: dict[Node, list[Node]] = {}
    for node in reached:
        for parent in node.next:
            if parent is not None:
                children.setdefault(parent, []).append(node)
    needed: set[Node] = set()
    stack = [child for target in targets for child in children.get(target, ())]
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack.extend(children.get(node, ()))
    return needed


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    *,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Adds to the leaves' ``.grad`` the gradients of ``tensors``, as ``torch.autograd.backward``.

    ``grad_tensors`` are the vectors of the vector-Jacobian products, left out only for real
    scalars. With ``inputs``, only their ``.grad`` is filled. RuntimeError when an output requires
    no grad, a gradient does not fit its output, the graph was freed, or a saved value was modified
    in place.
    """
    outputs = _sequence(tensors)
    roots = _root_edges(outputs)
    grads = _root_grads(outputs, grad_tensors)
    targets = None
    if inputs is not None:
        wanted = _sequence(inputs)
        if not wanted:
            raise RuntimeError("backward got inputs=(), which asks for no gradient; leave it out")
        targets = [_input_edge(x) for x in wanted]
        for x in wanted:
            x.retain_grad()
    if create_graph:
        warnings.warn(
            "backward(create_graph=True) makes a cycle between a leaf and its .grad, which only "
            "the garbage collector frees; use autograd.grad, or set .grad to None afterwards",
            UserWarning,
            stacklevel=2,
        )
    keep = create_graph if retain_graph is None else retain_graph
    _run(roots, grads, create_graph, keep, targets, accumulate=True)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
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
    targets = [_input_edge(x) for x in wanted]
    roots = _root_edges(outs)
    keep = create_graph if retain_graph is None else retain_graph
    results: tuple[Tensor | None, ...]
    if is_grads_batched:
        results = _batched(outs, wanted, grad_outputs, roots, targets, keep, create_graph)
    else:
        grads = _root_grads(outs, grad_outputs)
        results = _run(roots, grads, create_graph, keep, targets)
    if materialize_grads:
        return tuple(
            TENSORS.zeros_like(x) if g is None else g for g, x in zip(results, wanted, strict=True)
        )
    if not allow_unused and any(g is None for g in results):
        place = [g is None for g in results].index(True)
        raise RuntimeError(
            f"input {place} was not used in computing the outputs; pass allow_unused=True to get "
            "None for it"
        )
    return results


def _run(
    roots: Sequence[Edge],
    grads: Sequence[Tensor],
    create_graph: bool,
    keep: bool,
    targets: Sequence[Edge] | None,
    accumulate: bool = False,
) -> tuple[Tensor | None, ...]:
    """Runs with the right namespace; returns what arrived at the targets, as tensors."""
    if not roots:
        return ()
    with set_grad_enabled(create_graph):
        if create_graph:
            fitted = [
                TENSORS.fit(g, *node.metas[nr], node)
                for g, (node, nr) in zip(grads, roots, strict=True)
            ]
            found = run(
                roots, fitted, TENSORS, keep_graph=keep, targets=targets, accumulate=accumulate
            )
        else:
            raw_F = raw_namespace(type(grads[0]._raw))
            raws = [
                raw_F.fit(g._raw, *node.metas[nr], node)
                for g, (node, nr) in zip(grads, roots, strict=True)
            ]
            # nobody has asked NumPy for warnings about overflow or 0/0: torch gives none
            with np.errstate(all="ignore"):
                found = run(
                    roots, raws, raw_F, keep_graph=keep, targets=targets, accumulate=accumulate
                )
        captured = [found.get(edge) for edge in targets or ()]
        if create_graph:
            return tuple(captured)
        return tuple(None if g is None else raw_F.to_tensor(g) for g in captured)


def _batched(
    outs: Sequence[Tensor],
    wanted: Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None,
    roots: Sequence[Edge],
    targets: Sequence[Edge],
    keep: bool,
    create_graph: bool,
) -> tuple[Tensor | None, ...]:
    """One run for each entry of the gradients' first dimension; the results are stacked."""
    batches = _gradient_list(outs, grad_outputs)
    sizes = {g.shape[0] if g is not None and g.ndim else None for g in batches}
    size = next(iter(sizes))
    for out, g in zip(outs, batches, strict=True):
        if g is None or size is None or len(sizes) > 1 or g.shape[1:] != out.shape:
            shapes = [None if g is None else list(g.shape) for g in batches]
            raise RuntimeError(
                f"is_grads_batched needs gradients of shape [batch, *output shape], got {shapes} "
                f"for outputs of shape {[list(o.shape) for o in outs]}"
            )
    rows = []
    for i in range(size or 0):
        grads = _root_grads(outs, [None if g is None else g[i] for g in batches])
        last = i + 1 == size
        rows.append(_run(roots, grads, create_graph, keep or not last, targets))
    if not rows:
        return tuple(x.new_zeros((0, *x.shape)) for x in wanted)
    columns = zip(*rows, strict=True)
    return tuple(None if None in map(_none, c) else TENSORS.stack(list(c), dim=0) for c in columns)


def _none(x: Tensor | None) -> bool | None:
    return None if x is None else True


def _sequence(tensors: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)


def _root_edges(outputs: Sequence[Tensor]) -> list[Edge]:
    edges = []
    for place, out in enumerate(outputs):
        node, nr = out._edge()
        if node is None:
            raise RuntimeError(
                f"output {place} of shape {list(out.shape)} does not require grad: nothing it was "
                "computed from does, or it was computed in no_grad"
            )
        edges.append((node, nr))
    return edges


def _input_edge(x: Tensor) -> Edge:
    node, nr = x._edge()
    if node is None:
        raise RuntimeError(
            f"an input of shape {list(x.shape)} does not require grad; call requires_grad_() on it "
            "before computing the outputs"
        )
    return node, nr


def _gradient_list(
    outputs: Sequence[Tensor], grads: Tensor | Sequence[Tensor | None] | None
) -> list[Tensor | None]:
    if grads is None:
        return [None] * len(outputs)
    found: list[Tensor | None] = [grads] if isinstance(grads, Tensor) else list(grads)
    if len(found) != len(outputs):
        raise RuntimeError(f"got {len(found)} gradients for {len(outputs)} outputs")
    return found


def _root_grads(
    outputs: Sequence[Tensor], grads: Tensor | Sequence[Tensor | None] | None
) -> list[Tensor]:
    """The cotangents to start from, checked against the outputs; ones for real scalars."""
    checked = []
    for out, g in zip(outputs, _gradient_list(outputs, grads), strict=True):
        if g is None:
            if out.shape.numel() != 1 or out.dtype.is_complex:
                raise errors.not_scalar(out.shape, out.dtype)
            g = TENSORS.ones_like(out.detach())
        elif not isinstance(g, Tensor):
            raise TypeError(f"a gradient must be a Tensor or None, got {type(g).__name__}")
        if g.shape != out.shape:
            raise RuntimeError(
                f"a gradient of shape {list(g.shape)} was given for an output of shape "
                f"{list(out.shape)}; they must be equal"
            )
        if g.dtype.is_complex != out.dtype.is_complex:
            raise RuntimeError(
                f"a gradient of {g.dtype} was given for an output of {out.dtype}; both must be "
                "complex or neither"
            )
        checked.append(g)
    return checked
