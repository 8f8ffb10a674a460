"""Autograd of HIPS (https://github.com/HIPS/autograd): vector-Jacobian products of NumPy code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from typing import Any

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.numpy_names import Table, indexing, numpy_table
from conformance.errors import Unsupported
from conformance.observation import Array


class AutogradEngine(FunctionalEngine):
    """HIPS autograd. Its gradients of complex functions are the conjugates of PyTorch's.

    (https://github.com/HIPS/autograd/blob/master/docs/tutorial.md, Complex numbers), so no complex
    dtype is declared. The gradient with respect to an unused input is zeros.
    """

    dtypes = ("float64", "float32", "float16", "int64", "int32", "bool")
    conventions: Mapping[str, str] = {
        "zeros_for_unused": "the gradient of an input that is not used is zeros (docs/tutorial.md)",
        "integers_widen": "int64 and float32 promote to float64 (NumPy, Data type promotion)",
        "scalars_have_no_axes": "axes are NumPy's: an array without axes has no axis 0 (NumPy,"
        " cumsum)",
        "scalars_widen": "functions are NumPy's, and an array without axes takes part in promotion"
        " like any other (NumPy, Data type promotion)",
    }

    def __init__(self) -> None:
        self.autograd: Any = import_module("autograd")
        self.np: Any = import_module("autograd.numpy")
        self._tracer: Any = import_module("autograd.tracer")
        self._tuple: Any = import_module("autograd.builtins").tuple
        self.version = metadata.version("autograd")
        self.table = _table(self.np)
        self.operations = frozenset(self.table)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Return a copy: the engine works on NumPy's own arrays."""
        return array.copy()

    def numpy(self, tensor: Tensor) -> Array:
        """Return the array itself."""
        array: Array = self.np.asarray(tensor)
        return array

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Call `autograd.make_vjp` of the function of a tuple."""
        try:
            pull, _ = self.autograd.make_vjp(lambda args: self._tuple(fn(*args)))(
                self._tuple(primals)
            )
            found: Sequence[Tensor] = pull(self._tuple(cotangents))
        except NotImplementedError as error:  # NumPy's function is wrapped, its derivative is not
            raise Unsupported(str(error)) from error
        return found

    def jvp(
        self, fn: Pure, primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Call `autograd.make_jvp` of the function of a tuple."""
        push = self.autograd.make_jvp(lambda args: self._tuple(fn(*args)))
        found: tuple[Sequence[Tensor], Sequence[Tensor]]
        try:
            found = push(self._tuple(primals))(self._tuple(tangents))
        except NotImplementedError as error:
            raise Unsupported(str(error)) from error
        return found

    def stop_gradient(self, tensor: Tensor) -> Tensor:
        """Return the value behind a traced one."""
        while self._tracer.isbox(tensor):
            tensor = self._tracer.getval(tensor)
        return tensor


def _table(np: Any) -> Table:
    special: Any = import_module("autograd.scipy.special")
    table = {**numpy_table(np), **indexing()}
    table |= {
        "sigmoid": lambda input: special.expit(input),
        "erf": lambda input: special.erf(input),
        "erfc": lambda input: special.erfc(input),
        "erfinv": lambda input: special.erfinv(input),
        "logsumexp": lambda input, dim=None, keepdim=False:
            special.logsumexp(input, dim, keepdims=keepdim),
        "linalg.inv": lambda input: np.linalg.inv(input),
        "linalg.det": lambda input: np.linalg.det(input),
        "linalg.solve": lambda input, other: np.linalg.solve(input, _matrices(other, input)),
    }  # fmt: skip
    return table


def _matrices(other: Any, input: Any) -> Any:
    if input.ndim - other.ndim == 1 and other.ndim > 1:
        raise Unsupported("NumPy solves for a vector or for matrices, not for several vectors")
    return other
