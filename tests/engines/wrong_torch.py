"""PyTorch with one defect each, for the tests of judging. Names load as adapters."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from conformance.adapters.torch_engine import TorchEngine
from conformance.errors import Unsupported


class Sound(TorchEngine):
    """PyTorch under another name, so that PyTorch itself is its oracle."""

    def __init__(self) -> None:
        super().__init__()
        self.name = f"{type(self).__module__}:{type(self).__name__}"


class WrongMul(Sound):
    """A wrong derivative: the gradient of the second factor is one and a half times too large."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "mul" and len(tensors) == 2:
            a, b = tensors
            return a * b + 0.5 * a.detach() * (b - b.detach())
        return super().apply(op, *tensors, **params)


class WrongSine(Sound):
    """A forward that is off by one part in ten thousand."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        result = super().apply(op, *tensors, **params)
        return result * 1.0001 if op == "sin" else result


class SlightSine(Sound):
    """A forward that is off by a few roundings of float32."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        result = super().apply(op, *tensors, **params)
        return result * (1 + 4 * 2.0**-24) if op == "sin" else result


class NeverFrees(Sound):
    """Runs a second backward through a graph that should be freed."""

    def backward(
        self,
        tensor: Any,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Any] | None = None,
    ) -> None:
        super().backward(tensor, gradient, True, create_graph, inputs)


class NoGradTracks(Sound):
    """Its no_grad changes nothing."""

    def no_grad(self) -> AbstractContextManager[Any]:
        manager: AbstractContextManager[Any] = torch.enable_grad()
        return manager


class RefusesExp(Sound):
    """Raises where it should run, with an address in its message."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "exp":
            raise ValueError(f"no exp for {hex(id(tensors[0]))}")
        return super().apply(op, *tensors, **params)


class LacksExp(Sound):
    """Says that it has no exp."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "exp":
            raise Unsupported("exp")
        return super().apply(op, *tensors, **params)


class SingleGradients(Sound):
    """Returns gradients in float32 whatever dtype their tensor has."""

    def grad(self, tensor: Any) -> Any:
        return None if tensor.grad is None else tensor.grad.float()


class FlatGradients(Sound):
    """Returns gradients of one axis."""

    def grad(self, tensor: Any) -> Any:
        return None if tensor.grad is None else tensor.grad.reshape(-1)


class NoGradients(Sound):
    """Backward does nothing."""

    def backward(self, tensor: Any, gradient: Any = None) -> None:
        del tensor, gradient


class WrongRelu(Sound):
    """Takes 1 for the derivative of relu at 0: a valid subgradient, and not PyTorch's."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "relu":
            x = tensors[0]
            return torch.where(x >= 0, x, torch.zeros_like(x))
        return super().apply(op, *tensors, **params)


class UncheckedWrites(Sound):
    """Has no version counters: writes in place are not noticed by backward."""

    def apply_(self, op: str, target: Any, *tensors: Any, **params: Any) -> None:
        with torch.no_grad():
            super().apply_(op, target.data, *tensors, **params)


class SilentHooks(Sound):
    """Calls no hook."""

    def register_hook(self, tensor: Any, hook: Any) -> Any:
        return tensor.register_hook(lambda _: None)
