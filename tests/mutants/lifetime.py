"""Wrong engines that keep what they should let go."""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch

from conformance.adapters.torch_engine import TorchEngine
from tests.mutants.mutant import OverTorch, mutant, several


@mutant(
    "nothing-let-go",
    "LIFE-1 LIFE-2 LIFE-3 LIFE-4 LIFE-5 LIFE-6",
    "Every result is entered in a list for the day that somebody asks for it.",
)
class NothingLetGo(OverTorch):
    pass


class Holding(TorchEngine):
    """The torch adapter under another name, with a list of what it holds on to."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "mutant"
        self.held: list[Any] = []

    def reset(self) -> None:
        """Let go of what the last program left."""
        super().reset()
        self.held = []


@mutant(
    "graphs-retained-unasked",
    "LIFE-3 LIFE-10",
    "Every backward retains its graph.",
)
class Retained(Holding):
    @wraps(TorchEngine.backward)
    def backward(self, tensor: Any, gradient: Any = None, *rest: Any, **options: Any) -> None:
        options["retain_graph"] = True
        super().backward(tensor, gradient, *rest, **options)


@mutant(
    "retained-roots-held",
    "LIFE-4",
    "A root whose graph is retained is held by the engine.",
)
class RootsHeld(Holding):
    @wraps(TorchEngine.backward)
    def backward(self, tensor: Any, gradient: Any = None, *rest: Any, **options: Any) -> None:
        super().backward(tensor, gradient, *rest, **options)
        self.held.append(tensor)


@mutant(
    "no-grad-holds-results",
    "LIFE-5",
    "Results are held under no_grad until the program ends.",
)
class NoGradHolds(Holding):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        found = super().apply(op, *tensors, **params)
        if not torch.is_grad_enabled():
            self.held.extend(several(found))
        return found


@mutant(
    "detached-tensors-hold-their-source",
    "LIFE-6",
    "A detached tensor refers to the tensor that it was detached from.",
)
class DetachedHold(Holding):
    def detach(self, tensor: Any) -> Any:
        self.held.append(tensor)
        return super().detach(tensor)


@mutant(
    "cleared-gradients-held",
    "LIFE-7",
    "A gradient that is cleared stays in a buffer of the engine.",
)
class ClearedHeld(Holding):
    def set_grad(self, tensor: Any, gradient: Any) -> None:
        self.held.append(tensor.grad)
        super().set_grad(tensor, gradient)


@mutant(
    "gradient-graphs-in-cycles",
    "LIFE-8",
    "A gradient with a graph refers to the outputs that it is the gradient of.",
)
class GradientsHeld(Holding):
    @wraps(TorchEngine.grad_of)
    def grad_of(self, outputs: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        found = super().grad_of(outputs, inputs, *rest, **options)
        self.held.extend((outputs, found))
        return found


@mutant(
    "hooks-hold-their-tensors",
    "LIFE-9",
    "The registry of hooks refers to the tensors.",
)
class HooksHold(Holding):
    def register_hook(self, tensor: Any, hook: Any) -> Any:
        self.held.append(tensor)
        return super().register_hook(tensor, hook)


@mutant(
    "functions-hold-their-tensors",
    "LIFE-10",
    "Contexts of custom functions are held by their class.",
)
class FunctionsHold(Holding):
    @wraps(TorchEngine.custom_function)
    def custom_function(self, rule: Any, *tensors: Any, **marks: Any) -> Any:
        found = super().custom_function(rule, *tensors, **marks)
        self.held.extend((tensors, found))
        return found
