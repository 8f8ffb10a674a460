"""Operations by PyTorch's names, over any namespace that has NumPy's.

Most engines copy NumPy's API. `numpy_table` spells each canonical operation in it, and leaves out
what the namespace does not have, so that an adapter writes down only what its engine spells in a
way of its own. No operation is composed of others here: a row is one function of the namespace, or
one indexing expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from conformance.errors import Unsupported

Function = Callable[..., Any]
Table = dict[str, Function]

_UNARY = (
    "abs:absolute,abs neg:negative,neg sin cos tan asin:arcsin,asin acos:arccos,acos"
    " atan:arctan,atan sinh cosh tanh asinh:arcsinh,asinh acosh:arccosh,acosh"
    " atanh:arctanh,atanh exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal sign"
    " floor ceil round trunc:trunc,fix positive relu deg2rad:deg2rad,radians"
    " rad2deg:rad2deg,degrees real imag conj:conj,conjugate angle sigmoid erf erfinv"
    " isnan:isnan,is_nan isinf:isinf,is_inf isfinite:isfinite,is_finite logical_not signbit"
    " t:transpose ravel zeros_like ones_like"
)
_BINARY = (
    "add sub:subtract,sub mul:multiply,mul div:true_divide,divide,div maximum minimum"
    " atan2:arctan2,atan2 hypot logaddexp logaddexp2 remainder:remainder,mod,floormod fmod"
    " floor_divide"
    " eq:equal,eq ne:not_equal,ne lt:less le:less_equal gt:greater ge:greater_equal"
    " logical_and logical_or logical_xor matmul mm:matmul mv:matmul bmm:matmul kron inner"
    " outer dot:dot,matmul"
)
_REDUCING = "sum mean prod amax:max,amax amin:min,amin all any logsumexp"
_SCANNING = "cumsum cumprod softmax log_softmax"


def numpy_table(space: Any, axis: str = "axis", keepdims: str = "keepdims") -> Table:
    """Return the rows that `space` has functions for; its keywords for dimensions are given."""
    table: Table = {}
    for name, function in _found(space, _UNARY):
        table[name] = _unary(function)
    for name, function in _found(space, _BINARY):
        table[name] = _binary(function)
    for name, function in _found(space, _REDUCING):
        table[name] = _reducing(function, axis, keepdims)
    for name, function in _found(space, _SCANNING):
        table[name] = _scanning(function, axis)
    rows = _rows(space)
    table.update({name: row for name, (needed, row) in rows.items() if hasattr(space, needed)})
    return table


def unary_table(space: Any, names: str, prefix: str = "nn.functional.") -> Table:
    """Return rows of one operand for functions that are named as PyTorch's are."""
    return {prefix + name: _unary(getattr(space, name)) for name in names.split()}


def indexing() -> Table:
    """Return the operations that are `x[...]` in every engine that can be indexed as NumPy can."""
    return {
        "narrow": lambda x, dim, start, length: x[_at(x, dim, slice(start, start + length))],
        "select": lambda x, dim, index: x[_at(x, dim, index)],
        "unbind": lambda x, dim=0: tuple(x[_at(x, dim, i)] for i in range(_length(x, dim))),
    }


def _at(x: Any, dim: int, index: int | slice) -> tuple[Any, ...]:
    # the ellipsis makes a view of what would be a number of NumPy's, a copy
    return (*(slice(None),) * (dim % x.ndim), index, ...)


def _length(x: Any, dim: int) -> int:
    """Return the length of an axis; a symbolic tensor's is known to its type."""
    length: int = getattr(x, "type", x).shape[dim] if hasattr(x, "owner") else x.shape[dim]
    return length


def _found(space: Any, words: str) -> list[tuple[str, Function]]:
    """Return the canonical names of `words` and the first of their spellings that exists."""
    found = []
    for word in words.split():
        name, _, spellings = word.partition(":")
        for spelling in (spellings or name).split(","):
            if callable(getattr(space, spelling, None)):
                found.append((name, getattr(space, spelling)))
                break
    return found


def _unary(function: Function) -> Function:
    return lambda input: function(input)


def _binary(function: Function) -> Function:
    return lambda input, other: function(input, other)


