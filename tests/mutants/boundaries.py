"""Wrong engines where modes end: updates under no_grad, inference tensors."""

from __future__ import annotations

from typing import Any

import torch

from tests.mutants.modes import Mode
from tests.mutants.mutant import OverTorch, mutant


class Updating(OverTorch):
    """Has one place for writes to leaves that require gradients inside no_grad."""

    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        if target.is_leaf and target.requires_grad and not torch.is_grad_enabled():
            self.update(op, target, *tensors, **params)
        else:
            super().apply_(op, target, *tensors, **params)

    def update(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        """Write into the leaf."""
        super().apply_(op, target, *tensors, **params)


@mutant(
    "updates-refused",
    "MOD-10 TRN-1 TRN-3 TRN-8",
    "A leaf that requires gradients cannot be written in place, under no_grad either.",
)
class UpdatesRefused(Updating):
    def update(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        raise RuntimeError("a leaf that requires gradients cannot be written")


@mutant(
    "update-drops-the-gradient",
    "MOD-10",
    "A leaf that is written under no_grad loses its gradient.",
)
class UpdateDrops(Updating):
    def update(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        super().update(op, target, *tensors, **params)
        target.grad = None


@mutant(
    "update-clears-the-flag",
    "MOD-10 TRN-8",
    "A leaf that is written under no_grad does not require gradients any more: one step is"
    " trained.",
)
class UpdateClears(Updating):
    def update(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        super().update(op, target, *tensors, **params)
        target.requires_grad_(False)


@mutant(
    "update-lost",
    "MOD-10 TRN-1 TRN-3 TRN-8",
    "A write to a leaf under no_grad goes to a copy.",
)
class UpdateLost(Updating):
    def update(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        super().update(op, target.clone(), *tensors, **params)


@mutant(
    "update-at-the-next-backward",
    "TRN-1 TRN-5 MOD-10",
    "A write to a leaf under no_grad is queued and done after the next backward: parameters that"
    " are"
    " stale by one step.",
)
class UpdateLate(Updating):
    def __init__(self) -> None:
        super().__init__()
        self.queued: list[Any] = []

    def reset(self) -> None:
        super().reset()
        self.queued = []

    def update(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        values = [t.clone() for t in tensors]
        self.queued.append(lambda: super(UpdateLate, self).update(op, target, *values, **params))

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        with torch.no_grad():
            for write in self.queued:
                write()
        self.queued = []


@mutant(
    "untracked-writes-recorded",
    "TRN-8",
    "A write under no_grad of a buffer by a tensor that came from a gradient makes it require"
    " gradients, so that momentum chains every step to the one before.",
)
class BufferRecorded(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        super().apply_(op, target, *tensors, **params)
        if tensors and target.is_leaf and not torch.is_grad_enabled():
            target.requires_grad_(True)


@mutant(
    "views-from-no-grad-can-be-written",
    "MOD-11",
    "A view that was made under no_grad is written in grad mode as if it were a tensor by itself.",
)
class NoGradViews(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        made_untracked = target._base is not None and target.grad_fn is None
        with torch.set_grad_enabled(torch.is_grad_enabled() and not made_untracked):
            super().apply_(op, target, *tensors, **params)


class Inferring(OverTorch):
    """Has inference tensors to be wrong about."""

    @staticmethod
    def outside(tensor: Any) -> bool:
        """Tell whether an inference tensor is used outside inference mode."""
        return tensor.is_inference() and not torch.is_inference_mode_enabled()


@mutant(
    "inference-mode-does-nothing",
    "MOD-12 MOD-13 MOD-15",
    "inference_mode is accepted and ignored.",
)
class InferenceNothing(OverTorch):
    def inference_mode(self, flag: bool = True) -> Any:
        return Mode(torch.is_grad_enabled())


@mutant(
    "inference-mode-is-no-grad",
    "MOD-13 MOD-15",
    "inference_mode is another name for no_grad: its results are ordinary tensors.",
)
class InferenceNoGrad(OverTorch):
    def inference_mode(self, flag: bool = True) -> Any:
        return Mode(not flag)


@mutant(
    "inference-mode-stays-after-an-exception",
    "MOD-12",
    "An exception inside inference mode leaves recording off.",
)
class InferenceStays(OverTorch):
    def inference_mode(self, flag: bool = True) -> Any:
        class Staying(Mode):
            def leave(self, before: bool, raised: bool) -> None:
                if not raised:
                    super().leave(before, raised)

        return Staying(not flag)


@mutant(
    "inference-mode-is-no-decorator",
    "MOD-12",
    "A function decorated with inference_mode records as its caller does.",
)
class InferenceUndecorated(OverTorch):
    def inference_mode(self, flag: bool = True) -> Any:
        class Undecorated(Mode):
            def __call__(self, function: Any) -> Any:
                return function

        return Undecorated(not flag)


@mutant(
    "inference-tensors-saved",
    "MOD-13",
    "An inference tensor is saved for backward by way of a copy that nobody checks.",
)
class InferenceSaved(Inferring):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        given = [t.clone() if self.outside(t) else t for t in tensors]
        return super().apply(op, *given, **params)


@mutant(
    "inference-tensors-refused",
    "MOD-14 MOD-16",
    "No operation outside inference mode accepts an inference tensor.",
)
class InferenceRefused(Inferring):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if any(map(self.outside, tensors)):
            raise RuntimeError("inference tensors cannot be used here")
        return super().apply(op, *tensors, **params)


@mutant(
    "inference-tensors-track",
    "MOD-14",
    "A result of a tracked and an inference tensor is not tracked: the leaf beside it gets"
    " nothing.",
)
class InferenceSwallows(Inferring):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        recorded = torch.is_grad_enabled() and not any(map(self.outside, tensors))
        with torch.set_grad_enabled(recorded):
            return super().apply(op, *tensors, **params)


@mutant(
    "inference-tensors-can-be-written",
    "MOD-15",
    "An inference tensor may be written in place anywhere.",
)
class InferenceWritten(Inferring):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        with torch.inference_mode(torch.is_inference_mode_enabled() or self.outside(target)):
            super().apply_(op, target, *tensors, **params)


@mutant(
    "inference-tensors-take-the-flag",
    "MOD-15",
    "An inference tensor that is asked to require gradients says nothing and does nothing.",
)
class InferenceFlagged(Inferring):
    def set_requires_grad(self, tensor: Any, flag: bool) -> None:
        if not self.outside(tensor):
            super().set_requires_grad(tensor, flag)


@mutant(
    "copies-of-inference-tensors-are-too",
    "MOD-16",
    "The copy of an inference tensor is one as well, wherever it is made.",
)
class InferenceCopied(Inferring):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        copied = op == "clone" and self.outside(tensors[0])
        with torch.inference_mode(copied or torch.is_inference_mode_enabled()):
            return super().apply(op, *tensors, **params)
