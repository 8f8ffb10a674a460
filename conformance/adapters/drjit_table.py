"""Dr.Jit's operations, by PyTorch's names."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from conformance.adapters.numpy_names import Table, unary_table


def drjit_table(dr: Any) -> Table:
    """Return the operations of the module `drjit`."""
    names = (
        "abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad erf erfinv exp exp2 floor"
        " lgamma log log2 rad2deg round rsqrt sign sin sinh sqrt square tan tanh trunc isnan isinf"
        " isfinite ravel"
    )
    table = unary_table(dr, names, "")
    table |= {name: _binary(getattr(operator, name)) for name in "lt le gt ge eq ne".split()}
    table |= {
        "add": lambda input, other: input + other,
        "sub": lambda input, other: input - other,
        "mul": lambda input, other: input * other,
        "div": lambda input, other: input / other,
        "pow": lambda input, exponent: input**exponent,
        "neg": lambda input: -input,
        "reciprocal": lambda input: dr.rcp(input),
        "maximum": lambda input, other: dr.maximum(input, other),
        "minimum": lambda input, other: dr.minimum(input, other),
        "atan2": lambda input, other: dr.atan2(input, other),
        "hypot": lambda input, other: dr.hypot(input, other),
        "copysign": lambda input, other: dr.copysign(input, other),
        "lerp": lambda input, end, weight: dr.lerp(input, end, weight),
        "clamp": lambda input, min, max: dr.clip(input, min, max),
        "where": lambda condition, input, other: dr.select(condition, input, other),
        "sum": lambda input, dim=None, keepdim=False:
            dr.sum(input, dim, keepdims=keepdim),
        "mean": lambda input, dim=None, keepdim=False:
            dr.mean(input, dim, keepdims=keepdim),
        "prod": lambda input, dim=None, keepdim=False:
            dr.prod(input, dim, keepdims=keepdim),
        "amax": lambda input, dim=None, keepdim=False:
            dr.max(input, dim, keepdims=keepdim),
        "amin": lambda input, dim=None, keepdim=False:
            dr.min(input, dim, keepdims=keepdim),
        "cumsum": lambda input, dim: dr.cumsum(input, dim),
        "matmul": lambda input, other: dr.matmul(input, other),
        "mm": lambda input, other: dr.matmul(input, other),
        "mv": lambda input, vec: dr.matmul(input, vec),
        "dot": lambda input, tensor: dr.matmul(input, tensor),
        "narrow": lambda input, dim, start, length:
            input[_at(input, dim, slice(start, start + length))],
        "select": lambda input, dim, index: input[_at(input, dim, index)],
        "unbind": lambda input, dim=0:
            tuple(input[_at(input, dim, i)] for i in range(input.shape[dim])),
        "reshape": lambda input, shape: dr.reshape(input, tuple(shape)),
        "view": lambda input, size: dr.reshape(input, tuple(size)),
        "flatten": lambda input: dr.reshape(input, (-1,)),
        "movedim": lambda input, source, destination: dr.moveaxis(input, source, destination),
        "unsqueeze": lambda input, dim: dr.expand_dims(input, dim),
        "squeeze": lambda input, dim=None: dr.squeeze(input, dim),
        "cat": lambda *tensors, dim=0: dr.concat(list(tensors), dim),
        "stack": lambda *tensors, dim=0: dr.stack(list(tensors), dim),
        "repeat": lambda input, repeats: dr.tile(input, tuple(repeats)),
        "tile": lambda input, dims: dr.tile(input, tuple(dims)),
        "clone": lambda input: dr.copy(input),
    }  # fmt: skip
    return table


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda input, other: function(input, other)


def _at(input: Any, dim: int, index: int | slice) -> tuple[Any, ...]:
    return (*(slice(None),) * (dim % input.ndim), index)
