"""PyTensor: symbolic graphs, differentiated by `grad` and compiled when a value is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.numpy_names import Table, indexing, numpy_table, right_side
from conformance.errors import Unsupported
from conformance.observation import Array


class PytensorEngine(FunctionalEngine):
    """PyTensor, its graphs run by the Python linker as they stand.

    Those whose values are not finite are rewritten, as PyTensor does it: its stability lies there.
    """

    dtypes = ("float64", "float32", "int64", "int32", "bool")
    compiles = True
    conventions: Mapping[str, str] = {
        "integers_widen": "int64 and float32 promote to float64, as NumPy's do"
        " (https://pytensor.readthedocs.io/en/latest/library/config.html, cast_policy)",
        "scalars_have_no_axes": "axes are NumPy's: an array without axes has no axis 0"
        " (https://pytensor.readthedocs.io/en/latest/library/tensor/basic.html)",
        "scalars_widen": "variables without axes promote as others do, Python numbers alone are"
        " cast (https://pytensor.readthedocs.io/en/latest/library/config.html, cast_policy)",
    }

    def __init__(self) -> None:
        self.pytensor: Any = import_module("pytensor")
        self.pt: Any = import_module("pytensor.tensor")
        self.version = str(self.pytensor.__version__)
        database: Any = import_module("pytensor.graph.rewriting.db")
        stable = database.RewriteDatabaseQuery(include=("canonicalize", "stabilize"))
        mode: Any = self.pytensor.compile.mode.Mode
        self._plain, self._stable = mode("py", None), mode("py", stable)
        self.table = _table(self.pt)
        self.operations = frozenset(self.table)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Make a shared variable of a copy."""
        return self.pytensor.shared(array.copy(), shape=array.shape)

    def numpy(self, tensor: Tensor) -> Array:
        """Return the value, once computed."""
        array: Array = np.asarray(self.pytensor.function([], tensor, mode=self._plain)())
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            array = np.asarray(self.pytensor.function([], tensor, mode=self._stable)())
        return array

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Call `pullback`, with respect to copies: elsewhere the primals are constants."""
        own = [self.pt.tensor_copy(primal) for primal in primals]
        found: Sequence[Tensor | None] = self.pytensor.gradient.pullback(
            list(fn(*own)), own, list(cotangents),
            disconnected_inputs="ignore", return_disconnected="none",
        )  # fmt: skip
        return found

    def jvp(
        self, fn: Pure, primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Call `pushforward`, with respect to copies."""
        own = [self.pt.tensor_copy(primal) for primal in primals]
        results = fn(*own)
        found = self.pytensor.gradient.pushforward(
            list(results), own, list(tangents), disconnected_outputs="ignore"
        )
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
        "clamp": lambda input, min, max: pt.clip(input, min, max),
        "roll": lambda input, shifts, dims=None: pt.roll(input, _one(shifts), _one(dims)),
        "nn.functional.softplus": lambda input: pt.softplus(input),
        "repeat": lambda input, repeats: pt.tile(input, repeats),
        "linalg.inv": lambda input: pt.linalg.inv(input),
        "linalg.det": lambda input: pt.linalg.det(input),
        "linalg.solve": lambda input, other: pt.linalg.solve(input, right_side(input, other)),
    }
    return table


def _one(value: Any) -> Any:
    """Return a number that may be alone in a sequence; `roll` documents one shift and one axis."""
    values = value if isinstance(value, (tuple, list)) else (value,)
    if len(values) > 1:
        raise Unsupported("roll shifts along one axis (pytensor.tensor.roll)")
    return values[0]
