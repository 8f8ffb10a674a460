"""Wrong engines on gradients of gradients."""

from __future__ import annotations

from typing import Any

import torch

from tests.mutants.asking import Asking
from tests.mutants.mutant import knows, mutant


@mutant(
    "create-graph-ignored",
    "HIGH-1 HIGH-3 HIGH-4 HIGH-5 HIGH-6 HIGH-7 HIGH-9 HIGH-11 HOOK-10 VIEW-10",
    "create_graph is accepted and only keeps the graph.",
)
class Ignored(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        keep = options["retain_graph"] or options["create_graph"]
        plain = {"retain_graph": keep, "create_graph": False}
        return super().answer(outputs, inputs, seeds, unused, plain)

    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        keep = options["retain_graph"] or options["create_graph"]
        super().walk(roots, gradients, **{**options, "retain_graph": keep, "create_graph": False})


@mutant(
    "gradients-always-recorded",
    "HIGH-2",
    "Every gradient is recorded, asked for or not.",
)
class Always(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        return super().answer(outputs, inputs, seeds, unused, {**options, "create_graph": True})


@mutant(
    "gradients-of-gradients-are-constants",
    "HIGH-3",
    "The first gradient can be differentiated, the second is not recorded.",
)
class TwoOrders(Asking):
    def __init__(self) -> None:
        super().__init__()
        self.made: list[Any] = []

    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, unused, options)
        if any(knows(self.made, output) for output in outputs):
            return tuple(None if g is None else g.detach() for g in found)
        self.made += found
        return found


class _Product(torch.autograd.Function):
    """A product whose backward takes both factors for constants."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:  # type: ignore[override]
        a, b = ctx.saved_tensors
        left, right = g * b.detach(), g * a.detach()
        return left.sum_to_size(a.shape), right.sum_to_size(b.shape)


@mutant(
    "factors-are-constants-in-the-gradient",
    "HIGH-4 HIGH-5 HIGH-6 HIGH-7",
    "The gradient of a product is recorded with the factors as constants: the first order is right,"
    " the second lacks every cross term.",
)
class Factors(Asking):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "mul" and len(tensors) == 2:
            found = _Product.apply(*tensors)
            self.results.append(found)
            return found
        return super().apply(op, *tensors, **params)


@mutant(
    "create-graph-frees",
    "HIGH-8",
    "create_graph does not keep the graph that the gradient was computed from.",
)
class Frees(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        keep = bool(options["retain_graph"])
        return super().answer(outputs, inputs, seeds, unused, {**options, "retain_graph": keep})


@mutant(
    "cotangents-are-constants",
    "HIGH-9",
    "A cotangent is copied into the walk: the gradient does not depend on it.",
)
class Constants(Asking):
    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        if seeds is not None:
            seeds = [None if v is None else v.detach() for v in seeds]
        return super().answer(outputs, inputs, seeds, unused, options)


@mutant(
    "gradients-cannot-be-detached",
    "HIGH-10",
    "detach of a gradient returns the gradient, history and all.",
)
class Attached(Asking):
    def __init__(self) -> None:
        super().__init__()
        self.made: list[Any] = []

    def answer(self, outputs: Any, inputs: Any, seeds: Any, unused: bool, options: Any) -> Any:
        found = super().answer(outputs, inputs, seeds, unused, options)
        self.made += found
        return found

    def detach(self, tensor: Any) -> Any:
        return tensor if knows(self.made, tensor) else super().detach(tensor)


@mutant(
    "stored-gradients-are-constants",
    "HIGH-11",
    "What backward stores is detached, also where a graph of it was asked for.",
)
class Stored(Asking):
    def walk(self, roots: list[Any], gradients: list[Any], **options: Any) -> None:
        super().walk(roots, gradients, **options)
        for leaf in self.leaves:
            if leaf.grad is not None:
                leaf.grad = leaf.grad.detach()
