"""TensorFlow: gradients inside a `GradientTape`, eager."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.tensorflow_table import tensorflow_table
from conformance.observation import Array


class TensorflowEngine(FunctionalEngine):
    """TensorFlow on the CPU: a tape is opened around a function, its inputs are watched."""

    dtypes = ("float64", "float32", "float16", "int64", "int32", "bool")
    conventions: Mapping[str, str] = {
        "refuses_mixed_dtypes": "operands of an operation have one dtype (tf.math.multiply)",
        "scalars_have_no_axes": "axis is in [-rank(x), rank(x)) (tf.math.cumprod)",
        "zeros_for_unused": "gradients that are not connected are zeros where"
        " UnconnectedGradients.ZERO is asked for (tf.GradientTape.gradient)",
    }

    def __init__(self) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
        self.tf: Any = import_module("tensorflow")
        self.version = str(self.tf.__version__)
        self.table = tensorflow_table(self.tf)
        self.operations = frozenset(self.table)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Make a tensor of a copy."""
        return self.tf.constant(array.copy())

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values."""
        array: Array = self.tf.convert_to_tensor(tensor).numpy()
        return array

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Call `tape.gradient` with `output_gradients`.

        Zeros are asked for where there is no gradient: `None` would also stand for the gradients of
        functions that are constant almost everywhere (round, floor), which are used further.
        """
        with self.tf.GradientTape() as tape:
            own = [self.tf.identity(primal) for primal in primals]
            tape.watch(own)
            results = fn(*own)
        found: Sequence[Tensor] = tape.gradient(
            list(results), own, list(cotangents), self.tf.UnconnectedGradients.ZERO
        )
        return [self.tf.convert_to_tensor(item) for item in found]

    def jvp(
        self, fn: Pure, primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Call `ForwardAccumulator.jvp`."""
        forward = self.tf.autodiff.ForwardAccumulator
        with forward(list(primals), list(tangents)) as accumulator:
            results = fn(*primals)
            found = [accumulator.jvp(item, self.tf.UnconnectedGradients.ZERO) for item in results]
        return results, found

    def stop_gradient(self, tensor: Tensor) -> Tensor:
        """Call `tf.stop_gradient`."""
        return self.tf.stop_gradient(tensor)
