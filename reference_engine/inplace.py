"""Writing into memory that others may see or have saved.

An in-place op computes its result, copies it into its first input's memory, adds one to the
storage's version and gives the input a new history. When the input is a view, it is the base whose
history changes: a :class:`CopySlices` node says that the base is what it was, except for the view's
elements. Views find out by the version, and remake their own history when asked (see ``views``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reference_engine.backends.base import BACKENDS, of_array
from reference_engine.dispatch import Operator, apply, operator
from reference_engine.fast import quick
from reference_engine.forward import copy_tangents, overwrite_tangent, tangent_of
from reference_engine.graph import Cotangent, Cotangents, Node, OpNode, Wanted, new_node
from reference_engine.modes import MODES
from reference_engine.ops.opdef import REGISTRY
from reference_engine.rare import View
from reference_engine.storage import InferenceStorage, new_storage
from reference_engine.tensor import Tensor, from_graph
from reference_engine.views import check_creation, move_retained, replay, way_from_base


def apply_in_place(run: Operator, inputs: Sequence[Any], params: Mapping[str, Any]) -> Tensor:
    """Runs an op and writes the result into its first input, which is returned.

    RuntimeError when that input is a leaf that requires grad or a view that cannot be followed,
    when the result has another shape or a greater dtype category, or when the memory overlaps
    itself.
    """
    target: Tensor = inputs[0]
    name = run.op.name.split(".")[-1] + "_"
    if any(BACKENDS[type(x._raw)].batched for x in inputs if isinstance(x, Tensor)):
        from reference_engine.ops.batching import aligned_for_write

        inputs = aligned_for_write(inputs, name)
    elif run.op.kind != "own":  # which reads all first, as all do with a number
        check_apart(name, target, inputs[1 : -1 if run.names[-1] == "value" else None])
    check_writable(target, name, inputs[1:])
    if MODES.forward or MODES.saved_hooks:  # which see the inputs as tensors
        inputs = [stand_in(target), *inputs[1:]]
    result: Tensor = apply(run, inputs, params) if params else quick(run.op)(*inputs)
    check_fits(target, result, name)
    if not run.op.rules and target.dtype.differentiable:  # the old history must not stay
        return apply_in_place(operator(REGISTRY["copy"]), (target, result.to(target.dtype)), {})
    bump(target)
    node = result._grad_fn
    if isinstance(node, OpNode):
        if MODES.forward:  # tangents may come of the result's own node, which is freed apart
            node = _twin(node)
        _resave(node, target)
    of_array(target._raw).assign(target._raw, result._raw)
    if node is not None:
        rebase(target, node)
    for level in MODES.forward:
        if (tangent := tangent_of(result, level)) is not None:
            overwrite_tangent(target, level, tangent)
    return target


def stand_in(target: Tensor) -> Tensor:
    """A copy of a tensor that is about to be written, at its place in the graph. Where nothing is
    recorded it has none, nor need its history be one that can follow.
    """
    made: Tensor = target.clone()
    if MODES.recording:
        made._grad_fn, made._nr = target._edge()
        made._tracked = made._grad_fn is not None
    return made


def _twin(node: OpNode) -> OpNode:
    """Another node of the same operation, with the same saved values."""
    saved: Any = node._saved  # packed too
    made = new_node(type(node), node._plan, node.next, node.nrs, node.metas, saved, node._facts)
    if node.hooks is not None:
        made.attached().tangents = node.hooks.tangents
    return made


def _resave(node: OpNode, target: Tensor) -> None:
    """Before what a node has computed is written into its first input: what it has saved of the
    input will be a copy, and what of the result, the target.
    """
    raw, storage = target._raw, target._storage
    node.metas = ((tuple(raw.shape), raw.dtype),)
    if not (isinstance(node._saved, tuple) and node._saved):
        return
    saved = list(node._saved)
    for i, source in enumerate(node._plan.sources):
        if source == len(node.next):
            saved[3 * i : 3 * i + 3] = raw, storage, storage.version
        elif source == 0 and saved[3 * i + 1] is storage:
            saved[3 * i : 3 * i + 3] = of_array(raw).copy(saved[3 * i]), new_storage(), 0
    node._saved = tuple(saved)


def become_view(target: Tensor, view: Tensor, name: str) -> Tensor:
    """Lets a tensor take the shape, strides and history of a view of itself: ``t_``, ``squeeze_``.

    RuntimeError for a leaf that requires grad, and for an inference tensor outside inference mode.
    It counts as a write, as in PyTorch, so that views taken before remake their history.
    """
    _check_mode(target, name)
    info, shape, old = view._rare.view, tuple(target._raw.shape), target._noted()[0]
    base = target if target._rare.view is None else target._rare.view.base
    if info is not None and MODES.recording and target.requires_grad and base.is_leaf:
        raise leaf_in_place(name, "a leaf, or a view of one,")
    copy_tangents(view, target)
    target._raw = view._raw
    if info is None:  # in inference mode there is no history to keep
        return target
    bump(target)
    if target._rare.view is not None:
        target._rare.view = info
        info.version = int(target._storage.version)
    else:
        op, params, _ = info.chain[-1]
        if op.name not in ("t", "transpose"):  # which undo themselves
            op, params = REGISTRY["view"], {"shape": shape}
        target._extras().reshaped += ((op, params, None),)
        if info.grad_fn is not None:
            target._grad_fn, target._nr = info.grad_fn, info.nr
    move_retained(target, old, info.grad_fn, info.nr)
    return target


def add_raw(target: Tensor, addend: Any) -> None:
    """Adds a raw array to a tensor in place, unrecorded; RuntimeError as ``apply_in_place``."""
    check_writable(target, "add_")
    bump(target)
    target._raw += addend


def bump(target: Tensor) -> None:
    """Counts one write to a tensor's memory, which is about to follow."""
    if MODES.before_write is not None:
        MODES.before_write(target._storage)
    if not isinstance(target._storage, InferenceStorage):
        target._storage.version += 1


