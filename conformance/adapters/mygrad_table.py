"""MyGrad's operations, by PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from conformance.adapters.numpy_names import Table, indexing, numpy_table


def _assign(target: Any, value: Any) -> None:
    target[...] = value


IN_PLACE: dict[str, Callable[..., Any]] = {
    "add": lambda target, other: target.__iadd__(other),
    "sub": lambda target, other: target.__isub__(other),
    "mul": lambda target, other: target.__imul__(other),
    "div": lambda target, other: target.__itruediv__(other),
    "pow": lambda target, exponent: target.__ipow__(exponent),
    "zero": lambda target: _assign(target, 0.0),
    "copy": _assign,
}
"""Python's augmented assignments, which the engine records, by canonical name."""


def mygrad_table(mg: Any) -> Table:
    """Return the operations of the module `mygrad`."""
    nn: Any = import_module("mygrad.nnet")
    table = {**numpy_table(mg), **indexing()}
    rows: Table = {
        "relu": lambda input: nn.relu(input),
        "sigmoid": lambda input: nn.sigmoid(input),
        "softmax": lambda input, dim: nn.softmax(input, dim),
        "log_softmax": lambda input, dim: nn.logsoftmax(input, dim),
        "clone": lambda input: input.copy(),
        "nn.functional.elu": lambda input, alpha=1.0: nn.elu(input, alpha),
        "nn.functional.selu": lambda input: nn.selu(input),
        "nn.functional.glu": lambda input, dim=-1: nn.glu(input, dim),
        "nn.functional.leaky_relu": lambda input, negative_slope=0.01:
            nn.leaky_relu(input, negative_slope),
        "nn.functional.hardtanh": lambda input, min_val=-1.0, max_val=1.0:
            nn.hard_tanh(input, lower_bound=min_val, upper_bound=max_val),
        "nn.functional.softsign": lambda input: nn.soft_sign(input),
        "nn.functional.cross_entropy": lambda input, target: nn.softmax_crossentropy(input, target),
        "nn.functional.conv2d": lambda input, weight, *, stride=1, padding=0:
            nn.conv_nd(input, weight, stride=stride, padding=padding),
        "nn.functional.max_pool2d": lambda input, kernel_size:
            nn.max_pool(input, _pair(kernel_size), _pair(kernel_size)),
        "linalg.vector_norm": lambda input, ord=2, dim=None, keepdim=False:
            mg.linalg.norm(input, ord, dim, keepdim),
    }  # fmt: skip
    return table | rows


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
