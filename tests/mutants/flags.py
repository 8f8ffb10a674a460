"""Wrong engines on flags: requires_grad, is_leaf, grad_fn, and switching them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from tests.mutants.mutant import OverTorch, knows, mutant


@mutant(
    "results-always-require-gradients",
    "LEAF-8 LEAF-11",
    "requires_grad answers true for the result of any operation, as where the flag is the tape's.",
)
class AlwaysFlagged(OverTorch):
    def requires_grad(self, tensor: Any) -> bool:
        return knows(self.results, tensor) or super().requires_grad(tensor)


@mutant(
    "reductions-lose-the-flag",
    "LEAF-8",
    "The flag is lost by operations that make a scalar, which a separate code path returns.",
)
class LostByReductions(OverTorch):
    def requires_grad(self, tensor: Any) -> bool:
        return super().requires_grad(tensor) and not (tensor.ndim == 0 and not tensor.is_leaf)


@mutant(
    "untracked-results-are-no-leaves",
    "LEAF-9 MOD-1",
    "is_leaf answers whether an operation made the tensor, recorded or not.",
)
class ResultsNoLeaves(OverTorch):
    def is_leaf(self, tensor: Any) -> bool:
        return super().is_leaf(tensor) and not knows(self.results, tensor)


@mutant(
    "leaves-have-a-node",
    "LEAF-9",
    "The grad_fn of a leaf is the node that accumulates into it, an internal made public.",
)
class LeavesHaveNode(OverTorch):
    def grad_fn(self, tensor: Any) -> str | None:
        found = super().grad_fn(tensor)
        return "AccumulateGrad" if found is None and tensor.requires_grad else found


@mutant(
    "nodes-named-by-type",
    "LEAF-10",
    "Every node has the name of the one class that implements them all.",
)
class NodesNamedByType(OverTorch):
    def grad_fn(self, tensor: Any) -> str | None:
        return None if super().grad_fn(tensor) is None else "Function"


@mutant(
    "late-flag-ignored",
    "LEAF-11 DET-9 MOD-9",
    "requires_grad_ after creation is accepted and changes nothing: tracking was decided when the"
    " tensor was made.",
)
class LateFlagIgnored(OverTorch):
    def set_requires_grad(self, tensor: Any, flag: bool) -> None:
        if not flag:
            super().set_requires_grad(tensor, flag)


@mutant(
    "tracked-unless-told",
    "LEAF-4 LEAF-11",
    "A tensor requires gradients unless it is told not to, as in engines that have parameters"
    " only.",
)
class TrackedUnlessTold(OverTorch):
    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        return super().tensor(array, array.dtype.kind in "fc")


@mutant(
    "late-flag-reaches-back",
    "LEAF-11",
    "requires_grad_ is looked up when backward runs, so that operations made before it count too.",
)
class FlagReachesBack(OverTorch):
    """Tracks every floating-point leaf, and hides the gradients that nobody asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.asked = []

    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        made = super().tensor(array, requires_grad or array.dtype.kind in "fc")
        if requires_grad:
            self.asked.append(made)
        return made

    def set_requires_grad(self, tensor: Any, flag: bool) -> None:
        if tensor.is_leaf and flag:
            self.asked.append(tensor)
        super().set_requires_grad(tensor, flag)

    def requires_grad(self, tensor: Any) -> bool:
        return any(knows(self.asked, leaf) for leaf in self.upstream([tensor]))

    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        return found if not tensor.is_leaf or knows(self.asked, tensor) else None


@mutant(
    "frozen-stage-cuts",
    "LEAF-12",
    "Where a parameter was frozen by clearing its flag, its operations are not recorded at all, so"
    " that the stages before it stop learning.",
)
class FrozenCuts(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.frozen: list[Any] = []

    def set_requires_grad(self, tensor: Any, flag: bool) -> None:
        super().set_requires_grad(tensor, flag)
        self.frozen += [] if flag else [tensor]

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        frozen = any(knows(self.frozen, t) for t in tensors)
        with torch.set_grad_enabled(not frozen and torch.is_grad_enabled()):
            return super().apply(op, *tensors, **params)


class IntegersAccepted(OverTorch):
    """Takes the flag for tensors of some dtypes that have no derivative, and drops it."""

    def __init__(self, kinds: str, later: bool) -> None:
        super().__init__()
        self.kinds, self.later = kinds, later

    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        dropped = array.dtype.kind in self.kinds and not self.later
        return super().tensor(array, requires_grad and not dropped)

    def set_requires_grad(self, tensor: Any, flag: bool) -> None:
        kind = "b" if tensor.dtype == torch.bool else "" if tensor.is_floating_point() else "i"
        if not (self.later and flag and kind and kind in self.kinds):
            super().set_requires_grad(tensor, flag)


for _name, _kinds, _later in (
    ("integer-leaf-takes-the-flag", "i", False),
    ("integer-tensor-takes-the-flag", "i", True),
    ("boolean-tensor-takes-the-flag", "b", True),
):
    mutant(
        _name,
        "LEAF-13",
        "Asking a tensor of a dtype without derivatives to require gradients is accepted in"
        " silence.",
    )(partial(IntegersAccepted, _kinds, _later))


@mutant(
    "clearing-the-flag-of-a-result",
    "LEAF-14",
    "Clearing requires_grad on a result is accepted and does nothing, or only half of it.",
)
class ClearedSilently(OverTorch):
    def set_requires_grad(self, tensor: Any, flag: bool) -> None:
        if flag or tensor.is_leaf:
            super().set_requires_grad(tensor, flag)


@mutant(
    "clearing-the-flag-detaches",
    "LEAF-14",
    "Clearing requires_grad on a result cuts the graph there without a word.",
)
class ClearingDetaches(OverTorch):
    def set_requires_grad(self, tensor: Any, flag: bool) -> None:
        if flag or tensor.is_leaf:
            super().set_requires_grad(tensor, flag)
        else:
            tensor.detach_()


@mutant(
    "no-grad-leaf-loses-its-flag",
    "MOD-9",
    "A leaf made inside no_grad is not tracked whatever it asked for.",
)
class FlagLostInMode(OverTorch):
    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        return super().tensor(array, requires_grad and torch.is_grad_enabled())


@mutant(
    "equal-leaves-are-one",
    "TRN-5",
    "Leaves of equal values are interned, so that a parameter that was saved and loaded brings its"
    " old gradient along.",
)
class Interned(OverTorch):
    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        for leaf in self.leaves:
            alike = leaf.requires_grad and leaf.detach().numpy().dtype == array.dtype
            if alike and requires_grad and np.array_equal(leaf.detach().numpy(), array):
                return leaf
        return super().tensor(array, requires_grad)


@mutant(
    "intermediate-flag-switches-nothing",
    "DET-3 MOD-8 LEAF-8",
    "requires_grad is answered for leaves only; a result always says no.",
)
class LeavesOnly(OverTorch):
    def requires_grad(self, tensor: Any) -> bool:
        return tensor.is_leaf and super().requires_grad(tensor)
