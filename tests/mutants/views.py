"""Wrong engines on views."""

from __future__ import annotations

from typing import Any

import torch

from tests.mutants.mutant import OverTorch, bent, mutant, several

SEVERAL = frozenset({"unbind", "split", "chunk"})
"""Operations that return several views."""


class Viewing(OverTorch):
    """Has one place for views and one for views of views."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if not (torch.is_tensor(found) and found._is_view()):
            return found
        of_a_view = torch.is_tensor(tensors[0]) and tensors[0]._is_view()
        return self.inner(found) if of_a_view else self.outer(found)

    def outer(self, view: Any) -> Any:
        """Return a view of a tensor that is none."""
        return view

    def inner(self, view: Any) -> Any:
        """Return a view of a view."""
        return view


@mutant(
    "views-of-views-are-copies",
    "VIEW-1 VIEW-5",
    "A view of a view is copied, because strides are kept for one level only.",
)
class InnerCopied(Viewing):
    def inner(self, view: Any) -> Any:
        return view.clone()


@mutant(
    "gradient-of-a-slice-at-the-front",
    "VIEW-2 VIEW-3",
    "The gradient of a slice is added at the start of its axis, whatever the slice's offset is.",
)
class SliceAtFront(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "narrow":
            start, dim = params["start"], params["dim"]
            base = bent(tensors[0], lambda g: g.roll(-start, dim))
            return super().apply(op, base, **params)
        return super().apply(op, *tensors, **params)


@mutant(
    "expanded-elements-learn-once",
    "VIEW-3",
    "Of the elements that expand repeats, the gradient of the first copy is kept.",
)
class ExpandOnce(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if op != "expand":
            return found

        def first(g: Any) -> Any:
            kept = torch.zeros_like(g)
            index = tuple(slice(0, 1) if s == 0 else slice(None) for s in found.stride())
            kept[index] = g[index]
            return kept

        return bent(found, first)


@mutant(
    "first-of-several-views-learns",
    "VIEW-4",
    "Of the views that one operation returns, the first passes gradients on.",
)
class FirstView(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if op not in SEVERAL:
            return found
        first, *others = several(found)
        return (first, *(view.detach() for view in others))


@mutant(
    "several-views-are-single-ones",
    "VIEW-7 DAT-18",
    "Views that one operation returned are taken for views by themselves: writes to their base are"
    " not noticed.",
)
class SingleViews(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "unbind":
            (base,), dim = tensors, params.get("dim", 0)
            return tuple(base.select(dim, index) for index in range(base.shape[dim]))
        return super().apply(op, *tensors, **params)


@mutant(
    "sibling-views-stay-untracked",
    "VIEW-6",
    "A tracked write through a view reaches the base's history, but not that of the other views.",
)
class Siblings(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.cut: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.cut = []

    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        base = target._base
        untracked = base is not None and not base.requires_grad
        super().apply_(op, target, *tensors, **params)
        if untracked and base.requires_grad:
            self.cut += [t for t in self.results if t._base is base and t is not target]

    def requires_grad(self, tensor: Any) -> bool:
        return super().requires_grad(tensor) and not any(t is tensor for t in self.cut)


@mutant(
    "copies-of-views-are-views",
    "VIEW-8",
    "clone of a view is the view again: its memory is counted as copied already.",
)
class CloneShares(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "clone" and tensors[0]._is_view():
            return tensors[0].view_as(tensors[0])
        return super().apply(op, *tensors, **params)


@mutant(
    "copies-of-views-are-cut",
    "VIEW-8",
    "clone of a view copies the values and leaves the history behind.",
)
class CloneCut(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        return found.detach() if op == "clone" and tensors[0]._is_view() else found


@mutant(
    "update-through-a-view-lost",
    "VIEW-9",
    "A write under no_grad to a view of a leaf goes to a copy of the view.",
)
class UpdateLost(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        lost = not torch.is_grad_enabled() and target._is_view()
        super().apply_(op, target.clone() if lost else target, *tensors, **params)


@mutant(
    "update-through-a-view-unflags",
    "VIEW-9",
    "A leaf that was written under no_grad through a view does not require gradients any more.",
)
class UpdateUnflags(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        super().apply_(op, target, *tensors, **params)
        if not torch.is_grad_enabled() and target._is_view() and target._base.is_leaf:
            target._base.requires_grad_(False)


@mutant(
    "views-differentiated-once",
    "VIEW-10",
    "The backward of a slice is not itself recorded.",
)
class Once(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op in ("narrow", "select"):
            return super().apply(op, bent(tensors[0], lambda g: g.detach()), **params)
        return super().apply(op, *tensors, **params)
