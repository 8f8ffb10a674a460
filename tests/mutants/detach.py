"""Wrong engines on detach and detach_."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, mutant, patch


class Detaching(OverTorch):
    """Makes something else than a detached tensor."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self.make = make

    def detach(self, tensor: Any) -> Any:
        return self.make(tensor)


def detaching(name: str, caught_by: str, wrong: str, make: Callable[[Any], Any]) -> None:
    mutant(name, caught_by, wrong)(partial(Detaching, make))


def _leaf_itself(tensor: Any) -> Any:
    return tensor if tensor.is_leaf else tensor.detach()


def _cutting_the_source(tensor: Any) -> Any:
    found = tensor.detach()
    if not tensor.is_leaf and not tensor._is_view():
        tensor.detach_()
    elif tensor.is_leaf:
        tensor.requires_grad_(False)
    return found


detaching(
    "detach-is-an-alias",
    "DET-1 DET-2 DET-3 TRN-7",
    "detach returns a view that is still in the graph: a stop-gradient that stops nothing.",
    lambda t: t.view_as(t),
)
detaching(
    "detach-keeps-the-flag",
    "DET-1",
    "The graph is cut and the flag copied: what is computed from a detached tensor is recorded.",
    lambda t: t.detach().requires_grad_(t.requires_grad),
)
detaching(
    "detached-leaf-is-the-leaf",
    "DET-2 DET-3",
    "detach returns a leaf as it is, there being no history to cut.",
    _leaf_itself,
)
detaching(
    "detach-cuts-its-source",
    "DET-3",
    "detach changes the tensor that it is called on, as detach_ does.",
    _cutting_the_source,
)
detaching(
    "detach-copies",
    "DET-4 DET-5",
    "detach copies the values, so that a write through the detached tensor is lost.",
    lambda t: t.detach().clone(),
)
detaching(
    "detach-copies-what-is-not-contiguous",
    "DET-4",
    "detach makes its result contiguous: transposed and sliced tensors are copied, others shared.",
    lambda t: t.detach().contiguous(),
)
detaching(
    "detach-copies-views",
    "DET-4",
    "detach shares memory with tensors that own theirs and copies views.",
    lambda t: t.detach().clone() if t._is_view() else t.detach(),
)
detaching(
    "detach-has-its-own-version",
    "DET-5 DAT-17",
    "A detached tensor counts its writes by itself, as .data does: no write through it is noticed.",
    lambda t: t.data,
)
detaching(
    "detach-of-a-leaf-counts-by-itself",
    "DAT-17",
    "Writes through a detached leaf are not counted, those through a detached result are.",
    lambda t: t.data if t.is_leaf else t.detach(),
)
detaching(
    "detach-rounds",
    "DET-1",
    "The detached copy went through a buffer of single precision.",
    lambda t: t.detach() if t.numel() < 2 else t.detach() * (1 + 2.0**-24),
)


@mutant(
    "detach-in-place-does-nothing",
    "DET-6",
    "detach_ returns a detached tensor and leaves the one that it was called on in the graph.",
)
class DetachNothing(OverTorch):
    def detach_(self, tensor: Any) -> None:
        if tensor._is_view():
            super().detach_(tensor)


@mutant(
    "detach-in-place-of-a-leaf-does-nothing",
    "DET-6",
    "detach_ drops the history of a result; a leaf has none and goes on requiring gradients.",
)
class DetachLeafNothing(OverTorch):
    def detach_(self, tensor: Any) -> None:
        if not tensor.is_leaf:
            super().detach_(tensor)


@mutant(
    "detach-in-place-clears-the-flag-only",
    "DET-6",
    "After detach_ the tensor says that it requires no gradients, and passes them on all the same.",
)
class DetachFlagOnly(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.cut: list[Any] = []

    def detach_(self, tensor: Any) -> None:
        if tensor._is_view():
            super().detach_(tensor)
        self.cut.append(tensor)

    def requires_grad(self, tensor: Any) -> bool:
        return super().requires_grad(tensor) and not any(t is tensor for t in self.cut)


@mutant(
    "view-detached-in-place",
    "DET-7",
    "detach_ on a view is accepted and does nothing.",
)
class ViewDetached(OverTorch):
    def detach_(self, tensor: Any) -> None:
        if not tensor._is_view():
            super().detach_(tensor)


@mutant(
    "sliced-view-detached-in-place",
    "DET-7",
    "detach_ refuses views of another shape of the whole and accepts slices.",
)
class SliceDetached(OverTorch):
    def detach_(self, tensor: Any) -> None:
        if not tensor._is_view() or tensor.numel() == tensor._base.numel():
            super().detach_(tensor)


@patch(
    "reference_engine.tensor:Tensor.detach_",
    "detach-in-place-cuts-backwards-in-time",
    "DET-8",
    "detach_ clears the tensor's node, which results computed before still point to.",
)
def cut_backwards(original: Callable[..., Any], self: Any) -> Any:
    node = self._grad_fn
    found = original(self)
    if node is not None:
        node.next = (None,) * len(node.next)
    return found


@mutant(
    "detached-leaf-feeds-its-source",
    "DET-9",
    "A detached tensor that requires gradients shares its gradient with the source, which passes it"
    " on.",
)
class FeedsItsSource(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[tuple[Any, Any]] = []

    def detach(self, tensor: Any) -> Any:
        found = super().detach(tensor)
        self.sources.append((found, tensor))
        return found

    def set_requires_grad(self, tensor: Any, flag: bool) -> None:
        super().set_requires_grad(tensor, flag)
        for found, source in self.sources:
            if found is tensor and flag and source.requires_grad:
                tensor.register_hook(partial(self.feed, source))

    @staticmethod
    def feed(source: Any, g: Any) -> None:
        source.backward(g.clone(), retain_graph=True)


@mutant(
    "detached-leaf-has-no-gradient",
    "DET-9",
    "A detached tensor that is asked to require gradients passes them to its results' flags only:"
    " its own gradient stays empty.",
)
class DetachedNoGradient(OverTorch):
    def detach(self, tensor: Any) -> Any:
        found = super().detach(tensor)
        self.cut.append(found)
        return found

    def __init__(self) -> None:
        super().__init__()
        self.cut: list[Any] = []

    def grad(self, tensor: Any) -> Any:
        return None if any(t is tensor for t in self.cut) else super().grad(tensor)


@mutant(
    "detached-copy-made-late",
    "DET-3 TRN-7",
    "detach is deferred until backward, which skips every use of the tensor that was detached.",
)
class DetachedLate(OverTorch):
    def detach(self, tensor: Any) -> Any:
        found = super().detach(tensor)
        if tensor.requires_grad:
            tensor.register_hook(torch.zeros_like)
        return found
