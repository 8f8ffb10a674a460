"""Wrong engines on retain_grad: what is kept on intermediate tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, knows, mutant, patch


class Retaining(OverTorch):
    """Keeps gradients by hooks of its own; mutants change what these do."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[list[Any]] = []

    def reset(self) -> None:
        super().reset()
        self.kept = []

    def retain_grad(self, tensor: Any) -> None:
        if tensor.is_leaf:
            super().retain_grad(tensor)
        elif not any(entry[0] is tensor for entry in self.kept):
            entry = [tensor, None]
            self.kept.append(entry)
            tensor.register_hook(lambda g: self.arrived(entry, g))

    def arrived(self, entry: list[Any], g: Any) -> Any:
        """Add a gradient to those kept."""
        entry[1] = g.clone() if entry[1] is None else entry[1] + g
        return None

    def grad(self, tensor: Any) -> Any:
        for entry in self.kept:
            if entry[0] is tensor:
                return entry[1]
        return super().grad(tensor)


mutant(
    "retaining-is-a-hook",
    "KEEP-3 KEEP-4",
    "retain_grad is a hook like others: it keeps the gradient from before the hooks that follow it,"
    " and that of the values from before a write in place.",
)(Retaining)


@mutant(
    "retained-twice-is-doubled",
    "LEAF-6",
    "Each call of retain_grad registers one more hook that adds to the gradient, so that asking"
    " twice doubles it.",
)
class RetainedTwice(Retaining):
    def retain_grad(self, tensor: Any) -> None:
        for entry in self.kept:
            if entry[0] is tensor:
                tensor.register_hook(lambda g, entry=entry: self.arrived(entry, g))
                return
        super().retain_grad(tensor)


@mutant(
    "root-cannot-retain",
    "LEAF-6",
    "The walk starts below the root, so that a retained root is left without its gradient.",
)
class RootCannotRetain(Retaining):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        self.kept = [[t, None if knows(roots, t) else g] for t, g in self.kept]


@mutant(
    "retained-gradient-replaced",
    "ACC-12",
    "A retained gradient is overwritten by the next backward where a leaf's is added to.",
)
class RetainedReplaced(Retaining):
    def arrived(self, entry: list[Any], g: Any) -> Any:
        entry[1] = g.clone()


@mutant(
    "retained-gradient-of-the-pass-before",
    "LEAF-6 ACC-12",
    "A retained gradient is filled when the next backward begins, from a buffer of the pass"
    " before.",
)
class RetainedLate(Retaining):
    def __init__(self) -> None:
        super().__init__()
        self.late: list[tuple[list[Any], Any]] = []

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for entry, g in self.late:
            super().arrived(entry, g)
        self.late = []
        super().walk(roots, gradients, **options)

    def arrived(self, entry: list[Any], g: Any) -> Any:
        self.late.append((entry, g.clone()))


@mutant(
    "retaining-stops-the-gradient",
    "KEEP-1",
    "A tensor that retains its gradient is treated as a leaf: nothing flows on from it.",
)
class RetainingStops(Retaining):
    def arrived(self, entry: list[Any], g: Any) -> Any:
        super().arrived(entry, g)
        return torch.zeros_like(g)


@mutant(
    "late-retaining-ignored",
    "KEEP-2",
    "retain_grad takes effect for uses that come after it.",
)
class LateRetaining(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.used: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.used = []

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        self.used += tensors
        return super().apply(op, *tensors, **params)

    def retain_grad(self, tensor: Any) -> None:
        if not knows(self.used, tensor):
            super().retain_grad(tensor)


@patch(
    "reference_engine.ops.namespace:RawNamespace.retain",
    "kept-without-a-copy",
    "KEEP-5",
    "A retained gradient is the array that is being passed on, not a copy.",
)
def kept_without_copy(original: Callable[..., Any], self: Any, tensor: Any, g: Any) -> None:
    from reference_engine.tensor import from_raw

    if tensor._extras().grad is None:
        tensor._extras().grad = from_raw(g)
    else:
        original(self, tensor, g)


@mutant(
    "retained-and-unreached-is-zero",
    "KEEP-6",
    "A tensor that retains its gradient gets zeros from a backward that does not reach it.",
)
class UnreachedZero(Retaining):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        for entry in self.kept:
            if entry[1] is None:
                entry[1] = torch.zeros_like(entry[0])
