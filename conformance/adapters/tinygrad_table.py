"""tinygrad's operations, by PyTorch's names."""

from __future__ import annotations

from typing import Any

from conformance.adapters.numpy_names import Table, indexing, numpy_table, unary_table

_FUNCTIONAL = (
    "relu relu6 elu celu selu gelu silu softplus softsign hardtanh hardsigmoid hardswish mish"
    " leaky_relu logsigmoid"
)

_SELU = (1.6732632423543772, 1.0507009873554805)
"""PyTorch's alpha and gamma: tinygrad's defaults have six digits."""


def tinygrad_table(tensor: Any) -> Table:
    """Return the operations of the class `tinygrad.Tensor`."""
    table = numpy_table(tensor, keepdims="keepdim") | indexing()
    table |= unary_table(tensor, _FUNCTIONAL)
    table |= {
        name: _comparing(table[name]) for name in "eq ne lt le gt ge".split() if name in table
    }
    table |= {
        "pow": lambda input, exponent: input.pow(exponent),
        "t": lambda input: input.transpose() if len(input.shape) == 2 else input,
        "transpose": lambda input, dim0, dim1: input.transpose(dim0, dim1),
        "permute": lambda input, dims: input.permute(dims),
        "unsqueeze": lambda input, dim: input.unsqueeze(dim),
        "squeeze": _squeezed,
        "diag": lambda input: input.diag() if len(input.shape) == 1 else input.diagonal(),
        "msort": lambda input: input.sort(0)[0],
        "expand": lambda input, size: input.expand(size),
        "broadcast_to": lambda input, size: input.expand(size),
        "view": lambda input, size: input.view(size),
        "flatten": lambda input: input.flatten(),
        "repeat": lambda input, repeats: input.repeat(repeats),
        "unflatten": lambda input, dim, sizes: input.unflatten(dim, sizes),
        "cat": lambda *tensors, dim=0: tensors[0].cat(*tensors[1:], dim=dim),
        "stack": lambda *tensors, dim=0: tensors[0].stack(*tensors[1:], dim=dim),
        "clone": lambda input: input.clone(),
        "where": lambda condition, input, other: condition.where(input, other),
        "masked_fill": lambda input, mask, value: input.masked_fill(mask, value),
        "lerp": lambda input, end, weight: input.lerp(end, weight),
        "std": lambda input, dim=None, correction=1, keepdim=False:
            input.std(dim, keepdim, correction),
        "var": lambda input, dim=None, correction=1, keepdim=False:
            input.var(dim, keepdim, correction),
        "logcumsumexp": lambda input, dim: input.logcumsumexp(dim),
        "nn.functional.selu": lambda input: input.selu(*_SELU),
        "nn.functional.leaky_relu": lambda input, negative_slope=0.01:
            input.leaky_relu(negative_slope),
        "nn.functional.linear": lambda input, weight, bias=None: input.linear(weight.T, bias),
        "nn.functional.conv2d": lambda input, weight, bias=None, stride=1, padding=0:
            input.conv2d(weight, bias, stride=stride, padding=padding),
        "nn.functional.conv_transpose2d": lambda input, weight, bias=None, stride=1, padding=0:
            input.conv_transpose2d(weight, bias, stride=stride, padding=padding),
        "nn.functional.max_pool2d": lambda input, kernel_size: input.max_pool2d(kernel_size),
        "nn.functional.avg_pool2d": lambda input, kernel_size: input.avg_pool2d(kernel_size),
        "nn.functional.binary_cross_entropy_with_logits": lambda input, target:
            input.binary_crossentropy_logits(target),
        "nn.functional.interpolate": lambda input, scale_factor, mode: input.interpolate(
            tuple(int(n * scale_factor) for n in input.shape[2:]), mode=mode),
    }  # fmt: skip
    return table


def _squeezed(input: Any, dim: int | tuple[int, ...] | None = None) -> Any:
    """Take away one axis after the other, the last one first: tinygrad knows one at a time."""
    if dim is None or isinstance(dim, int):
        return input.squeeze(dim)
    for axis in sorted((d % max(len(input.shape), 1) for d in dim), reverse=True):
        input = input.squeeze(axis)
    return input


def _comparing(function: Any) -> Any:
    """Compare what is stored: kernels of the Python device have more digits than their dtype."""
    return lambda input, other: function(_stored(input), _stored(other))


def _stored(tensor: Any) -> Any:
    return tensor.contiguous().realize() if hasattr(tensor, "contiguous") else tensor
