"""DeZero's operations, by PyTorch's names."""

from __future__ import annotations

from typing import Any

from conformance.adapters.numpy_names import Table, indexing, lengths, unary_table
from conformance.errors import Unsupported


def dezero_table(F: Any) -> Table:  # noqa: N803  (as DeZero's own code calls it)
    """Return the operations of the module `dezero.functions`."""
    return {
        **indexing(),
        **unary_table(F, "sin cos tanh exp log sigmoid relu", ""),
        "add": lambda input, other: input + other,
        "sub": lambda input, other: input - other,
        "mul": lambda input, other: input * other,
        "div": lambda input, other: input / other,
        "pow": lambda input, exponent: input ** _number(exponent),
        "neg": lambda input: -input,
        "softmax": lambda input, dim: F.softmax(input, dim),
        "log_softmax": lambda input, dim: F.log_softmax(_array(input), dim),
        "sum": lambda input, dim=None, keepdim=False: F.sum(input, dim, keepdim),
        "amax": lambda input, dim=None, keepdim=False: F.max(input, dim, keepdim),
        "amin": lambda input, dim=None, keepdim=False: F.min(input, dim, keepdim),
        "clamp": lambda input, min, max: F.clip(input, _number(min), _number(max)),
        "matmul": lambda input, other: F.matmul(input, other),
        "mm": lambda input, other: F.matmul(input, other),
        "reshape": lambda input, shape: F.reshape(input, shape),
        "view": lambda input, size: F.reshape(input, size),
        "permute": lambda input, dims: F.transpose(input, dims),
        "t": lambda input: F.transpose(input),
        "expand": lambda input, size: F.broadcast_to(input, lengths(input, size)),
        "broadcast_to": lambda input, size: F.broadcast_to(input, tuple(size)),
        "unsqueeze": lambda input, dim: F.expand_dims(input, dim % (input.ndim + 1)),
        "flatten": lambda input: F.reshape(input, (input.size,)),
        "nn.functional.linear": lambda input, weight, bias=None: F.linear(input, weight.T, bias),
        "nn.functional.leaky_relu": lambda input, negative_slope=0.01:
            F.leaky_relu(input, negative_slope),
    }  # fmt: skip


def _number(constant: Any) -> Any:
    if hasattr(constant, "creator"):
        raise Unsupported("dezero: powers and bounds are numbers (core.Pow, functions.Clip)")
    return constant


def _array(x: Any) -> Any:
    if not x.ndim:
        raise Unsupported("dezero: log_softmax is along an axis of the variable")
    return x
