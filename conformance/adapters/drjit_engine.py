"""Dr.Jit (https://drjit.readthedocs.io): traced arrays with an AD graph; run it out of process."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from conformance.adapters.base import TapeEngine, Tensor
from conformance.adapters.drjit_table import CONVENTIONS, TYPES, drjit_table
from conformance.observation import Array


class DrjitEngine(TapeEngine):
    """Dr.Jit's LLVM backend, which needs a libLLVM of the system: `drjit[python=PATH]`."""

    dtypes = ("float64", "float32", "float16", "int64", "int32")
    frees_graph = False
    conventions = CONVENTIONS

    def __init__(self) -> None:
        self.dr: Any = import_module("drjit")
        self.version = str(self.dr.__version__)
        llvm: Any = import_module("drjit.llvm.ad")
        self._types = {dtype: getattr(llvm, name) for dtype, name in TYPES.items()}
        self.reset()
        self.table = drjit_table(self.dr)
        self.operations = frozenset(self.table)

    def reset(self) -> None:
        """Forget the program before: its leaves, and whether it called backward."""
        self._leaves: dict[int, Tensor] = {}
        self._made: dict[int, Tensor] = {}
        self._walked = self._cleared = False

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a tensor of a copy."""
        made = self._types[array.dtype.name](array.copy())
        self._leaves[id(made)] = made
        if requires_grad:
            self.set_requires_grad(made, True)
        return made

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Any:
        """Apply a function of Dr.Jit, and remember what was made since edges were cleared."""
        if op == "erfinv":
            self.departs("approximates")
        made = super().apply(op, *tensors, **params)
        if any(made is t or made is t.array for t in tensors) and self._suspended():
            self.departs("keeps_variables")
        self._made |= {id(t): t for t in (made if isinstance(made, tuple) else (made,))}
        return made

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values, once computed."""
        array: Array = self.dr.detach(tensor).numpy().copy()
        return array

    def backward(self, tensor: Tensor, gradient: Any = None, retain_graph: bool = False) -> None:
        """Call `backward_from`, after `set_grad` where a gradient is given."""
        if gradient is None and tensor.array.__len__() != 1:
            self.departs("implicit_cotangent")
        if id(tensor) in self._leaves:
            self.departs("seeds_in_grad")
        if self._suspended():
            self.departs("suspends_backward")
        if self._cleared and id(tensor) not in self._made:
            self.departs("clears_edges")
        self._walked = True
        self.dr.set_grad(tensor, 1 if gradient is None else self.dr.detach(gradient))
        flags = self.dr.ADFlag
        keep = flags.ClearInterior | flags.ClearInput
        self.dr.backward_from(tensor, keep if retain_graph else flags.Default)
        if not retain_graph:
            self._cleared = True
            self._made.clear()

    def _suspended(self) -> bool:
        probe = self._types["float64"]([0.0])
        self.dr.enable_grad(probe)
        return not self.dr.grad_enabled(probe)

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
        if tuple(gradient.shape) != tuple(tensor.shape):
            self.departs("broadcasts_cotangent")
        self.dr.set_grad(tensor, gradient)

    def requires_grad(self, tensor: Tensor) -> bool:
        """Call `drjit.grad_enabled`."""
        return bool(self.dr.grad_enabled(tensor))

    def set_requires_grad(self, tensor: Tensor, flag: bool) -> None:
        """Call `drjit.set_grad_enabled`."""
        if not flag and id(tensor) not in self._leaves:
            self.departs("disables_anywhere")
        self.dr.set_grad_enabled(tensor, flag)
        if flag and not self.dr.grad_enabled(tensor):
            self.departs("ignores_enabling")

    def detach(self, tensor: Tensor) -> Tensor:
        """Call `drjit.detach`."""
        return self.dr.detach(tensor)

    def no_grad(self) -> Any:
        """Return `drjit.suspend_grad()`."""
        return self.dr.suspend_grad()

    def enable_grad(self) -> Any:
        """Return `drjit.resume_grad()`."""
        return self.dr.resume_grad()
