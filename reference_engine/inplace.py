"""Writing into memory that others may see or have saved.

An in-place op computes its result, copies it into its first input's memory, adds one to the
storage's version and gives the input a new history. When the input is a view, it is the base whose
history changes: a :class:`CopySlices` node says that the base is what it was, except for the view's
elements. Views find out by the version, and remake their own history when asked (see ``views``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reference_engine import errors
from reference_engine.backends.base import BACKENDS, DIFFERENTIABLE, Backend, of_array
from reference_engine.backends.dtypes import dtype
from reference_engine.forward import keep_tangents, of_write, overwrite_tangent
from reference_engine.graph import (
    AccumulateGrad,
    Cotangent,
    Node,
    OpNode,
    priorities,
)
from reference_engine.modes import MODES
from reference_engine.ops.accepted import check
from reference_engine.rare import View
from reference_engine.saved_tensors import pack
from reference_engine.storage import InferenceStorage, new_storage
from reference_engine.tensor import Tensor, from_graph, from_raw
from reference_engine.views import check_creation, move_retained, replay, replay_raw

if TYPE_CHECKING:
    from reference_engine.dispatch import Operator


def apply_in_place(run: Operator, inputs: Sequence[Any], params: Mapping[str, Any]) -> Tensor:
    """Runs an op and writes the result into its first input, which is returned.

    RuntimeError when that input is a leaf that requires grad or a view that cannot be followed,
    when the result has another shape or a greater dtype category, or when the memory overlaps
    itself.
    """
    from reference_engine.dispatch import bring_together, compute, input_edges, make_node, save

    target: Tensor = inputs[0]
    name = run.op.name.split(".")[-1] + "_"
    if any(BACKENDS[type(x._raw)].batched for x in inputs if isinstance(x, Tensor)):
        from reference_engine.ops.batching import aligned_for_write

        inputs = aligned_for_write(inputs, name)
    edges = input_edges(run, inputs) if MODES.recording else None
    check_writable(target, name, recording=edges is not None)
    inputs, tangents = of_write(run, inputs, params) if MODES.forward else (inputs, ())
    raws, backend = bring_together(run, inputs)
    if run.least is not None:
        check(name, run.least, inputs)
    result = backend.wrap(compute(run, backend, raws, params))
    _check_fits(target, result, backend, name)
    node = None
    if edges is not None and target._raw.dtype in DIFFERENTIABLE:
        node = make_node(run, inputs, params, [target], edges)
        if 0 in node._plan.sources:
            # the gradient needs the value that is about to be overwritten
            kept = from_raw(backend.copy(raws[0]), new_storage())
            inputs, raws = [kept, *inputs[1:]], [kept._raw, *raws[1:]]
        saved = save(node, inputs, raws, [target])
    if MODES.mutation is not None:
        MODES.mutation.before_write(target._storage)
    backend.assign(target._raw, result)
    bump(target)
    if node is not None:
        if len(run.op.inputs) in node._plan.sources:
            saved = _output_as_written(saved, target)
        rebase(target, node)  # before hooks look: a view would take its base's old history for new
        node._saved = pack(saved, inputs)
    for level, tangent in tangents:
        overwrite_tangent(target, level, tangent)
    if tangents:
        keep_tangents(node, inputs, [target])
    return target


def _output_as_written(written: tuple[Any, ...], target: Tensor) -> tuple[Any, ...]:
    """A saved output is valid from the version that the write itself made."""
    saved = list(written)
    for i in range(0, len(saved), 3):
        if saved[i] is target._raw:
            saved[i + 2] = target._storage.version
    return tuple(saved)


def add_raw(target: Tensor, addend: Any) -> None:
    """Adds a raw array to a tensor in place, unrecorded; RuntimeError as ``apply_in_place``."""
    check_writable(target, "add_", recording=False)
    if MODES.mutation is not None:
        MODES.mutation.before_write(target._storage)
    target._raw += addend
    bump(target)


def bump(target: Tensor) -> None:
    """Counts one write to a tensor's memory."""
    if not isinstance(target._storage, InferenceStorage):
        target._storage.version += 1


