"""tinygrad: an eager API over a lazy graph; `.backward()` fills `.grad`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Any

from conformance.adapters.base import TapeEngine, Tensor
from conformance.adapters.tinygrad_table import tinygrad_table
from conformance.observation import Array

_SETTINGS = {"DEV": "PYTHON", "NOOPT": "1", "PARALLEL": "0", "TRACEMETA": "0"}
"""Environment variables, unless they are set: no compiler is needed, no loops are unrolled for a
device that interprets them (a fifth of a run's time), no pool of processes that compile a few
kernels each and start again, no trace of which line made a tensor."""


class TinygradEngine(TapeEngine):
    """tinygrad on its Python device, which needs no compiler.

    There is no requires_grad: backward fills `.grad` of every floating-point tensor in the graph.
    """

    dtypes = ("float32", "float64", "float16", "int64", "int32", "bool")
    compiles = True
    frees_graph = False
    conventions: Mapping[str, str] = {
        "gradients_everywhere": "backward fills .grad for every in-scope float tensor, as there is"
        " no requires_grad (Tensor.backward)",
        "zeros_for_unused": "what a result does not depend on gets zeros (Tensor.gradient)",
        "writes_leaves": "assign changes any tensor, as there is no requires_grad (Tensor.assign)",
        "scalar_roots": "without a gradient the tensor must be a scalar (Tensor.backward)",
        "assigns_buffers": "assign stores values, and a store has no derivative"
        " (https://github.com/tinygrad/tinygrad/blob/master/tinygrad/tensor.py, Tensor.assign)",
        "interpreted": "this device interprets every instruction of a kernel in Python; networks of"
        " convolutions take minutes on it (https://docs.tinygrad.org/runtime/, PYTHON)",
        "keeps_saved_values": "assign makes a new value, what was computed lazily keeps the old one"
        " (https://docs.tinygrad.org/quickstart/, Tensors are lazy)",
        "scalars_widen": "tensors without axes promote as others do, Python numbers alone are weak"
        " (https://docs.tinygrad.org/dtypes/, least_upper_dtype)",
        "unchecked_gradients": "grad is an attribute; what was assigned is checked when backward"
        " adds to it (Tensor.backward)",
        "clears_graph": "a graph is never freed (Tensor.backward)",
    }

    def __init__(self) -> None:
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        tinygrad: Any = import_module("tinygrad")
        self.Tensor: Any = tinygrad.Tensor
        self.version = metadata.version("tinygrad")
        self._tracked: dict[int, Tensor] = {}
        self._leaves: dict[int, Tensor] = {}
        self.table = tinygrad_table(self.Tensor)
        self.operations = frozenset(self.table) | {"zero", "copy"}

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a tensor of a copy, with memory of its own, which a bare number would not have."""
        flat = self.Tensor(array.reshape(-1).copy(), dtype=_dtype(array)).realize()
        tensor = flat.reshape(array.shape).contiguous().realize()
        self._leaves[id(tensor)] = tensor
        if requires_grad:
            self._tracked[id(tensor)] = tensor
        return tensor

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values, once computed."""
        array: Array = tensor.numpy()
        return array

    def reset(self) -> None:
        """Forget the leaves of the program before."""
        self._tracked.clear()
        self._leaves.clear()

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Apply the operation, and ask for its shape, so that a misfit is refused here."""
        result = super().apply(op, *tensors, **params)
        for tensor in result if isinstance(result, tuple) else (result,):
            tensor.shape  # noqa: B018  (lazy)
        return result

    def apply_(self, op: str, target: Tensor, *tensors: Tensor, **params: Any) -> None:
        """Assign the result of the operation."""
        if id(target) not in self._leaves:
            self.departs("assigns_buffers")
        if op == "zero":
            target.assign(target.zeros_like())
        elif op == "copy":
            target.assign(*tensors)
        else:
            target.assign(self.apply(op, target, *tensors, **params))

    def backward(self, tensor: Tensor, gradient: Tensor | None = None) -> None:
        """Call `tensor.backward`."""
        if gradient is None and tensor.numel() == 1 and tensor.ndim:
            self.departs("scalar_roots")
        tensor.backward(gradient)

    def grad(self, tensor: Tensor) -> Tensor | None:
        """Return the gradient of a tensor whose gradient was asked for."""
        if id(tensor) not in self._tracked:
            self.departs("gradients_everywhere")
        return tensor.grad

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """Assign `tensor.grad`."""
        tensor.grad = gradient

    def detach(self, tensor: Tensor) -> Tensor:
        """Return `tensor.detach()`."""
        return tensor.detach()


def _dtype(array: Array) -> str:
    name = str(array.dtype.name)
    return {"float64": "double", "float32": "float", "float16": "half"}.get(name, name)
