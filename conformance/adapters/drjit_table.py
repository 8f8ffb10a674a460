"""Dr.Jit's operations, by PyTorch's names, and what it documents otherwise than PyTorch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from conformance.adapters.numpy_names import Table, unary_table

CONVENTIONS: Mapping[str, str] = {
    "clears_edges": "backward clears the edges that it visits, and a later one goes no"
    " further there (drjit.ADFlag.Default)",
    "ignores_enabling": "tracking cannot be enabled in suspend_grad, nor for what has no"
    " derivative: it is ignored there (drjit.suspend_grad, drjit.enable_grad)",
    "suspends_backward": "in suspend_grad no array is tracked, and backward raises for what is"
    " not tracked (drjit.suspend_grad, drjit.backward_from)",
    "scalars_have_no_axes": "an axis is one that the tensor has (drjit.cumsum: out of bounds)",
    "scalars_widen": "the wider of two types is that of the result, whatever the shapes"
    " (drjit.expr_t)",
    "keeps_variables": "what is newly created in suspend_grad is detached; reshape and ravel that"
    " move nothing create nothing, and return the variable itself (drjit.suspend_grad)",
    "approximates": "erfinv is a published approximation by polynomials (drjit.erfinv)",
    "disables_anywhere": "tracking is disabled on any array (drjit.set_grad_enabled)",
    "seeds_in_grad": "backward starts from the gradient of its array, which is set first: that"
    " of a leaf is its own (drjit.backward_from)",
    "zeros_for_none": "the gradient of what has none is 0 (drjit.grad)",
    "zeros_for_unused": "the gradient of what has none is 0 (drjit.grad)",
    "implicit_cotangent": "the initial gradient is 1 where none was set (drjit.backward_from)",
    "broadcasts_cotangent": "a gradient is broadcast where it is set (drjit.set_grad)",
}
"""What it documents otherwise than PyTorch."""
TYPES: Mapping[str, str] = {
    "float64": "TensorXf64", "float32": "TensorXf", "float16": "TensorXf16",
    "int64": "TensorXi64", "int32": "TensorXi", "bool": "TensorXb",
}  # fmt: skip
"""Its classes of tensors by the names of their dtypes."""


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
