"""DeZero (https://github.com/oreilly-japan/deep-learning-from-scratch-3): an eager tape."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from conformance.adapters.base import TapeEngine, Tensor
from conformance.adapters.dezero_table import dezero_table
from conformance.observation import Array


class DezeroEngine(TapeEngine):
    """DeZero on NumPy arrays; it needs `numpy<1.24`: name it `dezero[python=PATH]`."""

    dtypes = ("float64", "float32")
    frees_graph = False  # a function keeps its inputs and outputs as long as it lives
    conventions: Mapping[str, str] = {
        "implicit_cotangent": "backward of an array starts from ones (Deep Learning from Scratch 3,"
        " steps 9 and 18)",
        "gradients_everywhere": "a variable has no flag: backward gives every input a gradient"
        " (Deep Learning from Scratch 3, step 14)",
        "seeds_in_grad": "backward starts from the gradient that the variable has already"
        " (Deep Learning from Scratch 3, step 9)",
        "unchecked_gradients": "grad is an attribute (Deep Learning from Scratch 3, step 6)",
    }

    def __init__(self) -> None:
        self.dezero: Any = import_module("dezero")
        self.version = "0.0.13"  # the package does not say
        self._constants: dict[int, Tensor] = {}
        self.table = dezero_table(self.dezero.functions)
        self.operations = frozenset(self.table)

    def reset(self) -> None:
        """Enable recording, and forget the constants of the program before."""
        self._constants.clear()
        self.dezero.Config.enable_backprop = True

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a variable of a copy."""
        made = self.dezero.Variable(array.copy())
        if not requires_grad:
            self._constants[id(made)] = made
        return made

    def numpy(self, tensor: Tensor) -> Array:
        """Return the array behind a variable."""
        array: Array = tensor.data
        return array

    def backward(
        self, tensor: Tensor, gradient: Tensor | None = None, create_graph: bool = False
    ) -> None:
        """Call `tensor.backward`, after the assignment of its gradient where one is given."""
        if gradient is None and tensor.grad is not None:
            self.departs("seeds_in_grad")
        if gradient is None and tensor.size != 1:
            self.departs("implicit_cotangent")
        if gradient is not None:
            self._fits(tensor, gradient)
            tensor.grad = gradient
        tensor.backward(create_graph=create_graph)

    def _fits(self, tensor: Tensor, gradient: Tensor) -> None:
        if gradient.shape != tensor.shape:
            self.departs("unchecked_gradients")

    def grad(self, tensor: Tensor) -> Tensor | None:
        """Return `tensor.grad`."""
        if id(tensor) in self._constants:
            self.departs("gradients_everywhere")
        return tensor.grad

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """Assign `tensor.grad`, or call `cleargrad`."""
        if gradient is None:
            tensor.cleargrad()
        else:
            self._fits(tensor, gradient)
            tensor.grad = gradient

    def no_grad(self) -> Any:
        """Return `dezero.no_grad()`."""
        return self.dezero.no_grad()
