"""SmallPebble: a dictionary of gradients, by variable, of the sum of a result's elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from typing import Any

import numpy as np

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.numpy_names import Table
from conformance.errors import Unsupported
from conformance.observation import Array


class SmallpebbleEngine(FunctionalEngine):
    """SmallPebble. It takes no cotangents: `get_gradients` starts from ones."""

    dtypes = ("float64", "float32")
    conventions: Mapping[str, str] = {
        "implicit_cotangent": "the gradient of an array starts from ones (get_gradients)",
        "integers_widen": "int64 and float32 promote to float64 (NumPy, Data type promotion)",
        "scalars_have_no_axes": "axes are NumPy's: an array without axes has no axis 0 (NumPy,"
        " ndarray.sum)",
        "scalars_widen": "arrays are NumPy's, and one without axes takes part in promotion like any"
        " other (NumPy, Data type promotion)",
    }

    def __init__(self) -> None:
        self.sp: Any = import_module("smallpebble")
        self.version = metadata.version("smallpebble")
        self.table = _table(self.sp)
        self.operations = frozenset(self.table)

    def lacks(self) -> Sequence[str]:
        """Return what starts from a cotangent, and second orders."""
        return (
            "backward.gradient", "grad_of.grad_outputs", "backward_many",
            "backward.create_graph", "grad_of.create_graph",
        )  # fmt: skip

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Make a variable of a copy."""
        return self.sp.Variable(array.copy())

    def numpy(self, tensor: Tensor) -> Array:
        """Return the array behind a variable."""
        array: Array = np.asarray(tensor.array)
        return array

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Call `get_gradients`."""
        if any((cotangent.array != 1).any() for cotangent in cotangents):
            raise Unsupported(f"{self.name} starts from ones")
        own = [self.sp.Variable(primal.array) for primal in primals]
        (result,) = fn(*own)
        found = self.sp.get_gradients(result)
        return [self.sp.Variable(found[item]) if item in found else None for item in own]


def _table(sp: Any) -> Table:
    return {
        "add": lambda input, other: sp.add(input, _variable(sp, other, input)),
        "sub": lambda input, other: sp.sub(input, _variable(sp, other, input)),
        "mul": lambda input, other: sp.mul(input, _variable(sp, other, input)),
        "div": lambda input, other: sp.div(input, _variable(sp, other, input)),
        "neg": lambda input: sp.neg(input),
        "exp": lambda input: sp.exp(input),
        "log": lambda input: sp.log(input),
        "square": lambda input: sp.square(input),
        "matmul": lambda input, other: sp.matmul(input, other),
        "mm": lambda input, other: sp.matmul(input, other),
        "t": lambda input: sp.matrix_transpose(_matrix(input)),
        "sum": lambda input, dim=None, keepdim=False: _reduced(sp.sum(input, dim), sp, keepdim),
        "amax": lambda input, dim, keepdim=False: sp.maxax(input, _kept(dim, keepdim)),
        "softmax": lambda input, dim: sp.softmax(input, dim),
        "reshape": lambda input, shape: sp.reshape(input, shape),
        "view": lambda input, size: sp.reshape(input, size),
        "unsqueeze": lambda input, dim: sp.expand_dims(input, dim),
        "select": lambda input, dim, index:
            sp.getitem(input, _at(input, dim, index)),
        "narrow": lambda input, dim, start, length:
            sp.getitem(input, _at(input, dim, slice(start, start + length))),
        "where": lambda condition, input, other: sp.where(condition.array, input, other),
        "nn.functional.leaky_relu": lambda input, negative_slope=0.01:
            sp.leaky_relu(input, negative_slope),
    }  # fmt: skip


def _at(variable: Any, dim: int, index: int | slice) -> tuple[Any, ...]:
    before: int = dim % variable.array.ndim
    return (slice(None),) * before + (index,)


def _variable(sp: Any, value: Any, like: Any) -> Any:
    """Return a number as a variable, which is all that the engine's operations take."""
    known = isinstance(value, sp.Variable)
    return value if known else sp.Variable(np.asarray(value, like.array.dtype))


def _matrix(variable: Any) -> Any:
    if variable.array.ndim != 2:
        raise Unsupported("matrix_transpose swaps the last two axes")
    return variable


def _kept(dim: Any, keepdim: bool) -> int:
    if not keepdim or not isinstance(dim, int):
        raise Unsupported("maxax reduces one axis, and keeps it")
    return dim


def _reduced(result: Any, sp: Any, keepdim: bool) -> Any:
    if keepdim:
        raise Unsupported(f"{sp.__name__} sums without keepdim")
    return result
