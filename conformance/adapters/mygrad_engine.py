"""MyGrad (https://mygrad.readthedocs.io): an eager tape over NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from conformance.adapters.base import TapeEngine, Tensor
from conformance.adapters.mygrad_table import IN_PLACE, mygrad_table
from conformance.errors import Unsupported
from conformance.observation import Array


class MyGradEngine(TapeEngine):
    """MyGrad. `constant` is the opposite of requires_grad, `no_autodiff` is no_grad."""

    dtypes = ("float64", "float32", "float16", "int64", "int32", "bool")
    accumulates = False
    frees_graph = False
    conventions: Mapping[str, str] = {
        "overwrites": "using a tensor again nulls its gradient (Tensor.null_gradients)",
        "clears_graph": "backward removes the root from its graph, which is no error to call again"
        " (Tensor.backward)",
        "implicit_cotangent": "backward of an array is that of its sum (Tensor.backward)",
        "broadcasts_cotangent": "a gradient may be broadcast to the tensor (Tensor.backward)",
        "gradients_everywhere": "derivatives are stored in every tensor (Tensor.backward)",
        "keeps_saved_values": "in-place updates are recorded and do not corrupt gradients"
        " (In-Place Operations and Views)",
        "writes_leaves": "an in-place update of a variable is recorded too"
        " (In-Place Operations and Views)",
        "constant_roots": "a constant does not facilitate back-propagation (Tensor.constant)",
        "untracked_variables": "no_autodiff suspends tracking, without making results constant,"
        " and in it backward does nothing (mygrad.no_autodiff)",
        "detach_copies": "views are made by operations; a tensor of another's data or gradient is"
        " none, and an update gives it memory of its own (In-Place Operations and Views)",
        "integers_widen": "int64 and float32 promote to float64 (NumPy, Data type promotion)",
        "scalars_widen": "NumPy's promotion is used, in which an array without axes takes part like"
        " any other (NumPy, Data type promotion)",
        "locks_memory": "arrays in a graph are read-only (Controlling Memory-Guarding Behavior)",
    }

    def __init__(self) -> None:
        self.mg: Any = import_module("mygrad")
        self.version = str(self.mg.__version__)
        self._tracking: Any = import_module("mygrad._utils.graph_tracking")
        self._leaves: dict[int, Tensor] = {}
        self.table = mygrad_table(self.mg)
        self.operations = frozenset(self.table) | {"zero", "copy"}

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a tensor of a copy."""
        tensor = self.mg.tensor(array.copy(), constant=not requires_grad)
        self._leaves[id(tensor)] = tensor
        return tensor

    def reset(self) -> None:
        """Forget the leaves of the program before."""
        self._leaves.clear()

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Any:
        """Apply a function of MyGrad."""
        try:
            return super().apply(op, *tensors, **params)
        except NotImplementedError as error:
            raise Unsupported(str(error)) from error

    def _untracked(self, tensor: Tensor) -> bool:
        """Whether an operation made the tensor outside of any graph."""
        return not tensor.constant and tensor.creator is None and id(tensor) not in self._leaves

    def numpy(self, tensor: Tensor) -> Array:
        """Return the array behind a tensor."""
        array: Array = tensor.data
        return array

    def apply_(self, op: str, target: Tensor, *tensors: Tensor, **params: Any) -> None:
        """Use Python's augmented assignments, which the engine records."""
        base = target if target.base is None else target.base
        if not self._tracking.TRACK_GRAPH:
            self.departs("locks_memory")
        if base.creator is None and id(base) not in self._leaves:
            self.departs("detach_copies")
        if base.creator is None and not base.constant:
            self.departs("writes_leaves")
        self.call(IN_PLACE, op, target, *tensors, **params)

    def backward(self, tensor: Tensor, gradient: Tensor | None = None) -> None:
        """Call `tensor.backward`."""
        if gradient is None and tensor.size != 1:
            self.departs("implicit_cotangent")
        if tensor.constant:
            self.departs("constant_roots")
        if self._untracked(tensor) or not self._tracking.TRACK_GRAPH:
            self.departs("untracked_variables")
        tensor.backward(None if gradient is None else gradient.data)

    def grad(self, tensor: Tensor) -> Tensor | None:
        """Return the gradient, which is an array of NumPy's, as a constant."""
        if tensor.creator is not None:
            self.departs("gradients_everywhere")
        return None if tensor.grad is None else self.mg.astensor(tensor.grad, constant=True)

    def requires_grad(self, tensor: Tensor) -> bool:
        """Return whether the tensor is no constant."""
        if self._untracked(tensor):
            self.departs("untracked_variables")
        return not tensor.constant

    def detach(self, tensor: Tensor) -> Tensor:
        """Return the same data as a constant tensor."""
        return self.mg.astensor(tensor, constant=True)

    def no_grad(self) -> Any:
        """Return `mygrad.no_autodiff`, a context manager and a decorator."""
        return self.mg.no_autodiff
