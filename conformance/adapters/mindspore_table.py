"""MindSpore's operations, by PyTorch's names."""

from __future__ import annotations

from typing import Any

from conformance.adapters.numpy_names import Table, indexing, lengths, unary_table

_UNARY = (
    "abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2"
    " expm1 floor frac lgamma log log10 log1p log2 logit neg rad2deg reciprocal round rsqrt sigmoid"
    " sign sin sinc sinh sqrt square tan tanh trunc positive isnan isinf isfinite logical_not ravel"
    " t trace relu"
)
_BINARY = (
    "add sub mul div maximum minimum fmax hypot logaddexp remainder fmod floor_divide atan2 eq ne"
    " lt le gt ge logical_and logical_or logical_xor copysign xlogy matmul mm mv bmm dot outer kron"
    " inner"
)
_ACTIVATIONS = (
    "relu relu6 elu celu selu gelu silu softplus softsign softshrink hardshrink tanhshrink hardtanh"
    " hardsigmoid hardswish mish glu logsigmoid"
)


def mindspore_table(ops: Any) -> Table:
    """Return the operations of the module `mindspore.ops`."""
    table = indexing() | unary_table(ops, _UNARY, "") | unary_table(ops, _ACTIVATIONS)
    table |= {name: _binary(getattr(ops, name)) for name in _BINARY.split() if hasattr(ops, name)}
    table |= {
        "pow": lambda input, exponent: ops.pow(input, exponent),
        "clone": lambda input: input.copy(),
        "sum": lambda input, dim=None, keepdim=False: ops.sum(input, dim, keepdim),
        "mean": lambda input, dim=None, keepdim=False: ops.mean(input, dim, keepdim),
        "prod": lambda input, dim=None, keepdim=False: ops.prod(input, dim, keepdim),
        "amax": lambda input, dim=None, keepdim=False: ops.amax(input, dim, keepdim),
        "amin": lambda input, dim=None, keepdim=False: ops.amin(input, dim, keepdim),
        "var": lambda input, dim=None, correction=1, keepdim=False:
            ops.var(input, dim, correction, keepdim),
        "std": lambda input, dim=None, correction=1, keepdim=False:
            ops.std(input, dim, correction, keepdim),
        "all": lambda input, dim=None, keepdim=False: ops.all(input, dim, keepdim),
        "any": lambda input, dim=None, keepdim=False: ops.any(input, dim, keepdim),
        "logsumexp": lambda input, dim, keepdim=False: ops.logsumexp(input, dim, keepdim),
        "cumsum": lambda input, dim: ops.cumsum(input, dim),
        "cumprod": lambda input, dim: ops.cumprod(input, dim),
        "softmax": lambda input, dim: ops.softmax(input, dim),
        "log_softmax": lambda input, dim: ops.log_softmax(input, dim),
        "reshape": lambda input, shape: ops.reshape(input, tuple(shape)),
        "view": lambda input, size: ops.reshape(input, tuple(size)),
        "flatten": lambda input, start_dim=0: ops.flatten(input, start_dim=start_dim),
        "permute": lambda input, dims: ops.permute(input, tuple(dims)),
        "transpose": lambda input, dim0, dim1: ops.swapaxes(input, dim0, dim1),
        "movedim": lambda input, source, destination: ops.movedim(input, source, destination),
        "unsqueeze": lambda input, dim: ops.unsqueeze(input, dim),
        "squeeze": lambda input, dim=None: ops.squeeze(input, dim),
        "expand": lambda input, size: ops.broadcast_to(input, lengths(input, size)),
        "broadcast_to": lambda input, size: ops.broadcast_to(input, tuple(size)),
        "cat": lambda *tensors, dim=0: ops.cat(tensors, dim),
        "stack": lambda *tensors, dim=0: ops.stack(tensors, dim),
        "split": lambda input, split_size_or_sections, dim=0:
            ops.split(input, split_size_or_sections, dim),
        "where": lambda condition, input, other: ops.where(condition, input, other),
        "clamp": lambda input, min=None, max=None: ops.clamp(input, min, max),
        "flip": lambda input, dims: ops.flip(input, tuple(dims)),
        "roll": lambda input, shifts, dims=None: ops.roll(input, shifts, dims),
        "tile": lambda input, dims: ops.tile(input, tuple(dims)),
        "repeat": lambda input, repeats: ops.tile(input, tuple(repeats)),
        "tril": lambda input, diagonal=0: ops.tril(input, diagonal),
        "triu": lambda input, diagonal=0: ops.triu(input, diagonal),
        "diagonal": lambda input, offset=0, dim1=0, dim2=1: ops.diagonal(input, offset, dim1, dim2),
        "diag": lambda input: ops.diag(input),
        "einsum": lambda *tensors, equation: ops.einsum(equation, *tensors),
        "gather": lambda input, index, dim: ops.gather_elements(input, dim, index),
        "index_select": lambda input, index, dim: ops.index_select(input, dim, index),
        "masked_fill": lambda input, mask, value: ops.masked_fill(input, mask, value),
        "lerp": lambda input, end, weight: ops.lerp(input, end, weight),
        "addmm": lambda input, mat1, mat2, beta=1, alpha=1:
            ops.addmm(input, mat1, mat2, beta=beta, alpha=alpha),
        "argmax": lambda input, dim=None: ops.argmax(input, dim),
        "linalg.inv": lambda input: ops.inverse(input),
        "linalg.det": lambda input: ops.det(input),
    }  # fmt: skip
    return table | _networks(ops)


def _networks(ops: Any) -> Table:
    return {
        "nn.functional.leaky_relu": lambda input, negative_slope=0.01:
            ops.leaky_relu(input, negative_slope),
        "nn.functional.prelu": lambda input, weight: ops.prelu(input, weight),
        "nn.functional.mse_loss": lambda input, target: ops.mse_loss(input, target),
        "nn.functional.l1_loss": lambda input, target: ops.l1_loss(input, target),
        "nn.functional.conv2d": lambda input, weight, bias=None, stride=1, padding=0:
            ops.conv2d(input, weight, bias, stride, "pad", padding),
        "nn.functional.layer_norm": lambda input, normalized_shape, weight, bias, eps=1e-5:
            ops.layer_norm(input, tuple(normalized_shape), weight, bias, eps),
    }  # fmt: skip


def _binary(function: Any) -> Any:
    return lambda input, other: function(input, other)
