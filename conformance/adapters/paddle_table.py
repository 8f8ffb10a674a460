"""PaddlePaddle's operations, by PyTorch's names."""

from __future__ import annotations

from typing import Any

from conformance.adapters.numpy_names import Table
from conformance.errors import Unsupported

_NAMES = (
    "abs acos acosh asin asinh atan atan2 atanh ceil cos cosh deg2rad digamma erf erfinv exp expm1"
    " floor frac lgamma log log10 log1p log2 logit neg rad2deg reciprocal round rsqrt sigmoid sign"
    " sin sinh sqrt square tan tanh trunc positive angle conj real imag isnan isinf isfinite"
    " add sub mul div maximum minimum fmax fmin hypot logaddexp remainder floor_divide eq ne lt le"
    " gt ge logical_and logical_or logical_xor logical_not matmul mm mv bmm dot inner outer kron"
    " sum mean prod amax amin var std logsumexp cumsum cumprod all any softmax clone reshape"
    " transpose permute movedim unsqueeze squeeze expand broadcast_to narrow unbind flatten ravel"
    " t flip roll tile diagonal diag diag_embed tril triu trace where gather index_select"
    " masked_fill lerp addmm clamp pow copysign heaviside nan_to_num cross msort argsort"
    " unflatten chunk split take_along_dim logcumsumexp"
)
_FUNCTIONAL = (
    "relu relu6 elu celu selu gelu silu softplus softsign softshrink hardshrink tanhshrink hardtanh"
    " hardsigmoid hardswish leaky_relu mish glu prelu conv2d max_pool2d avg_pool2d mse_loss l1_loss"
    " smooth_l1_loss binary_cross_entropy binary_cross_entropy_with_logits nll_loss"
    " kl_div interpolate log_softmax layer_norm pad"
)


def paddle_table(paddle: Any) -> Table:
    """Return the operations of the module `paddle`, which takes PyTorch's keywords too."""
    functional = paddle.nn.functional
    table = {name: getattr(paddle, name) for name in _NAMES.split() if hasattr(paddle, name)}
    table |= {f"nn.functional.{name}": getattr(functional, name) for name in _FUNCTIONAL.split()}
    table |= {
        "add": lambda input, other: input + other,
        "sub": lambda input, other: input - other,
        "mul": lambda input, other: input * other,
        "div": lambda input, other: input / other,
        "pow": lambda input, exponent: paddle.pow(input, exponent),
        "relu": lambda input: functional.relu(input),
        "log_softmax": lambda input, dim: functional.log_softmax(input, dim),
        "view": lambda input, size: paddle.view(input, list(size)),
        "select": lambda input, dim, index: input[(slice(None),) * (dim % input.ndim) + (index,)],
        "cat": lambda *tensors, dim=0: paddle.concat(list(tensors), dim),
        "stack": lambda *tensors, dim=0: paddle.stack(list(tensors), dim),
        "nn.functional.cross_entropy": lambda input, target, weight=None, ignore_index=-100,
            reduction="mean", label_smoothing=0.0:
            functional.cross_entropy(
                input, target, weight, ignore_index, reduction, target.is_floating_point(),
                min(1, input.ndim - 1), label_smoothing=label_smoothing),
        "clamp": lambda input, min=None, max=None:
            paddle.clip(input, _bound(min), _bound(max)),
        "einsum": lambda *tensors, equation: paddle.einsum(equation, *tensors),
        "movedim": lambda input, source, destination: paddle.moveaxis(input, source, destination),
        "nn.functional.linear": lambda input, weight, bias=None:
            functional.linear(input, paddle.t(weight), bias),
        "nn.functional.conv_transpose2d": lambda input, weight, bias=None, stride=1, padding=0:
            functional.conv2d_transpose(input, weight, bias, stride, padding),
        "linalg.inv": lambda input: paddle.linalg.inv(input),
        "linalg.det": lambda input: paddle.linalg.det(input),
        "linalg.solve": lambda input, other: paddle.linalg.solve(input, other),
        "real": lambda input: paddle.real(_complex(input)),
        "imag": lambda input: paddle.imag(_complex(input)),
        "nn.functional.avg_pool2d": lambda input, kernel_size:
            functional.avg_pool2d(_batch(input), kernel_size),
        "nn.functional.max_pool2d": lambda input, kernel_size:
            functional.max_pool2d(_batch(input), kernel_size),
        "linalg.vector_norm": lambda input, ord=2, dim=None, keepdim=False:
            paddle.linalg.vector_norm(_real(input), ord, dim, keepdim),
    }  # fmt: skip
    return table


LOSSES = frozenset(
    f"nn.functional.{name}" for name in
    "binary_cross_entropy binary_cross_entropy_with_logits cross_entropy kl_div".split()
)  # fmt: skip
"""Losses without a gradient for their labels."""


def _bound(bound: Any) -> Any:
    """Return a bound of clip: a number, or a tensor without axes."""
    if getattr(bound, "ndim", 0):
        raise Unsupported("paddle: min and max of clip are numbers or 0-D tensors (paddle.clip)")
    return bound


def _batch(images: Any) -> Any:
    if images.ndim != 4:
        raise Unsupported("paddle: x is a 4-D tensor (paddle.nn.functional.avg_pool2d)")
    return images


def _complex(tensor: Any) -> Any:
    if not tensor.is_complex():
        raise Unsupported("paddle: x is of complex64 or complex128 (paddle.real)")
    return tensor


def _real(tensor: Any) -> Any:
    if tensor.is_complex():
        raise Unsupported("paddle: x is of float32 or float64 (paddle.linalg.vector_norm)")
    return tensor
