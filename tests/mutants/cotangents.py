"""Wrong engines on cotangents: what backward starts from, and what it hands out as results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, mutant


class Seeded(OverTorch):
    """Changes each root and cotangent before the walk."""

    def __init__(self, change: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.change = change

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        changed = [self.change(y, v) for y, v in zip(roots, gradients, strict=True)]
        super().walk(roots, changed, **options)


def seeded(name: str, caught_by: str, wrong: str, change: Callable[[Any, Any], Any]) -> None:
    mutant(name, caught_by, wrong)(partial(Seeded, change))


def _in_memory_order(v: Any) -> Any:
    """Return the elements of `v` as they would be read without its strides."""
    if v is None or v.is_contiguous() or 0 in v.stride():
        return v
    return v.t().contiguous().reshape(v.shape) if v.ndim == 2 else v


def _stepped(v: Any) -> Any:
    """Return a slice with a step or an offset as if it were its memory's first elements."""
    if v is None or v._base is None or v.ndim != 1:
        return v
    return v._base.reshape(-1)[: v.numel()].reshape(v.shape)


def _spread(v: Any) -> Any:
    """Return a cotangent of zero strides as if only its first element were there."""
    if v is None or 0 not in v.stride() or v.numel() < 2:
        return v
    found = torch.zeros_like(v).contiguous()
    found.view(-1)[0] = v.reshape(-1)[0]
    return found


seeded(
    "cotangent-ignored",
    "COT-1 COT-5 COT-13 ACC-9",
    "Backward starts from ones whatever it was given.",
    lambda y, v: None if v is None else torch.ones_like(v),
)
seeded(
    "cotangent-read-without-strides",
    "COT-1",
    "A transposed cotangent is read in the order of its memory, as by a kernel that takes a pointer.",
    lambda y, v: _in_memory_order(v),
)
seeded(
    "cotangent-read-without-offset",
    "COT-1",
    "A cotangent that is a slice is read from the start of its memory.",
    lambda y, v: _stepped(v),
)
seeded(
    "expanded-cotangent-counts-once",
    "COT-1",
    "A cotangent that was expanded from one number has one element in memory, and only one is used.",
    lambda y, v: _spread(v),
)
seeded(
    "cotangent-in-the-root's-memory-order",
    "COT-1",
    "Where the root is transposed the cotangent is read as if it were too.",
    lambda y, v: (
        v if v is None or y.ndim != 2 or y.is_contiguous() else v.contiguous().t().reshape(y.shape)
    ),
)
seeded(
    "cotangent-clipped",
    "COT-1 COT-5",
    "Cotangents are clipped to ±1, somebody's cure for exploding gradients left in the engine.",
    lambda y, v: None if v is None else v.clamp(-1, 1),
)
seeded(
    "cotangent-normalised-when-large",
    "COT-5",
    "A cotangent of norm above ten is scaled down, so that backward is linear near zero only.",
    lambda y, v: v if v is None or v.norm() <= 10 else v * (10 / v.norm()),
)
seeded(
    "cotangent-averaged",
    "COT-6 COT-1",
    "A given cotangent is divided by its number of elements, as if the root were a mean.",
    lambda y, v: None if v is None else v / v.numel(),
)
seeded(
    "implicit-sum",
    "COT-3",
    "A root of several elements needs no cotangent: its sum is differentiated.",
    lambda y, v: torch.ones_like(y) if v is None else v,
)
seeded(
    "cotangent-broadcast",
    "COT-4",
    "A cotangent is broadcast to the shape of the root.",
    lambda y, v: v if v is None or v.shape == y.shape else v.broadcast_to(y.shape),
)
seeded(
    "cotangent-reshaped",
    "COT-4",
    "A cotangent of as many elements as the root is reshaped to it: a transposed one passes.",
    lambda y, v: v if v is None or v.numel() != y.numel() else v.reshape(y.shape),
)
seeded(
    "cotangent-of-another-precision-refused",
    "COT-15",
    "A cotangent must have the very dtype of its root.",
    lambda y, v: v if v is None or v.dtype == y.dtype else v[None],
)
seeded(
    "imaginary-cotangent-dropped",
    "COT-14",
    "A complex cotangent of a real root is replaced by its real part in silence.",
    lambda y, v: v.real.clone() if v is not None and v.is_complex() and not y.is_complex() else v,
)


