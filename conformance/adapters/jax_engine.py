"""JAX: `jax.vjp` and `jax.jvp` of pure functions of immutable arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.numpy_names import Table, indexing, numpy_table
from conformance.observation import Array


class JaxEngine(FunctionalEngine):
    """JAX on the CPU with 64-bit types, not jitted.

    Its gradients of complex functions are the conjugates of PyTorch's
    (https://docs.jax.dev/en/latest/notebooks/autodiff_cookbook.html, Complex numbers), so no
    complex dtype is declared. A gradient with respect to an unused input is zeros.
    """

    dtypes = ("float64", "float32", "float16", "int64", "int32", "bool")
    conventions: Mapping[str, str] = {
        "zeros_for_unused": "unused inputs have gradient zeros (docs.jax.dev, jax.grad)"
    }

    def __init__(self) -> None:
        self.jax: Any = import_module("jax")
        self.jax.config.update("jax_enable_x64", True)
        self.jax.config.update("jax_platforms", "cpu")
        self.version = str(self.jax.__version__)
        self.table = _table(self.jax)
        self.operations = frozenset(self.table)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Make an array of a copy."""
        return self.jax.numpy.array(array, copy=True)

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values, once computed."""
        array: Array = np.asarray(tensor)
        return array

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Call `jax.vjp`."""
        _, pull = self.jax.vjp(fn, *primals)
        found: Sequence[Tensor] = pull(tuple(cotangents))
        return found

    def jvp(
        self, fn: Pure, primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Call `jax.jvp`."""
        found: tuple[Sequence[Tensor], Sequence[Tensor]] = self.jax.jvp(
            fn, tuple(primals), tuple(tangents)
        )
        return found

    def stop_gradient(self, tensor: Tensor) -> Tensor:
        """Call `jax.lax.stop_gradient`."""
        return self.jax.lax.stop_gradient(tensor)


def _table(jax: Any) -> Table:
    jnp, nn, lax = jax.numpy, jax.nn, jax.lax

    def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0) -> Any:
        pads = [(pad, pad) for pad in _pair(padding)]
        found = lax.conv_general_dilated(input, weight, _pair(stride), pads)
        return found if bias is None else found + bias[:, None, None]

    def max_pool2d(input: Any, kernel_size: Any) -> Any:
        window = (1, 1, *_pair(kernel_size))
        return lax.reduce_window(input, -jnp.inf, lax.max, window, window, "VALID")

    table = {**numpy_table(jnp), **indexing()}
    activations = "relu6 elu celu selu gelu silu softplus leaky_relu hard_tanh glu soft_sign mish"
    for name in activations.split():
        function = getattr(nn, name)
        table[f"nn.functional.{name.replace('_', '')}"] = lambda input, f=function: f(input)
    table |= {
        "relu": lambda input: nn.relu(input),
        "nn.functional.relu": lambda input: nn.relu(input),
        "nn.functional.leaky_relu": lambda input, negative_slope=0.01:
            nn.leaky_relu(input, negative_slope),
        "nn.functional.gelu": lambda input, approximate="none":
            nn.gelu(input, approximate == "tanh"),
        "nn.functional.logsigmoid": lambda input: nn.log_sigmoid(input),
        "nn.functional.hardsigmoid": lambda input: nn.hard_sigmoid(input),
        "nn.functional.hardswish": lambda input: nn.hard_swish(input),
        "sigmoid": lambda input: nn.sigmoid(input),
        "softmax": lambda input, dim: nn.softmax(input, dim),
        "log_softmax": lambda input, dim: nn.log_softmax(input, dim),
        "logsumexp": lambda input, dim, keepdim=False: nn.logsumexp(input, dim, keepdims=keepdim),
        "erf": lambda input: lax.erf(input),
        "erfc": lambda input: lax.erfc(input),
        "erfinv": lambda input: lax.erf_inv(input),
        "rsqrt": lambda input: lax.rsqrt(input),
        "xlogy": lambda input, other: jax.scipy.special.xlogy(input, other),
        "clone": lambda input: jnp.copy(input),
        "squeeze": lambda input, dim=None: jnp.squeeze(input, dim),
        "nn.functional.conv2d": conv2d,
        "nn.functional.max_pool2d": max_pool2d,
        "linalg.inv": lambda input: jnp.linalg.inv(input),
        "linalg.det": lambda input: jnp.linalg.det(input),
        "linalg.solve": lambda input, other: jnp.linalg.solve(input, other),
    }  # fmt: skip
    return table


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
