"""Wrong engines on forward mode."""

from __future__ import annotations

from contextlib import nullcontext
from functools import wraps
from typing import Any

import torch
from torch.autograd import forward_ad

from tests.mutants.mutant import OverTorch, bent, mutant

_VIEWS = ("select", "narrow", "transpose", "reshape", "unsqueeze", "squeeze", "permute")


def primal(tensor: Any) -> Any:
    """Return a tensor without its tangent."""
    return forward_ad.unpack_dual(tensor).primal


@mutant(
    "products-have-one-tangent",
    "FWD-1 FWD-2",
    "The tangent of a product leaves out the second operand's.",
)
class OneTangent(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "mul" and len(tensors) == 2:
            tensors = (tensors[0], primal(tensors[1]))
        return super().apply(op, *tensors, **params)


@mutant(
    "exponential-tangents-copied",
    "FWD-1",
    "The tangent of exp is that of its operand.",
)
class TangentCopied(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        tangent = self.tangent_of(tensors[0]) if op == "exp" else None
        return found if tangent is None else forward_ad.make_dual(primal(found), tangent)


@mutant(
    "tangents-for-everything",
    "FWD-3 FWD-4 FWD-7",
    "What has no tangent is given ones.",
)
class TangentsForAll(OverTorch):
    def tangent_of(self, tensor: Any) -> Any:
        found = super().tangent_of(tensor)
        return torch.ones_like(tensor) if found is None else found


@mutant(
    "detached-tensors-keep-tangents",
    "FWD-4",
    "Detaching cuts off backward and lets tangents pass.",
)
class DetachKeeps(OverTorch):
    def detach(self, tensor: Any) -> Any:
        tangent = self.tangent_of(tensor)
        found = primal(tensor).detach().clone()
        return found if tangent is None else forward_ad.make_dual(found, tangent)


@mutant(
    "no-grad-stops-tangents",
    "FWD-5",
    "Inside no_grad results carry no tangents.",
)
class NoGradStops(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if not torch.is_grad_enabled():
            tensors = tuple(map(primal, tensors))
        return super().apply(op, *tensors, **params)


@mutant(
    "views-without-tangents",
    "FWD-6",
    "Views show values and no tangents.",
)
class ViewsWithout(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op in _VIEWS:
            tensors = tuple(map(primal, tensors))
        return super().apply(op, *tensors, **params)


@mutant(
    "writes-without-tangents",
    "FWD-6",
    "An operation in place writes values and leaves tangents.",
)
class WritesWithout(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        with forward_ad._set_fwd_grad_enabled(False):
            super().apply_(op, target, *tensors, **params)


@mutant(
    "levels-never-end",
    "FWD-7",
    "Tangents of one level are met again in the next.",
)
class LevelsStay(OverTorch):
    level: Any = None

    def forward_ad(self) -> Any:
        if self.level is None:
            self.level = super().forward_ad()
            self.level.__enter__()
        return nullcontext()

    def reset(self) -> None:
        super().reset()
        if self.level is not None:
            self.level.__exit__(None, None, None)
            self.level = None


@mutant(
    "tangents-made-to-fit",
    "FWD-8",
    "A tangent of another shape is repeated or cut until it fits.",
)
class MadeToFit(OverTorch):
    def make_dual(self, tensor: Any, tangent: Any) -> Any:
        flat = tangent.flatten().repeat(tensor.numel())[: tensor.numel()]
        return super().make_dual(tensor, flat.view(tensor.shape))


@mutant(
    "tangents-are-constants",
    "FWD-9",
    "Tangents are read off without their graph.",
)
class TangentsConstant(OverTorch):
    def tangent_of(self, tensor: Any) -> Any:
        found = super().tangent_of(tensor)
        return None if found is None else found.detach()


@mutant(
    "gradients-without-tangents",
    "FWD-10",
    "What backward computes carries no tangents.",
)
class GradientsWithout(OverTorch):
    @wraps(OverTorch.grad_of)
    def grad_of(self, *given: Any, **options: Any) -> Any:
        return [g if g is None else primal(g) for g in super().grad_of(*given, **options)]


@mutant(
    "duals-change-backward",
    "FWD-11",
    "The gradient of a tensor that carries a tangent is doubled.",
)
class DualsChange(OverTorch):
    def make_dual(self, tensor: Any, tangent: Any) -> Any:
        return super().make_dual(bent(tensor, lambda g: 2 * g), tangent)


@mutant(
    "tangents-keep-the-shape-of-operands",
    "FWD-12",
    "The tangent of a broadcast result has one row.",
)
class TangentsNarrow(OverTorch):
    def tangent_of(self, tensor: Any) -> Any:
        found = super().tangent_of(tensor)
        return found[0] if found is not None and found.ndim > 1 else found
