"""Chainer's operations, by PyTorch's names, and what it documents otherwise than PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from conformance.adapters.numpy_names import Table, indexing, lengths, numpy_table, unary_table
from conformance.errors import Unsupported

CONVENTIONS: Mapping[str, str] = {
    "refuses_mixed_dtypes": "a function checks that the types of its arguments agree"
    " (Define your own function, Type checking)",
    "untracked_roots": "backward of a variable that no function made has no effect, and"
    " one that requires no gradient is given none (no_backprop_mode; Variable, requires_grad)",
    "none_for_unused": "where no gradient passes a function gives None (FunctionNode.backward)",
    "untracked_inputs": "the flag says whether backward sets a gradient; chainer.grad sets"
    " none, and is not told by it (Variable, requires_grad)",
    "seeds_in_grad": "the initial error is the gradient that the variable has, and 1.0 where"
    " it is a scalar that has none (Variable.backward)",
    "fills_ones": "where a gradient of an output is None an array filled with 1 is used"
    " (chainer.grad)",
    "no_default_seed": "chainer.backward does not set a default gradient (its warning)",
    "requires_by_default": "a variable requires gradients unless its constructor is told"
    " otherwise; one made without backprop holds no function (Variable, no_backprop_mode)",
    "keeps_variables": "what is created without backprop holds no function; reshape to the same"
    " shape creates nothing, and returns the variable itself (no_backprop_mode)",
    "scalars_have_no_axes": "an axis is one that the array has (type checks of"
    " chainer.functions.cumsum and softmax: x.ndim > 0)",
    "own_node_names": "nodes are labelled by their functions, such as '_ + _' (Variable.label)",
}
"""What it documents otherwise than PyTorch."""


def chainer_table(F: Any) -> Table:  # noqa: N803  (as Chainer's own documentation calls it)
    """Return the operations of the module `chainer.functions`."""
    table = {**numpy_table(F), **indexing()}
    table |= unary_table(F, "relu relu6 selu softplus")
    rows: Table = {
        "add": lambda input, other: input + other,
        "sub": lambda input, other: input - other,
        "mul": lambda input, other: input * other,
        "div": lambda input, other: input / other,
        "pow": lambda input, exponent: input**exponent,
        "neg": lambda input: -input,
        "floor_divide": lambda input, other: input // other,
        "relu": lambda input: F.relu(input),
        "flip": lambda input, dims: F.flip(input, _only(dims)),
        "lgamma": lambda input: F.lgamma(input),
        "digamma": lambda input: F.digamma(input),
        "erfc": lambda input: F.erfc(input),
        "clone": lambda input: F.copy(input, -1),
        "flatten": lambda input: F.flatten(input),
        "ravel": lambda input: F.flatten(input),
        "permute": lambda input, dims: F.transpose(input, dims),
        "t": lambda input: F.transpose(input),
        "movedim": lambda input, source, destination: F.moveaxis(input, source, destination),
        "expand": lambda input, size: F.broadcast_to(input, lengths(input, size)),
        "cat": lambda *tensors, dim=0: F.concat(tensors, dim),
        "stack": lambda *tensors, dim=0: F.stack(tensors, dim),
        "clamp": lambda input, min, max: F.clip(input, _bound(min), _bound(max)),
        "repeat": lambda input, repeats: F.tile(input, repeats),
        "split": lambda input, split_size_or_sections, dim=0:
            F.split_axis(input, _edges(split_size_or_sections, input.shape[dim]), dim),
        "unbind": lambda input, dim=0: tuple(F.separate(input, dim)),
        "logsumexp": lambda input, dim: F.logsumexp(input, dim),
        "softmax": lambda input, dim: F.softmax(input, dim),
        "log_softmax": lambda input, dim: F.log_softmax(input, dim),
        "diagonal": lambda input, offset=0, dim1=0, dim2=1: F.diagonal(input, offset, dim1, dim2),
        "einsum": lambda *tensors, equation: F.einsum(equation, *tensors),
        "linalg.inv": lambda input: (F.inv if input.ndim == 2 else F.batch_inv)(input),
        "linalg.det": lambda input: (F.det if input.ndim == 2 else F.batch_det)(input),
        "linalg.cholesky": lambda input: F.cholesky(_axes(input, 2)),
        "nn.functional.linear": lambda input, weight, bias=None:
            F.linear(_axes(input, 2, 3, 4), _axes(weight, 2), bias, n_batch_axes=input.ndim - 1),
        "nn.functional.leaky_relu": lambda input, negative_slope=0.01:
            F.leaky_relu(input, negative_slope),
        "nn.functional.elu": lambda input, alpha=1.0: F.elu(input, alpha),
        "nn.functional.conv2d": lambda input, weight, bias=None, stride=1, padding=0:
            F.convolution_2d(input, weight, bias, stride, padding),
        "nn.functional.conv_transpose2d": lambda input, weight, bias=None, stride=1, padding=0:
            F.deconvolution_2d(input, weight, bias, stride, padding),
        "nn.functional.max_pool2d": lambda input, kernel_size:
            F.max_pooling_2d(_axes(input, 4), kernel_size, cover_all=False),
        "nn.functional.avg_pool2d": lambda input, kernel_size:
            F.average_pooling_2d(_axes(input, 4), kernel_size),
        "nn.functional.mse_loss": lambda input, target: F.mean_squared_error(input, target),
        "nn.functional.l1_loss": lambda input, target: F.mean_absolute_error(input, target),
        "nn.functional.cross_entropy": lambda input, target:
            F.softmax_cross_entropy(input, target),
        "nn.functional.huber_loss": lambda input, target, delta=1.0:
            F.sum(F.huber_loss(input, target, delta, "no")) / input.size,
    }  # fmt: skip
    return table | rows


def _axes(x: Any, *numbers: int) -> Any:
    if x.ndim not in numbers:
        raise Unsupported(f"chainer documents {numbers[0]} axes or more for the operand")
    return x


def _bound(limit: Any) -> Any:
    if hasattr(limit, "array"):
        raise Unsupported("chainer documents numbers as limits (chainer.functions.clip)")
    return limit


def _only(dims: Sequence[int]) -> int:
    if len(dims) != 1:
        raise Unsupported("chainer.functions.flip takes one axis")
    return dims[0]


def _edges(sizes: int | Sequence[int], length: int) -> list[int]:
    """Return where parts of these sizes (or of this one) begin, without the first."""
    return list(range(sizes, length, sizes) if isinstance(sizes, int) else accumulate(sizes[:-1]))
