"""MindSpore (https://www.mindspore.cn): functions of tensors, differentiated by `mindspore.vjp`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.mindspore_table import mindspore_table
from conformance.errors import Unsupported
from conformance.observation import Array


class MindsporeEngine(FunctionalEngine):
    """MindSpore on the CPU, eagerly (PYNATIVE_MODE).

    It needs `numpy<2`: name it `mindspore[python=PATH]`. Forward mode is left out: `mindspore.jvp`
    compiles the source of the function that it is given, and a replayed program has none.
    """

    dtypes = ("float64", "float32", "float16", "int64", "int32", "bool")
    conventions: Mapping[str, str] = {
        "zeros_for_unused": "an input that the output does not depend on gets zeros"
        " (mindspore.vjp, mindspore.grad)",
    }

    def __init__(self) -> None:
        self.mindspore: Any = import_module("mindspore")
        self.mindspore.set_context(mode=self.mindspore.PYNATIVE_MODE, device_target="CPU")
        self.mindspore.runtime.launch_blocking()  # errors are raised by what makes them
        self.version = str(self.mindspore.__version__)
        self.table = mindspore_table(self.mindspore.ops)
        self.operations = frozenset(self.table)

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Any:
        """Apply a function of MindSpore; what is not there for a dtype is unsupported."""
        if op in _NO_DOUBLE and tensors[0].dtype == self.mindspore.float64:
            raise Unsupported(f"mindspore.ops documents float16 and float32 alone for {op}")
        try:
            return super().apply(op, *tensors, **params)
        except (TypeError, ValueError, RuntimeError) as error:
            if any(words in str(error) for words in _ABSENT):
                raise Unsupported(f"{self.name}: {op}: {error}") from error
            raise

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Make a tensor of a copy."""
        return self.mindspore.Tensor(array.copy())

    def numpy(self, tensor: Tensor) -> Array:
        """Return a copy of the values, once computed."""
        array: Array = tensor.asnumpy().copy()
        return array

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Call `mindspore.vjp`, which wants one result where there is one."""

        def function(*inputs: Tensor) -> Tensor:
            results = fn(*inputs)
            return results[0] if len(results) == 1 else results

        _, pull = self.mindspore.vjp(function, *primals)
        found = pull(*cotangents)
        return found if isinstance(found, tuple) else (found,)

    def stop_gradient(self, tensor: Tensor) -> Tensor:
        """Call `mindspore.ops.stop_gradient`."""
        return self.mindspore.ops.stop_gradient(tensor)


_NO_DOUBLE = ("dot", "log_softmax", "nn.functional.celu")
_ABSENT = ("must be a type of", "supports types", "unregistered", "rank of 'x' must be greater")
"""What an error says of an operation that is not there for the dtype, the processor or no axes."""
