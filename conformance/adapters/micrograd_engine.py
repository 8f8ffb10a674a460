"""micrograd (https://github.com/karpathy/micrograd): an eager tape over Python's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from typing import Any

import numpy as np

from conformance.adapters.base import TapeEngine, Tensor
from conformance.errors import Unsupported
from conformance.observation import Array


class MicrogradEngine(TapeEngine):
    """micrograd. Every value has a gradient, at first zero; only numbers are values."""

    dtypes = ("float64",)
    frees_graph = False
    conventions: Mapping[str, str] = {
        "zeros_for_unused": "a value's gradient is zero before backward reaches it (Value.grad)",
        "gradients_everywhere": "every value stores its gradient (Value.grad)",
    }

    def __init__(self) -> None:
        self._value: Any = import_module("micrograd.engine").Value
        self.version = metadata.version("micrograd")
        self._tracked: dict[int, Tensor] = {}
        self.table = {
            "add": lambda input, other: input + other,
            "sub": lambda input, other: input - other,
            "mul": lambda input, other: input * other,
            "div": lambda input, other: input / other,
            "neg": lambda input: -input,
            "pow": lambda input, exponent: input**exponent,
            "relu": lambda input: input.relu(),
        }
        self.operations = frozenset(self.table)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a value of one number."""
        if array.shape != () or array.dtype != np.float64:
            raise Unsupported(f"{self.name} has numbers only, no {array.dtype} of {array.shape}")
        value = self._value(float(array))
        if requires_grad:
            self._tracked[id(value)] = value
        return value

    def numpy(self, tensor: Tensor) -> Array:
        """Return the number."""
        return np.asarray(float(tensor.data))

    def reset(self) -> None:
        """Forget the leaves of the program before."""
        self._tracked.clear()

    def lacks(self) -> Sequence[str]:
        """Return the cotangent: the gradient of the root is one."""
        return ("backward.gradient",)

    def backward(
        self,
        tensor: Tensor,
        gradient: Tensor | None = None,
        retain_graph: bool = False,
    ) -> None:
        """Call `value.backward()`, which always keeps the graph."""
        del gradient, retain_graph
        tensor.backward()

    def grad(self, tensor: Tensor) -> Tensor | None:
        """Return the gradient of a value that was asked for one."""
        if id(tensor) not in self._tracked:
            self.departs("gradients_everywhere")
        return self._value(tensor.grad)

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """Assign `value.grad`; zero stands for none."""
        tensor.grad = 0 if gradient is None else gradient.data
