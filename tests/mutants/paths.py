"""Wrong engines on several roots, on missing paths and on errors that are owed."""

from __future__ import annotations

from typing import Any

import torch

from tests.mutants.asking import Asking
from tests.mutants.mutant import OverTorch, knows, mutant


@mutant(
    "cotangents-paired-from-the-end",
    "ROOT-1",
    "Several cotangents are handed to the outputs in the opposite order.",
)
class FromTheEnd(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        if seeds is not None and len({v.shape for v in seeds}) == 1:
            seeds = seeds[::-1]
        return super().answer(outputs, inputs, seeds, unused, options)


@mutant(
    "roots-are-a-set",
    "ROOT-2",
    "A root that is given twice is walked from once.",
)
class RootSet(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        kept = [i for i, root in enumerate(roots) if not knows(roots[:i], root)]
        super().walk([roots[i] for i in kept], [gradients[i] for i in kept], **options)


@mutant(
    "untracked-roots-dropped",
    "ROOT-3",
    "Of several roots those without history are left out in silence.",
)
class Dropped(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        kept = [i for i, root in enumerate(roots) if root.requires_grad or len(roots) == 1]
        super().walk([roots[i] for i in kept], [gradients[i] for i in kept], **options)


@mutant(
    "several-roots-are-summed",
    "ROOT-4",
    "Of several roots those without a cotangent start from ones, whatever their shape.",
)
class Summed(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        if len(roots) > 1:
            gradients = [
                torch.ones_like(y) if v is None else v
                for y, v in zip(roots, gradients, strict=True)
            ]
        super().walk(roots, gradients, **options)


@mutant(
    "several-roots-are-several-walks",
    "ROOT-5",
    "Several roots are walked in turn over a graph that is kept meanwhile: hooks see shares.",
)
class SeveralWalks(OverTorch):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        for number, (y, v) in enumerate(zip(roots, gradients, strict=True)):
            keep = options["retain_graph"] or number < len(roots) - 1
            super().walk([y], [v], **{**options, "retain_graph": keep})


@mutant(
    "leaves-are-no-roots-in-company",
    "ROOT-6",
    "Among several roots a leaf is taken for the end of a path and its own cotangent is lost.",
)
class LeafLost(Asking):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        kept = [i for i, root in enumerate(roots) if not root.is_leaf or len(roots) == 1]
        super().walk([roots[i] for i in kept], [gradients[i] for i in kept], **options)


@mutant(
    "asked-constants-have-no-gradient",
    "PATH-1",
    "The gradient by a tensor that requires none is None.",
)
class AskedConstants(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        asked = [tensor for tensor in inputs if tensor.requires_grad]
        if not asked:
            return [None] * len(inputs)
        found = iter(super().answer(outputs, asked, seeds, unused, options))
        return [next(found) if tensor.requires_grad else None for tensor in inputs]


@mutant(
    "unused-inputs-get-zeros",
    "PATH-2 PATH-3 COT-10",
    "An input without a path gets zeros, allowed to be unused or not.",
)
class UnusedZeros(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, True, options)
        pairs = zip(found, inputs, strict=True)
        return [torch.zeros_like(t) if g is None else g for g, t in pairs]


@mutant(
    "zero-gradients-are-none",
    "PATH-4",
    "A gradient that is all zeros is dropped as if there were no path.",
)
class ZeroNone(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, unused, options)
        return [None if g is None or not g.any() else g for g in found]

    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        return None if found is None or not found.any() else found


@mutant(
    "an-output-is-no-input",
    "PATH-5",
    "The gradient of an output by itself is taken for unused.",
)
class NoInput(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        if any(knows(outputs, tensor) for tensor in inputs):
            raise RuntimeError("an input is not reached from the outputs")
        return super().answer(outputs, inputs, seeds, unused, options)


@mutant(
    "inputs-answered-once",
    "PATH-6",
    "An input that is asked for twice is answered at its first place.",
)
class AnsweredOnce(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, unused, options)
        return [None if knows(inputs[:i], t) else found[i] for i, t in enumerate(inputs)]


@mutant(
    "misfitting-gradients-not-assigned",
    "ERR-1",
    "A gradient of another shape is not assigned, and nobody is told.",
)
class NotAssigned(OverTorch):
    def set_grad(self, tensor: Any, gradient: Any) -> None:
        if gradient is None or gradient.shape == tensor.shape:
            super().set_grad(tensor, gradient)


@mutant(
    "misfitting-gradient-clears-and-raises",
    "ERR-1",
    "The old gradient is dropped before the shape of the new one is looked at.",
)
class ClearsFirst(OverTorch):
    def set_grad(self, tensor: Any, gradient: Any) -> None:
        tensor.grad = None
        super().set_grad(tensor, gradient)


@mutant(
    "asked-cotangents-broadcast",
    "ERR-2",
    "A cotangent for autograd.grad is brought to its output's shape by broadcasting or summing.",
)
class AskedBroadcast(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        if seeds is not None:
            pairs = zip(seeds, outputs, strict=True)
            seeds = [v if v is None else self.fitted(v, y) for v, y in pairs]
        return super().answer(outputs, inputs, seeds, unused, options)

    @staticmethod
    def fitted(v: Any, y: Any) -> Any:
        """Return `v` in the shape of `y`, by whatever means."""
        try:
            return v.broadcast_to(y.shape)
        except RuntimeError:
            return torch.full_like(y, v.sum().item())


@mutant(
    "asked-outputs-are-summed",
    "ERR-3",
    "autograd.grad of an output of several elements differentiates its sum.",
)
class AskedSum(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        ones = [torch.ones_like(y) for y in outputs] if seeds is None else seeds
        return super().answer(outputs, inputs, ones, unused, options)


@mutant(
    "refused-operations-cut-their-operands",
    "ERR-4",
    "An operation that fails has taken its operands' history already and does not give it back.",
)
class OperandsCut(OverTorch):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        try:
            return super().apply(op, *tensors, **params)
        except RuntimeError:
            for tensor in tensors:
                if tensor.grad_fn is not None and not tensor._is_view():
                    tensor.detach_()
            raise


@mutant(
    "misfitting-writes-ignored",
    "ERR-5",
    "A write whose operand does not fit is left out, and nobody is told.",
)
class WritesIgnored(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        if all(t.dim() <= target.dim() and t.shape in (target.shape, ()) for t in tensors):
            super().apply_(op, target, *tensors, **params)


@mutant(
    "refused-writes-zero-their-target",
    "ERR-5",
    "The target of a write is cleared before its operand is looked at.",
)
class ZeroFirst(OverTorch):
    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        try:
            super().apply_(op, target, *tensors, **params)
        except RuntimeError:
            target.data.zero_()
            raise


@mutant(
    "asking-again-refused",
    "ERR-6",
    "Setting a flag that is set, or removing a hook that was removed, is an error.",
)
class Again(OverTorch):
    def set_requires_grad(self, tensor: Any, flag: bool) -> None:
        if tensor.requires_grad == flag:
            raise RuntimeError("the flag has that value already")
        super().set_requires_grad(tensor, flag)


@mutant(
    "outputs-without-history-have-no-gradients",
    "ERR-7",
    "autograd.grad of an output without history answers None wherever unused inputs are allowed.",
)
class NoHistory(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        if unused and not any(y.requires_grad for y in outputs):
            return [None] * len(inputs)
        return super().answer(outputs, inputs, seeds, unused, options)
