"""Chainer (https://docs.chainer.org): an eager tape over NumPy arrays; run it out of process."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from conformance.adapters.base import TapeEngine, Tensor
from conformance.adapters.chainer_table import CONVENTIONS, chainer_table
from conformance.errors import Unsupported
from conformance.observation import Array

Row = Sequence[Any]


class ChainerEngine(TapeEngine):
    """Chainer on the CPU. It needs `numpy<1.24`: name it `chainer[python=PATH]`."""

    dtypes = ("float64", "float32", "float16", "int64", "int32", "bool")
    frees_graph = False  # backward has no such choice: what nodes retained stays (Variable)
    conventions = CONVENTIONS

    def __init__(self) -> None:
        self.chainer: Any = import_module("chainer")
        self.version = str(self.chainer.__version__)
        self.table = chainer_table(self.chainer.functions)
        self.operations = frozenset(self.table)

    def reset(self) -> None:
        """Enable recording, and forget the leaves of the program before."""
        self._leaves: dict[int, Tensor] = {}
        self.chainer.global_config.enable_backprop = True

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Any:
        """Apply a function of Chainer, which wants operands of one dtype."""
        try:
            made = super().apply(op, *tensors, **params)
        except ImportError as error:  # some functions need SciPy
            raise Unsupported(str(error)) from error
        except self.chainer.utils.type_check.InvalidType:
            if len({tensor.dtype for tensor in tensors}) > 1:
                self.departs("refuses_mixed_dtypes")
            raise
        if not self.is_grad_enabled() and any(made is tensor for tensor in tensors):
            self.departs("keeps_variables")
        return made

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a variable of a copy."""
        if requires_grad and array.dtype.kind != "f":
            self.departs("requires_by_default")
        made = self.chainer.Variable(array.copy(), requires_grad=requires_grad)
        self._leaves[id(made)] = made
        return made

    def numpy(self, tensor: Tensor) -> Array:
        """Return the array behind a variable."""
        array: Array = tensor.array
        return array

    def backward(self, tensor: Tensor, gradient: Any = None, create_graph: bool = False) -> None:
        """Call `tensor.backward`, after the assignment of its gradient where one is given."""
        self._check_roots([tensor])
        if gradient is None and (tensor.grad_var is not None or tensor.size != 1):
            self.departs("seeds_in_grad")
        if gradient is not None:
            tensor.grad_var = gradient
        tensor.backward(enable_double_backprop=create_graph)

    def _check_roots(self, tensors: Sequence[Tensor]) -> None:
        if any(tensor.creator_node is None or not tensor.requires_grad for tensor in tensors):
            self.departs("untracked_roots")

    def backward_many(self, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Call `chainer.backward`."""
        self._check_roots(tensors)
        if any(gradient is None for gradient in gradients):
            self.departs("no_default_seed")
        self.chainer.backward(list(tensors), list(gradients))

    def grad_of(
        self, outputs: Row, inputs: Row, grad_outputs: Row | None = None, create_graph: bool = False
    ) -> Row:
        """Call `chainer.grad`."""
        if grad_outputs is None and any(output.size != 1 for output in outputs):
            self.departs("fills_ones")
        if not all(tensor.requires_grad for tensor in inputs):
            self.departs("untracked_inputs")
        options = {"enable_double_backprop": create_graph}
        found: Row = self.chainer.grad(list(outputs), list(inputs), grad_outputs, **options)
        if any(gradient is None for gradient in found):
            self.departs("none_for_unused")
        return found

    def grad(self, tensor: Tensor) -> Tensor | None:
        """Return `tensor.grad_var`."""
        return tensor.grad_var

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """Assign `grad_var`; None clears it, as `cleargrad` does."""
        tensor.grad_var = gradient

    def requires_grad(self, tensor: Tensor) -> bool:
        """Return `tensor.requires_grad`, which cannot be assigned."""
        if tensor.creator_node is None and id(tensor) not in self._leaves:
            self.departs("requires_by_default")
        return bool(tensor.requires_grad)

    def no_grad(self) -> Any:
        """Return `chainer.no_backprop_mode()`."""
        return self.chainer.no_backprop_mode()

    def enable_grad(self) -> Any:
        """Return `chainer.force_backprop_mode()`."""
        return self.chainer.force_backprop_mode()

    def is_grad_enabled(self) -> bool:
        """Return the configuration's `enable_backprop`."""
        return bool(self.chainer.config.enable_backprop)