@mutant(
    "complex-root-is-its-real-part",
    "COT-14",
    "Backward from a complex scalar starts from one, as if it were real.",
)
class ComplexRoot(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        real = [y.real if y.is_complex() and v is None else y for y, v in zip(roots, gradients)]  # noqa: B905
        super().walk(real, gradients, **options)


@mutant(
    "zero-cotangent-is-nothing",
    "COT-5",
    "A cotangent of zeros is skipped as if it had not arrived: leaves get no gradient instead of"
    " zeros.",
)
class ZeroIsNothing(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if not all(v is not None and not v.any() for v in gradients):
            super().walk(roots, gradients, **options)


@mutant(
    "scalars-have-no-axes",
    "COT-2",
    "Only a root without axes starts from one by itself; losses of shape (1, 1) are refused.",
)
class NoAxes(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for root, gradient in zip(roots, gradients, strict=True):
            if gradient is None and root.ndim:
                raise RuntimeError("a root with axes needs a gradient")
        super().walk(roots, gradients, **options)


@mutant(
    "refused-after-the-walk",
    "COT-3",
    "The missing cotangent is noticed when gradients were written already.",
)
class RefusedAfter(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if gradients[0] is None and roots[0].numel() != 1 and roots[0].requires_grad:
            super().walk(roots, [torch.ones_like(roots[0])], **options)
        super().walk(roots, gradients, **options)


@mutant(
    "last-root-only",
    "COT-7",
    "Of several roots the cotangent of the last one is used: a table of seeds by dtype and shape.",
)
class LastRoot(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots[-1:], gradients[-1:], **options)


@mutant(
    "inner-root-dropped",
    "COT-7",
    "A root that another root was computed from is visited already when its turn comes, and its own"
    " cotangent is lost.",
)
class InnerRootDropped(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        kept = [
            (y, v)
            for y, v in zip(roots, gradients, strict=True)
            if not any(other is not y and _above(other.grad_fn, y.grad_fn) for other in roots)
        ]
        super().walk([y for y, _ in kept], [v for _, v in kept], **options)


def _above(node: Any, wanted: Any) -> bool:
    """Tell whether `wanted` is among the nodes that lead to `node`."""
    if node is None or wanted is None:
        return False
    return any(parent is wanted or _above(parent, wanted) for parent, _ in node.next_functions)


@mutant(
    "roots-one-after-the-other",
    "COT-7",
    "Several roots are walked in turn, each freeing what the next one needs.",
)
class RootsInTurn(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for root, gradient in zip(roots, gradients, strict=True):
            super().walk([root], [gradient], **options)


@mutant(
    "untracked-root-ignored",
    "COT-11 MOD-2",
    "Backward from a tensor without history returns in silence.",
)
class UntrackedIgnored(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if any(root.requires_grad for root in roots):
            super().walk(roots, gradients, **options)


class Asking(OverTorch):
    """Has one place for what `grad_of` answers."""

    def grad_of(
        self,
        outputs: Any,
        inputs: Any,
        grad_outputs: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        allow_unused: bool = False,
    ) -> Any:
        options = {"retain_graph": retain_graph, "create_graph": create_graph}
        return self.answer(outputs, inputs, grad_outputs, allow_unused, options)

    def answer(
        self, outputs: Any, inputs: Any, seeds: Any, allow_unused: bool, options: dict[str, Any]
    ) -> Any:
        """Return the gradients of `outputs`."""
        return super().grad_of(
            outputs, inputs, grad_outputs=seeds, allow_unused=allow_unused, **options
        )


@mutant(
    "asking-accumulates",
    "COT-8 RET-9",
    "autograd.grad runs backward and reads the gradients, which stay where they were written.",
)
class AskingAccumulates(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, unused, options)
        for tensor, g in zip(inputs, found, strict=True):
            if tensor.is_leaf and g is not None:
                tensor.grad = g.clone() if tensor.grad is None else tensor.grad + g
        return found


@mutant(
    "asking-adds-what-is-there",
    "COT-8",
    "autograd.grad runs backward, reads the gradients and clears them: what was accumulated before"
    " is in the answer and gone from the leaf.",
)
class AskingClears(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = list(super().answer(outputs, inputs, seeds, unused, options))
        for place, tensor in enumerate(inputs):
            if tensor.is_leaf and tensor.grad is not None and found[place] is not None:
                found[place] = found[place] + tensor.grad
                tensor.grad = None
        return found


@mutant(
    "asking-ignores-the-cotangent",
    "COT-8",
    "autograd.grad starts from ones, grad_outputs or not.",
)
class AskingOnes(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        ones = [torch.ones_like(y) for y in outputs]
        return super().answer(outputs, inputs, ones, unused, options)


@mutant(
    "asking-about-leaves-only",
    "COT-9",
    "autograd.grad refuses tensors that are not leaves.",
)
class AskingLeaves(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        if not all(tensor.is_leaf for tensor in inputs):
            raise RuntimeError("gradients are computed for leaves only")
        return super().answer(outputs, inputs, seeds, unused, options)


@mutant(
    "answers-in-order-of-creation",
    "COT-9",
    "autograd.grad answers in the order in which tensors were made, whatever order they were asked"
    " in.",
)
class InOrderOfCreation(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        made = sorted(inputs, key=lambda t: 0 if t.is_leaf else 1)
        return super().answer(outputs, made, seeds, unused, options)


@mutant(
    "unused-input-is-zero",
    "COT-10",
    "autograd.grad answers zeros for an input on which the output does not depend.",
)
class UnusedZero(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, True, options)
        pairs = zip(inputs, found, strict=True)
        return [torch.zeros_like(t) if g is None else g for t, g in pairs]


@mutant(
    "unused-input-is-none",
    "COT-10",
    "autograd.grad answers None for an unused input without having been allowed to.",
)
class UnusedNone(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        return super().answer(outputs, inputs, seeds, True, options)


@mutant(
    "hook-result-dropped",
    "COT-16",
    "What a hook returns is thrown away: gradient clipping by hooks has no effect.",
)
class HookDropped(OverTorch):
    def register_hook(self, tensor: Any, hook: Any) -> Any:
        def heard(g: Any) -> None:
            hook(g)

        return super().register_hook(tensor, heard)


@mutant(
    "hook-result-for-the-leaf-only",
    "COT-16",
    "What a hook on an intermediate returns does not reach what the tensor was computed from.",
)
class HookLeafOnly(OverTorch):
    def register_hook(self, tensor: Any, hook: Any) -> Any:
        def heard(g: Any) -> Any:
            found = hook(g)
            return found if tensor.is_leaf else None

        return super().register_hook(tensor, heard)


@mutant(
    "hook-sees-each-use",
    "COT-16",
    "A hook is called for every use of its tensor with the part of the gradient that comes from it.",
)
class HookPerUse(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.hooked: list[tuple[Any, Any]] = []

    def reset(self) -> None:
        super().reset()
        self.hooked = []

    def register_hook(self, tensor: Any, hook: Any) -> Any:
        self.hooked.append((tensor, hook))
        return super().register_hook(tensor, lambda g: None)

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        return super().apply(op, *map(self.used, tensors), **params)

    def used(self, tensor: Any) -> Any:
        for hooked, hook in self.hooked:
            if hooked is tensor and torch.is_grad_enabled():
                alias = tensor.view_as(tensor)
                alias.register_hook(hook)
                return alias
        return tensor


@mutant(
    "removed-hook-still-heard",
    "COT-16",
    "Removing a hook is without effect.",
)
class HookStays(OverTorch):
    def register_hook(self, tensor: Any, hook: Any) -> Any:
        super().register_hook(tensor, hook)
        return super().register_hook(tensor, lambda g: None)


