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
    "A transposed cotangent is read in the order of its memory, as by a kernel that takes a"
    " pointer.",
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
    "A cotangent that was expanded from one number has one element in memory, and only one is"
    " used.",
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


@mutant(
    "roots-checked-in-turn",
    "ROOT-3 ROOT-4",
    "Each of several roots is checked when its turn comes, after the gradients of those before it"
    " were written.",
)
class CheckedInTurn(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        *first, last = zip(roots, gradients, strict=True)
        if first and not (last[0].requires_grad and (last[1] is not None or last[0].numel() == 1)):
            super().walk([y for y, _ in first], [v for _, v in first], **options)
        super().walk(roots, gradients, **options)
