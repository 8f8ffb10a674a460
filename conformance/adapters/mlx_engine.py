"""MLX: `mx.vjp` and `mx.jvp` of functions of lazy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from typing import Any

import numpy as np

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.numpy_names import Table, images, indexing, numpy_table, one_axis
from conformance.observation import Array


class MlxEngine(FunctionalEngine):
    """MLX on the CPU. Its float64 exists on the CPU only, and not for every operation."""

    dtypes = ("float32", "float64", "float16", "int64", "int32", "bool")
    conventions: Mapping[str, str] = {
        "scalars_have_no_axes": "axes are NumPy's: an array without axes has no axis 0"
        " (mlx.core.cumprod)",
        "scalars_widen": "arrays without axes promote as others do, Python numbers alone are weak"
        " (https://github.com/ml-explore/mlx/blob/main/mlx/dtype_utils.h, promote_types)",
        "zeros_for_unused": "vjp returns an array for every primal (mlx.core.vjp)",
    }

    def __init__(self) -> None:
        self.mx: Any = import_module("mlx.core")
        self.mx.set_default_device(self.mx.cpu)
        self.version = metadata.version("mlx")
        self.table = _table(self.mx)
        self.operations = frozenset(self.table)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Make an array of a copy, in its dtype: a bare float64 array would become float32."""
        name = "bool_" if array.dtype.name == "bool" else array.dtype.name
        return self.mx.array(array.copy(), dtype=getattr(self.mx, name))

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values, once computed."""
        self.mx.eval(tensor)
        array: Array = np.array(tensor)
        return array

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Call `mx.vjp`."""
        _, found = self.mx.vjp(lambda *xs: list(fn(*xs)), list(primals), list(cotangents))
        gradients: Sequence[Tensor] = found
        return gradients

    def jvp(
        self, fn: Pure, primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Call `mx.jvp`."""
        found: tuple[Sequence[Tensor], Sequence[Tensor]] = self.mx.jvp(
            lambda *xs: list(fn(*xs)), list(primals), list(tangents)
        )
        return found

    def stop_gradient(self, tensor: Tensor) -> Tensor:
        """Call `mx.stop_gradient`."""
        return self.mx.stop_gradient(tensor)


def _table(mx: Any) -> Table:
    nn: Any = import_module("mlx.nn")

    def channels_last(input: Any) -> Any:
        return mx.transpose(images(input), (0, 2, 3, 1))

    def channels_first(input: Any) -> Any:
        return mx.transpose(input, (0, 3, 1, 2))

    def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0) -> Any:
        found = mx.conv2d(channels_last(input), channels_last(weight), stride, padding)
        return channels_first(found if bias is None else found + bias)

    def conv_transpose2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1) -> Any:
        kernel = mx.transpose(weight, (1, 2, 3, 0))
        found = mx.conv_transpose2d(channels_last(input), kernel, stride)
        return channels_first(found if bias is None else found + bias)

    def max_pool2d(input: Any, kernel_size: Any) -> Any:
        return channels_first(nn.MaxPool2d(kernel_size, kernel_size)(channels_last(input)))

    def relu_like(name: str) -> Any:
        return lambda input: getattr(nn, name)(input)

    table = {**numpy_table(mx), **indexing()}
    # selu is documented with constants of five digits (mlx.nn.selu): another function
    for name in "relu relu6 elu celu silu softplus softsign hardswish mish".split():
        table[f"nn.functional.{name}"] = relu_like(name)
    table |= {
        "relu": lambda input: nn.relu(input),
        "pow": lambda input, exponent: mx.power(input, exponent),
        "div": lambda input, other: mx.divide(input, other),
        "flatten": lambda input: mx.flatten(input),
        "clone": lambda input: mx.array(input),
        "cumsum": lambda input, dim: mx.cumsum(input, axis=dim),
        "softmax": lambda input, dim: mx.softmax(input, axis=dim),
        "log_softmax": lambda input, dim: nn.log_softmax(input, axis=dim),
        "nn.functional.leaky_relu": lambda input, negative_slope=0.01:
            nn.leaky_relu(input, negative_slope),
        "nn.functional.gelu": lambda input, approximate="none":
            nn.gelu(input) if approximate == "none" else nn.gelu_approx(input),
        "nn.functional.logsigmoid": lambda input: nn.log_sigmoid(input),
        "nn.functional.mse_loss": lambda input, target: nn.losses.mse_loss(input, target),
        "nn.functional.binary_cross_entropy_with_logits": lambda input, target:
            nn.losses.binary_cross_entropy(input, target),
        "nn.functional.conv2d": conv2d,
        "nn.functional.conv_transpose2d": conv_transpose2d,
        "nn.functional.max_pool2d": max_pool2d,
        "linalg.vector_norm": lambda input, ord=2, dim=None, keepdim=False:
            mx.linalg.norm(input, ord, one_axis(input, dim), keepdim),
        "addmm": lambda input, mat1, mat2: mx.addmm(input, mat1, mat2),
    }  # fmt: skip
    return table
