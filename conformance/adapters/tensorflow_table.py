"""TensorFlow's operations, by PyTorch's names."""

from __future__ import annotations

from typing import Any

from conformance.adapters.numpy_names import (
    Table,
    images,
    indexing,
    lengths,
    numpy_table,
    one_axis,
    right_side,
    unary_table,
)
from conformance.errors import Unsupported


def tensorflow_table(tf: Any) -> Table:
    """Return the operations of the module `tensorflow`."""
    nn = tf.nn

    def nhwc(input: Any) -> Any:
        return tf.transpose(images(input), (0, 2, 3, 1))

    def nchw(input: Any) -> Any:
        return tf.transpose(input, (0, 3, 1, 2))

    def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0) -> Any:
        kernel = tf.transpose(weight, (2, 3, 1, 0))
        pads = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
        found = nn.conv2d(nhwc(input), kernel, stride, pads)
        return nchw(found if bias is None else nn.bias_add(found, bias))

    def matmul(input: Any, other: Any) -> Any:
        if min(len(input.shape), len(other.shape)) < 2:
            raise Unsupported("tf.matmul takes matrices; a vector is no operand of it")
        return tf.matmul(input, other)

    def reducing(name: str) -> Any:
        function = getattr(tf, f"reduce_{name}")
        return lambda input, dim=None, keepdim=False: function(input, dim, keepdim)

    table = {**numpy_table(tf.math), **indexing(), **_shapes(tf)}
    for name, spelling in (("sum", "sum"), ("mean", "mean"), ("prod", "prod"), ("amax", "max"),
                           ("amin", "min"), ("logsumexp", "logsumexp"), ("all", "all"),
                           ("any", "any")):  # fmt: skip
        table[name] = reducing(spelling)
    table |= unary_table(nn, "relu relu6 elu selu gelu silu softplus softsign")
    table |= {
        "abs": lambda input: tf.abs(input),
        "pow": lambda input, exponent: tf.pow(input, exponent),
        "relu": lambda input: nn.relu(input),
        "softmax": lambda input, dim: nn.softmax(input, dim),
        "log_softmax": lambda input, dim: nn.log_softmax(input, dim),
        "cumsum": lambda input, dim: tf.cumsum(input, dim),
        "cumprod": lambda input, dim: tf.math.cumprod(input, dim),
        "logcumsumexp": lambda input, dim: tf.math.cumulative_logsumexp(input, dim),
        "xlogy": lambda input, other: tf.math.xlogy(input, other),
        "lgamma": lambda input: tf.math.lgamma(input),
        "digamma": lambda input: tf.math.digamma(input),
        "matmul": matmul,
        "mm": lambda input, other: tf.matmul(input, other),
        "bmm": lambda input, other: tf.matmul(input, other),
        "mv": lambda input, vec: tf.linalg.matvec(input, vec),
        "nn.functional.leaky_relu": lambda input, negative_slope=0.01:
            nn.leaky_relu(input, negative_slope),
        "nn.functional.gelu": lambda input, approximate="none":
            nn.gelu(input, approximate == "tanh"),
        "nn.functional.logsigmoid": lambda input: tf.math.log_sigmoid(input),
        "nn.functional.conv2d": conv2d,
        "nn.functional.max_pool2d": lambda input, kernel_size:
            nchw(nn.max_pool2d(nhwc(input), kernel_size, kernel_size, "VALID")),
    }  # fmt: skip
    return table


def _shapes(tf: Any) -> Table:
    """Return the operations on shapes, and those of linear algebra."""
    return {
        "reshape": lambda input, shape: tf.reshape(input, shape),
        "view": lambda input, size: tf.reshape(input, size),
        "t": lambda input: tf.transpose(input),
        "transpose": lambda input, dim0, dim1:
            tf.experimental.numpy.swapaxes(input, dim0, dim1),
        "permute": lambda input, dims: tf.transpose(input, dims),
        "unsqueeze": lambda input, dim: tf.expand_dims(input, dim),
        "squeeze": lambda input, dim=None: tf.squeeze(input, dim),
        "expand": lambda input, size: tf.broadcast_to(input, lengths(input, size)),
        "broadcast_to": lambda input, size: tf.broadcast_to(input, size),
        "cat": lambda *tensors, dim=0: tf.concat(list(tensors), dim),
        "stack": lambda *tensors, dim=0: tf.stack(list(tensors), dim),
        "unbind": lambda input, dim=0: tuple(tf.unstack(input, axis=dim)),
        "where": lambda condition, input, other: tf.where(condition, input, other),
        "clamp": lambda input, min, max: tf.clip_by_value(input, min, max),
        "flip": lambda input, dims: tf.reverse(input, dims),
        "roll": lambda input, shifts, dims: tf.roll(input, shifts, dims),
        "clone": lambda input: tf.identity(input),
        "diagonal": lambda input:
            tf.linalg.diag_part(tf.experimental.numpy.moveaxis(input, (0, 1), (-2, -1))),
        "trace": lambda input: tf.linalg.trace(input),
        "einsum": lambda *tensors, equation: tf.einsum(equation, *tensors),
        "linalg.inv": lambda input: tf.linalg.inv(input),
        "linalg.det": lambda input: tf.linalg.det(input),
        "linalg.solve": lambda input, other:
            tf.linalg.solve(input, right_side(input, other, vectors=False)),
        "linalg.vector_norm": lambda input, ord=2, dim=None, keepdim=False:
            tf.norm(input, ord, one_axis(input, dim), keepdim),
    }  # fmt: skip