def check_writable(target: Any, name: str, sources: Sequence[Any] = ()) -> None:
    """Refuses a write of what is computed from these that autograd could not follow, or that would
    hit an element twice.
    """
    if not isinstance(target, Tensor):
        raise TypeError(f"{name} writes into a Tensor, got {type(target).__name__}")
    if MODES.transforms:
        MODES.transforms[-1].check_writable(target, name)
    _check_mode(target, name)
    view = target._rare.view
    if view is not None and MODES.recording and any(map(_requires_grad, (target, *sources))):
        check_creation(view, "the view")
        # the base, or the view itself or one that it is of, made a leaf that requires grad
        if target.requires_grad and view.base.is_leaf:
            raise leaf_in_place(name, "a view of a leaf")
    if MODES.recording and target._tracked and target.requires_grad and target.is_leaf:
        raise leaf_in_place(name, "a leaf")
    strides = of_array(target._raw).strides(target._raw)
    # an expanded tensor has several elements in one place: all may become the same number only
    shape = target._raw.shape
    doubled = (
        0 in strides
        and 0 not in shape
        and any(s == 0 and n > 1 for s, n in zip(strides, shape, strict=True))
    )
    if doubled and name not in ("fill_", "zero_"):
        raise RuntimeError(
            f"{name} would write several elements of an expanded tensor of shape "
            f"{list(target.shape)} to one place in memory; clone() it first"
        )


def _check_mode(target: Tensor, name: str) -> None:
    if target.is_inference() and not MODES.inference:
        raise RuntimeError(
            f"{name} would modify an inference tensor outside inference_mode; use its clone()"
        )