def check_writable(target: Any, name: str, *, recording: bool) -> None:
    """Refuses a write that autograd could not follow, or that would hit an element twice."""
    if not isinstance(target, Tensor):
        raise TypeError(f"{name} writes into a Tensor, got {type(target).__name__}")
    if MODES.transforms:
        MODES.transforms[-1].check_writable(target, name)
    if target.is_inference() and not MODES.inference:
        raise RuntimeError(
            f"{name} would modify an inference tensor outside inference_mode; use its clone()"
        )
    view = target._view_info
    if view is not None and MODES.recording and (recording or target.requires_grad):
        check_creation(view, "the view")
        if isinstance(view.base._edge()[0], AccumulateGrad):
            raise errors.leaf_in_place(name, "a view of a leaf")
    if MODES.recording and target._tracked and target.requires_grad and target.is_leaf:
        raise errors.leaf_in_place(name, "a leaf")
    strides = of_array(target._raw).strides(target._raw)
    # an expanded tensor has several elements in one place: all may become the same number only
    doubled = (s == 0 and n > 1 for s, n in zip(strides, target._raw.shape, strict=True))
    if name not in ("fill_", "zero_") and any(doubled):
        raise RuntimeError(
            f"{name} would write several elements of an expanded tensor of shape "
            f"{list(target.shape)} to one place in memory; clone() it first"
        )


def _check_fits(target: Tensor, result: Any, backend: Backend, name: str) -> None:
    if tuple(result.shape) != tuple(target._raw.shape):
        raise RuntimeError(
            f"{name} computed shape {list(result.shape)}, which does not fit into a tensor of "
            f"shape {list(target.shape)}"
        )
    computed: dtype = backend.dtype_of(result)
    if computed.category > target.dtype.category:
        raise RuntimeError(
            f"{name} computed {computed}, which cannot be written into a tensor of {target.dtype}"
        )


def rebase(target: Tensor, node: Node) -> None:
    """Makes ``node``, whose first input was the target, the target's history."""
    view = target._view_info
    if view is None:
        old = target._grad_fn
        target._grad_fn, target._nr, target._tracked = node, 0, True
        move_retained(target, old, node, 0)
        return
    check_creation(view, "the view")
    base = view.base
    slices = CopySlices(base, view, node)
    old = base._grad_fn
    base._grad_fn, base._nr, base._tracked = slices, 0, True
    move_retained(base, old, slices, 0)


class CopySlices(Node):
    """A base after one of its views was written.

    Inputs: the base as it was, then what the write's own node (``inner``) had besides the view.
    """

    __slots__ = ("_chain", "_raw", "inner")

    def __init__(self, base: Tensor, view: View, inner: Node) -> None:
        self.inner = inner
        self._chain = view.chain
        #: the base's array: its memory layout is the cotangent's too
        self._raw = base._raw
        before, nr = base._edge()
        self.next = (before, *inner.next[1:])
        self.nrs = (nr, *inner.nrs[1:])
        self.metas = ((tuple(base._raw.shape), base._raw.dtype),)
        self.priority = next(priorities)
        self.hooks = None

    def run(
        self, grads: Sequence[Cotangent], F: Any, wanted: Sequence[bool] | None
    ) -> Sequence[Cotangent]:
        """Cotangents: of the base outside the view's elements as they come, inside by ``inner``."""
        if grads[0] is None:
            return [None] * len(self.next)
        if F.creates_graph:
            return self._run_tensors(grads[0], F, wanted)
        backend = of_array(grads[0])
        whole = backend.copy(grads[0])
        part = replay_raw(whole, self._chain)
        outs = list(self.inner.run((backend.copy(part),), F, wanted))
        if outs[0] is None:
            backend.assign(part, 0)
        else:
            backend.assign(part, F.fit(outs[0], part.shape, part.dtype, self))
        return [whole, *outs[1:]]

    def _run_tensors(self, g: Tensor, F: Any, wanted: Sequence[bool] | None) -> Sequence[Tensor]:
        whole = F.clone(g)
        part = replay(whole, self._chain)
        outs = list(self._run_inner(F.clone(part), F, wanted))
        if outs[0] is None:
            part.zero_()
        else:
            part.copy_(outs[0])
        return [whole, *outs[1:]]

    def _run_inner(self, g: Tensor, F: Any, wanted: Sequence[bool] | None) -> Sequence[Cotangent]:
        if not isinstance(self.inner, OpNode):
            return self.inner.run((g,), F, wanted)
        # if the write saved its output, that is now, in the graph, the view of this base
        base = from_graph(self._raw, new_storage(), self, 0)
        return self.inner.run((g,), F, wanted, output=replay(base, self._chain))

    def release(self) -> None:
        """Frees what the write's own node saved."""
        self.inner.release()
