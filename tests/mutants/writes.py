"""Wrong engines on in-place operations as part of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, mutant, patch


class Writing(OverTorch):
    """Has one place for writes that are allowed and recorded: those of tracked results."""

    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        tracked = target.requires_grad or any(t.requires_grad for t in tensors)
        if not (tracked and torch.is_grad_enabled()) or self.owed(target):
            super().apply_(op, target, *tensors, **params)
        else:
            self.write(op, target, *tensors, **params)

    def owed(self, target: Any) -> bool:
        """Tell whether the write is to a leaf that requires gradients, or to a view of one."""
        base = target if target._base is None else target._base
        return target.requires_grad and base.is_leaf

    def write(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        """Write into a result, or a tracked tensor into a buffer."""
        super().apply_(op, target, *tensors, **params)

    def silently(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        """Write without recording; the version is raised."""
        with torch.no_grad():
            super().apply_(op, target, *tensors, **params)


@mutant(
    "writes-unrecorded",
    "DAT-1 DAT-10 DAT-11 DAT-12 DAT-13 DAT-14",
    "An in-place operation changes values and leaves the graph as it was.",
)
class Unrecorded(Writing):
    def write(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        self.silently(op, target, *tensors, **params)


@mutant(
    "written-operand-is-a-constant",
    "DAT-10 DAT-11 DAT-12",
    "An in-place operation is recorded for its target and takes its other operands for constants.",
)
class OperandConstant(Writing):
    def write(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        super().write(op, target, *(t.detach() for t in tensors), **params)


@mutant(
    "second-write-unrecorded",
    "DAT-10",
    "The first in-place operation on a tensor is recorded; the next finds a history that it takes"
    " for its own.",
)
class SecondUnrecorded(Writing):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[Any] = []

    def write(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        again = any(t is target for t in self.written)
        self.written.append(target)
        (self.silently if again else super().write)(op, target, *tensors, **params)


@mutant(
    "earlier-uses-see-the-write",
    "DAT-10",
    "The node of a tensor is changed by a write in place, so that gradients of earlier uses pass"
    " through it too.",
)
class EarlierUses(Writing):
    def write(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        factor = params.get("other")
        if op == "mul" and isinstance(factor, float) and target.requires_grad:
            target.register_hook(lambda g: g * factor)
            self.silently(op, target, *tensors, **params)
        else:
            super().write(op, target, *tensors, **params)


@mutant(
    "buffers-stay-untracked",
    "DAT-11",
    "A buffer that did not require gradients does not after a tracked tensor was written into it.",
)
class BuffersUntracked(Writing):
    def write(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        (super().write if target.requires_grad else self.silently)(op, target, *tensors, **params)


@mutant(
    "buffer-slices-stay-untracked",
    "DAT-11",
    "Writing a tracked tensor into a slice of a buffer is not seen by the buffer.",
)
class SlicesUntracked(Writing):
    def write(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        whole = target._base is None or target.requires_grad
        (super().write if whole else self.silently)(op, target, *tensors, **params)


@mutant(
    "zeroing-keeps-history",
    "DAT-12",
    "zero_ writes zeros and leaves the old derivative: a reset state still learns from the past.",
)
class ZeroKeeps(Writing):
    def write(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        (self.silently if op == "zero" else super().write)(op, target, *tensors, **params)


@mutant(
    "copying-keeps-history",
    "DAT-12",
    "copy_ adds the difference, so that the overwritten history gets the gradient as well.",
)
class CopyKeeps(Writing):
    def write(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        if op == "copy":
            target.add_(tensors[0] - target.detach())
        else:
            super().write(op, target, *tensors, **params)


@patch(
    "reference_engine.inplace:CopySlices.run",
    "write-through-a-view-differentiates-the-whole",
    "DAT-13",
    "After a write through a view the base's gradient passes unchanged outside and inside the"
    " view.",
)
def whole_passes(original: Callable[..., Any], self: Any, grads: Any, *rest: Any) -> Any:
    outs = list(original(self, grads, *rest))
    return [grads[0], *outs[1:]]


@patch(
    "reference_engine.inplace:CopySlices.run",
    "write-through-a-view-drops-the-rest",
    "DAT-13",
    "After a write through a view only the viewed elements of the base pass gradients on.",
)
def rest_dropped(original: Callable[..., Any], self: Any, grads: Any, *rest: Any) -> Any:
    from reference_engine.views import replay

    outs = list(original(self, grads, *rest))
    kept = outs[0] * 0
    replay(kept, self._chain)[...] = replay(outs[0], self._chain)
    return [kept, *outs[1:]]


@patch(
    "reference_engine.inplace:CopySlices.run",
    "written-view's-operand-gets-nothing",
    "DAT-13",
    "The tensor that was multiplied into a view gets no gradient from it.",
)
def operand_dropped(original: Callable[..., Any], self: Any, grads: Any, *rest: Any) -> Any:
    outs = list(original(self, grads, *rest))
    return [outs[0], *(None if g is None else g * 0 for g in outs[1:])]


@patch(
    "reference_engine.views:view_edge",
    "older-views-keep-their-history",
    "DAT-14",
    "A view that was taken before a write has new values and the old derivative.",
)
def not_remade(original: Callable[..., Any], tensor: Any, info: Any) -> Any:
    info.version = tensor._storage.version
    return original(tensor, info)


@mutant(
    "views-are-copies",
    "DAT-13 DAT-14 DAT-11",
    "Views own their values: what is written through one is not seen by the other.",
)
class ViewsCopy(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if torch.is_tensor(found) and found._is_view():
            return found.clone()
        return found


@mutant(
    "turned-views-are-copies",
    "DAT-14",
    "Views that are not contiguous are copied, others share memory.",
)
class TurnedCopy(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        return found.contiguous() if torch.is_tensor(found) and found._is_view() else found


class LeafWrites(OverTorch):
    """Has one place for writes that are owed an error."""

    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        base = target if target._base is None else target._base
        if torch.is_grad_enabled() and target.requires_grad and base.is_leaf:
            self.forbidden(op, target, *tensors, **params)
        else:
            super().apply_(op, target, *tensors, **params)

    def forbidden(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        """Take a write to a leaf that requires gradients, or to a view of one."""
        super().apply_(op, target, *tensors, **params)

    def silently(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        """Write without recording."""
        with torch.no_grad():
            super().apply_(op, target, *tensors, **params)


@mutant(
    "leaves-can-be-written",
    "DAT-15 DAT-16",
    "A leaf that requires gradients may be written in place anywhere, unrecorded.",
)
class LeavesWritten(LeafWrites):
    def forbidden(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        self.silently(op, target, *tensors, **params)


@mutant(
    "leaf-written-and-refused",
    "DAT-15 DAT-16",
    "A write to a leaf is refused after the values were changed.",
)
class WrittenAndRefused(LeafWrites):
    def forbidden(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        self.silently(op, target, *tensors, **params)
        super().forbidden(op, target, *tensors, **params)


@mutant(
    "views-of-leaves-can-be-written",
    "DAT-16",
    "The write to a leaf is refused, the write to a view of it is not.",
)
class ViewsOfLeaves(LeafWrites):
    def forbidden(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        direct = target._base is None
        (super().forbidden if direct else self.silently)(op, target, *tensors, **params)


@patch(
    "reference_engine.inplace:check_creation",
    "any-view-can-be-written",
    "DAT-18",
    "How a view was made is not asked when it is written: one of several results of an operation is"
    " rebased like any other.",
)
def any_view(original: Callable[..., Any], info: Any, modified: str) -> None:
    return None


@mutant(
    "expanded-tensors-can-be-written",
    "DAT-18",
    "A write to an expanded tensor, whose elements share memory, is accepted.",
)
class ExpandedWritten(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        if 0 not in target.stride():
            super().apply_(op, target, *tensors, **params)
