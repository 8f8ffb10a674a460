"""Wrong engines on inference tensors, and on what inference mode does to others."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from tests.mutants.boundaries import Inferring
from tests.mutants.forward import _VIEWS
from tests.mutants.mutant import OverTorch, mutant


@mutant(
    "inference-mode-cannot-be-left",
    "INF-1",
    "Switching inference mode off inside it has no effect.",
)
class CannotBeLeft(OverTorch):
    def inference_mode(self, flag: bool = True) -> Any:
        return super().inference_mode() if flag else nullcontext()


@mutant(
    "inference-mode-freezes-leaves",
    "INF-2",
    "Leaves come back from inference mode as constants.",
)
class FreezesLeaves(OverTorch):
    @contextmanager
    def inference_mode(self, flag: bool = True) -> Any:
        with super().inference_mode(flag):
            yield
        for leaf in self.leaves:
            leaf.requires_grad_(False)


@mutant(
    "writes-in-inference-mode-not-counted",
    "INF-3",
    "A write inside inference mode is counted for nobody.",
)
class NotCounted(Inferring):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        if torch.is_inference_mode_enabled() and not target.is_inference():
            target = target.data
            with torch.inference_mode(False):
                super().apply_(op, target, *tensors, **params)
        else:
            super().apply_(op, target, *tensors, **params)


@mutant(
    "writes-in-inference-mode-refused",
    "INF-4",
    "Inference tensors are read-only everywhere.",
)
class ReadOnly(Inferring):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        if target.is_inference():
            raise RuntimeError("an inference tensor cannot be written")
        super().apply_(op, target, *tensors, **params)


@mutant(
    "views-of-inference-tensors-are-ordinary",
    "INF-5",
    "A view of an inference tensor is an ordinary tensor.",
)
class OrdinaryViews(Inferring):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op in _VIEWS and self.outside(tensors[0]):
            tensors = (tensors[0].clone(), *tensors[1:])
        return super().apply(op, *tensors, **params)


@mutant(
    "inference-tensors-have-version-zero",
    "INF-6",
    "The count of writes of an inference tensor is always 0.",
)
class VersionZero(Inferring):
    def version_of(self, tensor: Any) -> int:
        return 0 if tensor.is_inference() else super().version_of(tensor)


@mutant(
    "enable-grad-ends-inference-mode",
    "INF-7",
    "Enabling gradients inside inference mode leaves it.",
)
class EndsInference(OverTorch):
    def enable_grad(self) -> Any:
        return super().inference_mode(False)