def _requires_grad(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


def leaf_in_place(op: str, what: str) -> RuntimeError:
    """The refusal of an in-place write to a leaf that requires grad, or to a view of one."""
    return RuntimeError(
        f"{op} would modify {what} that requires grad in place; do it under no_grad(), or out of "
        "place"
    )


def check_apart(name: str, target: Tensor, sources: Iterable[Any]) -> None:
    """RuntimeError where an op would read memory that it writes, in another order."""
    for x in sources:
        if isinstance(x, Tensor) and x._raw is not target._raw and _in_part(x._raw, target._raw):
            raise RuntimeError(
                f"{name} would read a tensor of shape {list(x.shape)} from memory that it writes "
                "in another order; give it a clone()"
            )


def _in_part(x: Any, y: Any) -> bool:
    """Whether two arrays have elements in common and are not the same. Where one has gaps, so that
    this would take long to find out, it counts as no, as in PyTorch.
    """
    xp, spans = of_array(y), []
    if type(x) is not type(y) or not xp.may_overlap(x, y):
        return False
    for array in (x, y):
        strides, size = xp.strides(array), 1
        for stride, n in sorted(zip(strides, array.shape, strict=True)):
            if n != 1 and stride != size:
                return False
            size *= n
        start = xp.address(array)
        spans.append((start, start + size * array.itemsize, strides))
    return spans[0] != spans[1] and spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]


def check_fits(target: Tensor, result: Tensor, name: str) -> None:
    """RuntimeError for a result that cannot be written into a tensor."""
    if result.shape != target.shape:
        raise RuntimeError(
            f"{name} computed shape {list(result.shape)}, which does not fit into a tensor of "
            f"shape {list(target.shape)}"
        )
    if result.dtype.category > target.dtype.category:
        raise RuntimeError(
            f"{name} computed {result.dtype}, which cannot be written into a tensor of "
            f"{target.dtype}"
        )


def rebase(target: Tensor, node: Node) -> None:
    """Makes ``node``, whose first input was the target, the target's history."""
    view = target._rare.view
    written = target if view is None else view.base
    if view is not None:
        check_creation(view, "the view")
        node = CopySlices(view, node)
    old = written._grad_fn
    written._grad_fn, written._nr, written._tracked = node, 0, True
    move_retained(written, old, node, 0)
    if view is not None and view.grad_fn is not None and view.grad_fn.hooks is not None:
        target._edge()  # what retains its gradient retains that of its latest value from now on


class CopySlices(Node):
    """A base after one of its views was written.

    Inputs: the base as it was, then what the write's own node (``inner``) had besides the view.
    """

    __slots__ = ("_chain", "_raw", "inner")

    def __init__(self, view: View, inner: Node) -> None:
        self.inner = inner
        self._chain = way_from_base(view)
        #: the base's array: its memory layout is the cotangent's too
        self._raw = view.base._raw
        edges = (view.base._edge(), *inner.next_functions[1:])
        self.link(edges, ((tuple(self._raw.shape), self._raw.dtype),))

    def run(self, grads: Cotangents, F: Any, wanted: Wanted) -> Cotangents:
        """Cotangents: of the base outside the view's elements as they come, inside by ``inner``."""
        if grads[0] is None:
            return [None] * len(self.next)
        whole = F.clone(grads[0])
        part = replay(whole, self._chain)
        inside, *others = self._run_inner(F.clone(part), F, wanted)
        F.write(part, inside, self)
        return [whole, *others]

    def _run_inner(self, g: Cotangent, F: Any, wanted: Wanted) -> Cotangents:
        if not F.creates_graph or not isinstance(self.inner, OpNode):
            return self.inner.run((g,), F, wanted)
        # if the write saved its output, that is now, in the graph, the view of this base
        base = from_graph(self._raw, new_storage(), self, 0)
        return self.inner.run((g,), F, wanted, output=replay(base, self._chain))

    def release(self) -> None:
        """Frees what the write's own node saved."""
        self.inner.release()
