"""JAX's operations, by PyTorch's names."""

from __future__ import annotations

from typing import Any

from conformance.adapters.numpy_names import Table, images, indexing, numpy_table, right_side


def jax_table(jax: Any) -> Table:
    """Return the operations of the module `jax`."""
    jnp, nn, lax = jax.numpy, jax.nn, jax.lax

    def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0) -> Any:
        pads = [(pad, pad) for pad in _pair(padding)]
        found = lax.conv_general_dilated(images(input), weight, _pair(stride), pads)
        return found if bias is None else found + bias[:, None, None]

    def max_pool2d(input: Any, kernel_size: Any) -> Any:
        window = (1,) * (input.ndim - 2) + _pair(kernel_size)
        return lax.reduce_window(input, -jnp.inf, lax.max, window, window, "VALID")

    table = {**numpy_table(jnp), **indexing()}
    activations = "relu6 elu celu selu silu softplus hard_tanh glu soft_sign mish"
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
        "nn.functional.conv2d": conv2d,
        "nn.functional.max_pool2d": max_pool2d,
        "linalg.inv": lambda input: jnp.linalg.inv(input),
        "linalg.det": lambda input: jnp.linalg.det(input),
        "linalg.solve": lambda input, other: jnp.linalg.solve(input, right_side(input, other)),
    }  # fmt: skip
    return table


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
