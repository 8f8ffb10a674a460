"""Dr.Jit (https://drjit.readthedocs.io): traced arrays with an AD graph; run it out of process."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from conformance.adapters.base import TapeEngine, Tensor
from conformance.adapters.drjit_table import drjit_table
from conformance.observation import Array


class DrjitEngine(TapeEngine):
    """Dr.Jit's LLVM backend, which needs a libLLVM of the system: `drjit[python=PATH]`."""

    dtypes = ("float64", "float32", "float16", "int64", "int32")
    frees_graph = False
    conventions: Mapping[str, str] = {
        "clears_edges": "backward clears the edges that it visits, and a later one goes no"
        " further there (drjit.ADFlag.Default)",
        "zeros_for_none": "the gradient of what has none is 0 (drjit.grad)",
        "zeros_for_unused": "the gradient of what has none is 0 (drjit.grad)",
        "implicit_cotangent": "the initial gradient is 1 where none was set (drjit.backward_from)",
        "broadcasts_cotangent": "a gradient is broadcast where it is set (drjit.set_grad)",
    }

    def __init__(self) -> None:
        self.dr: Any = import_module("drjit")
        self.version = str(self.dr.__version__)
        llvm: Any = import_module("drjit.llvm.ad")
        self._types = {
            "float64": llvm.TensorXf64, "float32": llvm.TensorXf, "float16": llvm.TensorXf16,
            "int64": llvm.TensorXi64, "int32": llvm.TensorXi, "bool": llvm.TensorXb,
        }  # fmt: skip
        self._walked = False
        self.table = drjit_table(self.dr)
        self.operations = frozenset(self.table)

    def reset(self) -> None:
        """Forget that the program before called backward."""
        self._walked = False

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a tensor of a copy."""
        made = self._types[array.dtype.name](array.copy())
        if requires_grad:
            self.dr.enable_grad(made)
        return made

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values, once computed."""
        array: Array = self.dr.detach(tensor).numpy().copy()
        return array

    def backward(
        self, tensor: Tensor, gradient: Tensor | None = None, retain_graph: bool = False
    ) -> None:
        """Call `backward_from`, after `set_grad` where a gradient is given."""
        if gradient is None and tensor.array.__len__() != 1:
            self.departs("implicit_cotangent")
        self._walked = True
        self.dr.set_grad(tensor, 1 if gradient is None else self.dr.detach(gradient))
        flags = self.dr.ADFlag
        keep = flags.ClearInterior | flags.ClearInput
        self.dr.backward_from(tensor, keep if retain_graph else flags.Default)

    def grad(self, tensor: Tensor) -> Tensor | None:
        """Return `drjit.grad`; what no gradient is tracked for has none."""
        if not self.dr.grad_enabled(tensor):
            return None
        if not self._walked:
            self.departs("zeros_for_none")
        return self.dr.grad(tensor)

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """Call `drjit.set_grad`."""
        if gradient is None:
            self.departs("zeros_for_none")
        self.dr.set_grad(tensor, gradient)

    def requires_grad(self, tensor: Tensor) -> bool:
        """Call `drjit.grad_enabled`."""
        return bool(self.dr.grad_enabled(tensor))

    def set_requires_grad(self, tensor: Tensor, flag: bool) -> None:
        """Call `drjit.set_grad_enabled`."""
        self.dr.set_grad_enabled(tensor, flag)

    def detach(self, tensor: Tensor) -> Tensor:
        """Call `drjit.detach`."""
        return self.dr.detach(tensor)

    def no_grad(self) -> Any:
        """Return `drjit.suspend_grad()`."""
        return self.dr.suspend_grad()

    def enable_grad(self) -> Any:
        """Return `drjit.resume_grad()`."""
        return self.dr.resume_grad()
