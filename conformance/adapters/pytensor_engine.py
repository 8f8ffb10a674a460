"""PyTensor: symbolic graphs, differentiated by `grad` and compiled when a value is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.numpy_names import Table, indexing, numpy_table
from conformance.observation import Array


class PytensorEngine(FunctionalEngine):
    """PyTensor, its graphs run by the Python linker as they stand, without rewrites."""

    dtypes = ("float64", "float32", "int64", "int32", "bool")
    conventions: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.pytensor: Any = import_module("pytensor")
        self.pt: Any = import_module("pytensor.tensor")
        self.version = str(self.pytensor.__version__)
        self._mode: Any = self.pytensor.compile.mode.Mode("py", None)
        self.table = _table(self.pt)
        self.operations = frozenset(self.table)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Make a shared variable of a copy."""
        return self.pytensor.shared(array.copy(), shape=array.shape)

    def numpy(self, tensor: Tensor) -> Array:
        """Return the value, once computed."""
        array: Array = np.asarray(self.pytensor.function([], tensor, mode=self._mode)())
        return array

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Call `grad` with the cotangents as known gradients."""
        results = fn(*primals)
        found: Sequence[Tensor | None] = self.pytensor.grad(
            None, list(primals), known_grads=dict(zip(results, cotangents, strict=True)),
            disconnected_inputs="ignore", return_disconnected="none",
        )  # fmt: skip
        return found

    def jvp(
        self, fn: Pure, primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Call `pushforward`."""
        results = fn(*primals)
        found = self.pytensor.gradient.pushforward(list(results), list(primals), list(tangents))
        return results, found

    def stop_gradient(self, tensor: Tensor) -> Tensor:
        """Call `disconnected_grad`."""
        return self.pytensor.gradient.disconnected_grad(tensor)


def _table(pt: Any) -> Table:
    special: Any = import_module("pytensor.tensor.special")
    table = {**numpy_table(pt), **indexing()}
    table |= {
        "t": lambda input: input.T,
        "div": lambda input, other: pt.true_div(input, other),
        "softmax": lambda input, dim: special.softmax(input, axis=dim),
        "log_softmax": lambda input, dim: special.log_softmax(input, axis=dim),
        "lgamma": lambda input: pt.gammaln(input),
        "digamma": lambda input: pt.digamma(input),
        "erfc": lambda input: pt.erfc(input),
        "clone": lambda input: pt.tensor_copy(input),
        "nn.functional.softplus": lambda input: pt.softplus(input),
        "repeat": lambda input, repeats: pt.tile(input, repeats),
        "linalg.inv": lambda input: pt.linalg.inv(input),
        "linalg.det": lambda input: pt.linalg.det(input),
        "linalg.solve": lambda input, other: pt.linalg.solve(input, other),
    }
    return table
