"""Wrong engines whose operations compute, or differentiate, wrongly."""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch

from tests.mutants.mutant import OverTorch, bent, mutant


class Ruling(OverTorch):
    """Has one place for what every operation returns."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if isinstance(found, torch.Tensor):
            return self.result(op, found, tensors)
        return found

    def result(self, op: str, found: Any, operands: Any) -> Any:
        """Return what the operation returns."""
        return found


@mutant("logarithms-of-another-base", "NUM-1", "log2 computes the natural logarithm instead.")
class AnotherBase(Ruling):
    def result(self, op: str, found: Any, operands: Any) -> Any:
        return operands[0].log() if op == "log2" else found


@mutant(
    "quotients-keep-the-sign",
    "NUM-2 NUM-6",
    "The gradient of a quotient with respect to the divisor has the wrong sign.",
)
class QuotientSign(Ruling):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "div" and len(tensors) == 2:
            tensors = (tensors[0], bent(tensors[1], lambda g: -g))
        return super().apply(op, *tensors, **params)


@mutant(
    "quotients-have-the-dividends-tangent",
    "NUM-3",
    "The tangent of a quotient takes the divisor for a constant.",
)
class QuotientTangent(Ruling):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "div" and len(tensors) == 2:
            primal = torch.autograd.forward_ad.unpack_dual(tensors[1]).primal
            tensors = (tensors[0], primal)
        return super().apply(op, *tensors, **params)


@mutant(
    "cotangents-clipped",
    "NUM-4",
    "Every rule clips its cotangent at two, which hides exploding gradients.",
)
class Clipped(Ruling):
    def result(self, op: str, found: Any, operands: Any) -> Any:
        return bent(found, lambda g: g.clamp(-2, 2) if g.is_floating_point() else g)


@mutant(
    "cotangents-kept-from-zero",
    "NUM-5",
    "A small number is added to every cotangent, so that nothing is ever zero.",
)
class KeptFromZero(Ruling):
    def result(self, op: str, found: Any, operands: Any) -> Any:
        return bent(found, lambda g: g + 1e-6)


@mutant(
    "gradients-lose-their-operands",
    "NUM-6",
    "A gradient with a graph depends on the cotangent and on nothing else.",
)
class LoseOperands(Ruling):
    @wraps(OverTorch.grad_of)
    def grad_of(self, *given: Any, **options: Any) -> Any:
        found = super().grad_of(*given, **options)
        return [g if g is None else g.detach().requires_grad_(g.requires_grad) for g in found]


@mutant(
    "operands-used-as-work-space",
    "NUM-7",
    "The exponential is computed in its operand's memory, which is cleaned up in backward.",
)
class WorkSpace(Ruling):
    def result(self, op: str, found: Any, operands: Any) -> Any:
        if op != "exp":
            return found
        operand = operands[0].data

        def clean(g: Any) -> Any:
            operand.zero_()
            return g

        return bent(found, clean)


@mutant(
    "single-is-half",
    "NUM-8",
    "In single precision, a sum of exponentials is computed without scaling.",
)
class Unscaled(Ruling):
    def result(self, op: str, found: Any, operands: Any) -> Any:
        return operands[0].exp().sum().log() if op == "logsumexp" else found


@mutant(
    "complex-rules-without-conjugates",
    "NUM-9",
    "The rule of a complex product does not conjugate the other operand.",
)
class WithoutConjugates(Ruling):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "mul" and len(tensors) == 2 and tensors[0].is_complex():
            first, second = tensors
            ratio = second.detach() / second.detach().conj()
            tensors = (bent(first, lambda g: g * ratio), second)
        return super().apply(op, *tensors, **params)


@mutant(
    "both-slopes-added-at-kinks",
    "NUM-10",
    "Where two operands of a maximum tie, both get the whole gradient.",
)
class BothSlopes(Ruling):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "maximum":
            first, second = tensors
            tie = (first == second).detach()
            tensors = tuple(bent(t, lambda g: torch.where(tie, 2 * g, g)) for t in tensors)
        return super().apply(op, *tensors, **params)


@mutant(
    "relu-rises-at-zero",
    "NUM-11",
    "relu has slope one at zero: a valid choice, and not PyTorch's.",
)
class ReluRises(Ruling):
    def result(self, op: str, found: Any, operands: Any) -> Any:
        if op != "relu":
            return found
        return torch.where(operands[0] >= 0, operands[0], torch.zeros_like(operands[0]))


@mutant(
    "views-multiply-by-masks",
    "NUM-12",
    "What a view leaves out is multiplied by zero, in backward too.",
)
class ByMasks(Ruling):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op in ("narrow", "select", "where"):
            tensors = tuple(
                bent(t, lambda g, t=t: g + 0 * t.detach()) if t.is_floating_point() else t
                for t in tensors
            )
        return super().apply(op, *tensors, **params)