def _reducing(function: Function, axis: str, keepdims: str) -> Function:
    def reduce(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
        return function(input, **{axis: dim, keepdims: keepdim})

    return reduce


def _scanning(function: Function, axis: str) -> Function:
    return lambda input, dim: function(input, **{axis: dim})


def _rows(np: Any) -> dict[str, tuple[str, Function]]:
    """Return the operations with parameters, each with the function that it needs."""
    return {
        "pow": ("power", lambda input, exponent: np.power(input, exponent)),
        "reshape": ("reshape", lambda input, shape: np.reshape(input, shape)),
        "view": ("reshape", lambda input, size: np.reshape(input, size)),
        "flatten": ("ravel", lambda input: np.ravel(input)),
        "permute": ("transpose", lambda input, dims: np.transpose(input, dims)),
        "transpose": ("swapaxes", lambda input, dim0, dim1: np.swapaxes(input, dim0, dim1)),
        "movedim": ("moveaxis", lambda input, source, destination:
                    np.moveaxis(input, source, destination)),
        "unsqueeze": ("expand_dims", lambda input, dim: np.expand_dims(input, dim)),
        "squeeze": ("squeeze", lambda input, dim=None: np.squeeze(input, dim)),
        "expand": ("broadcast_to", lambda input, size:
                   np.broadcast_to(input, lengths(input, size))),
        "broadcast_to": ("broadcast_to", lambda input, size: np.broadcast_to(input, size)),
        "cat": ("concatenate", lambda *tensors, dim=0: np.concatenate(list(tensors), dim)),
        "stack": ("stack", lambda *tensors, dim=0: np.stack(list(tensors), dim)),
        "where": ("where", lambda condition, input, other: np.where(condition, input, other)),
        "clamp": ("clip", lambda input, min=None, max=None: np.clip(input, min, max)),
        "flip": ("flip", lambda input, dims: np.flip(input, dims)),
        "roll": ("roll", lambda input, shifts, dims=None: np.roll(input, shifts, dims)),
        "tile": ("tile", lambda input, dims: np.tile(input, dims)),
        "repeat": ("tile", lambda input, repeats: np.tile(input, repeats)),
        "var": ("var", lambda input, dim=None, correction=1, keepdim=False:
                np.var(input, axis=dim, ddof=correction, keepdims=keepdim)),
        "std": ("std", lambda input, dim=None, correction=1, keepdim=False:
                np.std(input, axis=dim, ddof=correction, keepdims=keepdim)),
        "tril": ("tril", lambda input, diagonal=0: np.tril(input, diagonal)),
        "triu": ("triu", lambda input, diagonal=0: np.triu(input, diagonal)),
        "trace": ("trace", lambda input: np.trace(input)),
        "diagonal": ("diagonal", lambda input, offset=0, dim1=0, dim2=1:
                     np.diagonal(input, offset, dim1, dim2)),
        "diag": ("diag", lambda input, diagonal=0: np.diag(input, diagonal)),
        "einsum": ("einsum", lambda *tensors, equation: np.einsum(equation, *tensors)),
        "gather": ("take_along_axis", lambda input, index, dim:
                   np.take_along_axis(input, index, dim)),
        "index_select": ("take", lambda input, index, dim: np.take(input, index, dim)),
        "argmax": ("argmax", lambda input, dim=None: np.argmax(input, dim)),
        "argmin": ("argmin", lambda input, dim=None: np.argmin(input, dim)),
        "argsort": ("argsort", lambda input, dim=-1: np.argsort(input, dim)),
        "msort": ("sort", lambda input: np.sort(input, 0)),
    }  # fmt: skip


def one_axis(x: Any, dim: Any) -> int:
    """Return the axis of a vector norm; over several, NumPy's `norm` is that of a matrix."""
    axes = range(x.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    if len(axes) != 1:
        raise Unsupported("the norm of several axes is a matrix norm (numpy.linalg.norm)")
    return int(axes[0])


def lengths(x: Any, size: Sequence[int]) -> tuple[int, ...]:
    """Return a size in which -1 stands for the length that the tensor has there already."""
    missing = len(size) - x.ndim
    return tuple(x.shape[i - missing] if n == -1 else n for i, n in enumerate(size))


def images(x: Any) -> Any:
    """Return images that come in batches with channels, as convolutions of most engines do."""
    if x.ndim != 4:
        raise Unsupported("images have four axes: batch, channels, height and width")
    return x


def right_side(a: Any, b: Any, vectors: bool = True) -> Any:
    """Return the right side of equations: a matrix for each, or one vector where those are taken.

    PyTorch takes one with an axis less than the matrices for a batch of vectors, NumPy does not
    (numpy.linalg.solve).
    """
    if b.ndim < a.ndim and not (vectors and b.ndim == 1):
        raise Unsupported("right sides have as many axes as the matrices (numpy.linalg.solve)")
    return b
