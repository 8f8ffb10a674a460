"""Wrong derivatives: what single operations hand back to their operands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, bent, mutant, several


class Slope(OverTorch):
    """Changes the gradient that operation `op` hands to operand number `operand`."""

    def __init__(
        self,
        op: str,
        operand: int,
        bend: Callable[[Any], Any],
        where: Callable[..., bool] = lambda *_tensors: True,
    ) -> None:
        super().__init__()
        self.op, self.operand, self.bend, self.where = op, operand, bend, where

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        given = list(tensors)
        if op == self.op and len(given) > self.operand and self.where(*given):
            given[self.operand] = bent(given[self.operand], self.bend)
        return super().apply(op, *given, **params)


def slope(
    name: str,
    caught_by: str,
    wrong: str,
    op: str,
    operand: int,
    bend: Callable[[Any], Any],
    where: Callable[..., bool] = lambda *_tensors: True,
) -> None:
    mutant(name, caught_by, wrong)(partial(Slope, op, operand, bend, where))


slope(
    "subtraction-adds",
    "LEAF-1",
    "The second operand of a subtraction gets the gradient with the sign of the first, a slip in"
    " hand-written backward formulas.",
    "sub", 1, torch.neg,
)  # fmt: skip
slope(
    "power-of-a-scalar",
    "LEAF-1 MOD-2 ACC-2",
    "pow drops a factor for tensors without axes only, as where a scalar takes a path of its own.",
    "pow", 0, lambda g: g / 2, lambda x: x.ndim == 0 or x.ndim == 1,
)  # fmt: skip
slope(
    "product-of-a-scalar",
    "LEAF-1 COT-2 TRN-2",
    "The derivative of mul is wrong for tensors without axes only, as where a scalar takes a path"
    " of its own.",
    "mul", 0, lambda g: g * 2, lambda x, *_: x.ndim == 0,
)  # fmt: skip
slope(
    "mean-not-divided",
    "LEAF-1 ACC-1 TRN-3",
    "The gradient of mean is not divided by the number of elements: each is given the whole.",
    "mean", 0, lambda g: g * g.numel(),
)  # fmt: skip
slope(
    "square-matrices-turned",
    "LEAF-2 COT-5 COT-6 TRN-6",
    "matmul forgets to transpose the gradient of its second operand, which raises an error unless"
    " the matrix is square.",
    "matmul", 1, lambda g: g.mT, lambda a, b: b.ndim == 2 and b.shape[0] == b.shape[1],
)  # fmt: skip
slope(
    "matrix-product-of-one-row",
    "LEAF-1 COT-1",
    "mm takes the gradient of a matrix of one row from its first column, a stride of one axis used"
    " for the other.",
    "mm", 0, lambda g: g[:, :1].expand_as(g), lambda a, b: a.shape[0] == 1,
)  # fmt: skip
slope(
    "sign-of-one-component",
    "TRN-2",
    "One of two operands of add gets the opposite sign where the other operand is a result.",
    "add", 1, torch.neg, lambda a, *_: not a.is_leaf,
)  # fmt: skip
slope(
    "cosine-without-its-sign",
    "RET-7",
    "The derivative of sin is that of its absolute value, right between 0 and π/2 only.",
    "sin", 0, torch.neg,
)  # fmt: skip
slope(
    "convolution-turned-round",
    "TRN-4",
    "The gradient of a convolution's kernel is flipped: convolution and correlation confused.",
    "nn.functional.conv2d", 1, lambda g: g.flip(-1),
)  # fmt: skip
slope(
    "transposed-convolution-without-bias",
    "TRN-4",
    "The bias of a transposed convolution gets the gradient of one example of the batch's first"
    " row.",
    "nn.functional.conv_transpose2d", 2, lambda g: g / 2,
)  # fmt: skip
slope(
    "bias-of-one-row",
    "TRN-1",
    "A linear layer's bias gets the gradient of one row of the batch instead of the sum.",
    "nn.functional.linear", 2, lambda g: g / 4,
)  # fmt: skip


@mutant(
    "recorded-path-in-single-precision",
    "LEAF-15",
    "Operations on tracked tensors compute in float32 and round back: a separate training path, as"
    " under automatic mixed precision.",
)
class RecordedInSingle(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        for result in several(found):
            if result.requires_grad and result.dtype == torch.float64:
                result.data.copy_(result.detach().float())
        return found


@mutant(
    "later-use-sees-first-values",
    "TRN-1 TRN-8 MOD-10",
    "A leaf is copied to the device when it is first used and never again: after an update in place"
    " the forward pass still has the old values.",
)
class StaleCopies(OverTorch):
    def __init__(self) -> None:
        super().__init__()
        self.copies: list[tuple[Any, Any]] = []

    def reset(self) -> None:
        super().reset()
        self.copies = []

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        return super().apply(op, *map(self.uploaded, tensors), **params)

    def uploaded(self, tensor: Any) -> Any:
        if not (tensor.is_leaf and tensor.requires_grad and torch.is_grad_enabled()):
            return tensor
        for leaf, values in self.copies:
            if leaf is tensor:
                if torch.equal(values, tensor):
                    return tensor
                return tensor + (values - tensor.detach())
        self.copies.append((tensor, tensor.detach().clone()))
        return tensor
