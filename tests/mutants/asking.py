"""Wrong engines on gradients that are asked for as a result."""

from __future__ import annotations

from typing import Any

import torch

from tests.mutants.mutant import OverTorch, mutant


class Asking(OverTorch):
    """Has one place for what `grad_of` answers."""

    def grad_of(
        self,
        outputs: Any,
        inputs: Any,
        grad_outputs: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        allow_unused: bool = False,
    ) -> Any:
        options = {"retain_graph": retain_graph, "create_graph": create_graph}
        return self.answer(outputs, inputs, grad_outputs, allow_unused, options)

    def answer(
        self, outputs: Any, inputs: Any, seeds: Any, allow_unused: bool, options: dict[str, Any]
    ) -> Any:
        """Return the gradients of `outputs`."""
        return super().grad_of(
            outputs, inputs, grad_outputs=seeds, allow_unused=allow_unused, **options
        )


@mutant(
    "asking-accumulates",
    "COT-8 RET-9",
    "autograd.grad runs backward and reads the gradients, which stay where they were written.",
)
class AskingAccumulates(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, unused, options)
        for tensor, g in zip(inputs, found, strict=True):
            if tensor.is_leaf and g is not None:
                tensor.grad = g.clone() if tensor.grad is None else tensor.grad + g
        return found


@mutant(
    "asking-adds-what-is-there",
    "COT-8",
    "autograd.grad runs backward, reads the gradients and clears them: what was accumulated before"
    " is in the answer and gone from the leaf.",
)
class AskingClears(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = list(super().answer(outputs, inputs, seeds, unused, options))
        for place, tensor in enumerate(inputs):
            if tensor.is_leaf and tensor.grad is not None and found[place] is not None:
                found[place] = found[place] + tensor.grad
                tensor.grad = None
        return found


@mutant(
    "asking-ignores-the-cotangent",
    "COT-8",
    "autograd.grad starts from ones, grad_outputs or not.",
)
class AskingOnes(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        ones = [torch.ones_like(y) for y in outputs]
        return super().answer(outputs, inputs, ones, unused, options)


@mutant(
    "asking-about-leaves-only",
    "COT-9",
    "autograd.grad refuses tensors that are not leaves.",
)
class AskingLeaves(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        if not all(tensor.is_leaf for tensor in inputs):
            raise RuntimeError("gradients are computed for leaves only")
        return super().answer(outputs, inputs, seeds, unused, options)


@mutant(
    "answers-in-order-of-creation",
    "COT-9",
    "autograd.grad answers in the order in which tensors were made, whatever order they were asked"
    " in.",
)
class InOrderOfCreation(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        made = sorted(inputs, key=lambda t: 0 if t.is_leaf else 1)
        return super().answer(outputs, made, seeds, unused, options)


@mutant(
    "unused-input-is-zero",
    "COT-10",
    "autograd.grad answers zeros for an input on which the output does not depend.",
)
class UnusedZero(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, True, options)
        pairs = zip(inputs, found, strict=True)
        return [torch.zeros_like(t) if g is None else g for t, g in pairs]


@mutant(
    "unused-input-is-none",
    "COT-10",
    "autograd.grad answers None for an unused input without having been allowed to.",
)
class UnusedNone(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        return super().answer(outputs, inputs, seeds, True, options)
