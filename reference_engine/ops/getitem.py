"""Reading and writing parts of a tensor by ``x[index]``, and whole tensors by copy_ and fill_.

Integers, slices, None and Ellipsis give views, made of select, slice and unsqueeze as in PyTorch.
Tensors, lists and arrays gather a copy.
"""

from __future__ import annotations

from operator import index as as_int
from typing import Any

import numpy as np

from reference_engine.backends.base import of_array
from reference_engine.backends.dtypes import Category
from reference_engine.dispatch import apply, operator
from reference_engine.modes import MODES
from reference_engine.ops.call import function_of, in_place_of
from reference_engine.ops.opdef import REGISTRY, composite, linear
from reference_engine.tensor import Tensor

# rows are laid out by hand
# fmt: off

linear("_index", lambda xp, x, *, index: x[index],
       transpose=lambda F, g, x_shape, index: F._index_sum(g, size=x_shape, index=index))
linear("_index_sum", lambda xp, g, *, size, index: xp.index_put(
           xp.zeros(size, dtype=g.dtype, device=g.device), index, g, True),
       transpose=lambda F, g, index: F._index(g, index=index))
linear("_index_put", lambda xp, x, values, *, index, accumulate=False: xp.index_put(
           x, index, xp.cast(values, xp.dtype_of(x)), accumulate), inplace=True,
       transpose_x=lambda F, g, index, accumulate: g if accumulate else F._index_put(
           g, F.zeros_like(F._index(g, index=index)), index=index),
       transpose_values=lambda F, g, index: F._index(g, index=index))
composite("index_put", lambda F, x, indices, values, accumulate=False: F._index_put(
    x, values, index=_places(x, indices), accumulate=accumulate))


# whole tensors ------------------------------------------------------------------------------------
def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Writes ``src``, broadcast and converted, into this tensor."""
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_ needs a Tensor, got {type(src).__name__}")
    raw, mine = src._raw, self._raw
    if raw.dtype != mine.dtype or raw.device != mine.device:
        src = src.to(self.device, self.dtype)
    return in_place_of(REGISTRY["copy"])(self, src)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Sets every element to one value, a number or a 0-d tensor."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"fill_ needs a number or a 0-d tensor, got shape {list(value.shape)}")
    _check_number(self, value)
    return in_place_of(REGISTRY["fill"])(self, value)


def _check_number(x: Tensor, value: Any) -> None:
    if isinstance(value, complex) and x.dtype.category < Category.COMPLEX:
        raise RuntimeError(f"{value} cannot be written into a tensor of {x.dtype}")


# parts --------------------------------------------------------------------------------------------
def index_put_(self: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """Writes ``values`` at ``indices``, one index tensor (or None) for each dimension."""
    put = in_place_of(REGISTRY["_index_put"])
    return put(self, values, index=_places(self, indices), accumulate=accumulate)


def getitem(self: Tensor, index: Any) -> Tensor:
    """``x[index]``. IndexError for an index that is out of range, of too many dimensions or no
    index.
    """
    parts = _parts(self, index)
    if _is_basic(parts):
        return _view(self, parts)
    if MODES.vmaps:
        from reference_engine.ops.batching import levels_of, lift

        self = lift(self, levels_of(parts))
    result: Tensor = function_of(REGISTRY["_index"])(self, index=tuple(parts))
    return result


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``: writes in place, with the refusals of in-place operations."""
    parts = _parts(self, index)
    if not _is_basic(parts):
        if isinstance(value, Tensor) and value.dtype is not self.dtype:
            raise RuntimeError(f"x[index] = value needs {self.dtype}, x's dtype, got {value.dtype}")
        _check_number(self, value)
        in_place_of(REGISTRY["_index_put"])(self, value, index=tuple(parts))
        return
    target = _view(self, parts)
    if not isinstance(value, Tensor):
        fill_(target, value)
        return
    shape = tuple(value.shape)
    while len(shape) > target.ndim and shape[0] == 1:  # leading ones do not count
        shape = shape[1:]
    copy_(target, value if len(shape) == value.ndim else value.reshape(shape))


def _is_basic(parts: list[Any]) -> bool:
    """Whether an index selects a view."""
    return all(part is None or type(part) in (int, slice) for part in parts)


def _parts(x: Tensor, index: Any) -> list[Any]:
    """The index as a list of parts, with the Ellipsis written out."""
    parts = [_part(x, part) for part in (index if isinstance(index, tuple) else (index,))]
    used = sum(map(_consumes, parts))
    if used > x.ndim:
        raise IndexError(f"{used} indices for a tensor of {x.ndim} dimensions")
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can hold one Ellipsis (...) only")
    for i in dots:
        parts[i : i + 1] = [slice(None)] * (x.ndim - used)
    return parts


def _consumes(part: Any) -> int:
    """How many dimensions of the tensor a part of an index stands for."""
    if type(part) in (int, slice):
        return 1
    if str(getattr(part, "dtype", "")).endswith("bool"):
        return int(part.ndim)
    return 0 if part is None or part is Ellipsis or isinstance(part, bool) else 1


def _view(x: Tensor, parts: list[Any]) -> Tensor:
    """The view that integers, slices and None select, one view op for each."""
    dim, result = 0, x
    for part in parts:
        if isinstance(part, int):
            result = _applied("select", result, dim=dim, index=part)
            continue
        if part is None:
            result = _applied("unsqueeze", result, dim=dim)
        elif part != slice(None):
            cut = {"start": part.start, "end": part.stop, "step": part.step or 1}
            result = _applied("slice", result, dim=dim, **cut)
        dim += 1
    # x[...] and x[:] are views too, never the tensor itself
    return result if result is not x else result.view(tuple(x.shape)) if x.ndim == 0 else x[0:]


def _applied(name: str, x: Tensor, **params: Any) -> Tensor:
    made: Tensor = apply(operator(REGISTRY[name]), (x,), params)
    return made


def _places(x: Tensor, indices: Any) -> tuple[Any, ...]:
    """One index tensor, or None for all, for each dimension, as arrays."""
    return tuple(slice(None) if i is None else _part(x, i) for i in indices)


def _part(x: Tensor, part: Any) -> Any:
    """A part of an index in numbers, or as an array of the backend's, copied: a later write must
    not change the gradient.
    """
    if type(part) is int:
        return part
    if isinstance(part, slice):
        given = (part.start, part.stop, part.step)
        start, stop, step = [None if n is None else as_int(n) for n in given]
        if step is not None and step < 1:
            raise ValueError(f"a slice needs a step of at least 1, got {step}; use flip")
        return slice(start, stop, step)
    if part is None or part is Ellipsis or isinstance(part, bool):
        return part
    if isinstance(part, (int, np.integer)):
        return int(part)
    if not isinstance(part, (Tensor, np.ndarray, list, tuple)):
        raise IndexError(f"an index is made of integers, slices, None, ..., tensors, got {part!r}")
    array = part._raw if isinstance(part, Tensor) else np.asarray(part)
    batched = isinstance(part, Tensor) and of_array(array).batched
    if not isinstance(part, Tensor) and array.size == 0:
        array = array.astype(np.int64)
    kind = str(array.dtype)
    if "int" not in kind and "bool" not in kind:
        raise IndexError(f"an index must be of integers or booleans, got dtype {kind}")
    if batched and "bool" in kind:
        raise RuntimeError(
            "vmap cannot index with a batched mask: how many elements it selects depends on its "
            "values; use where()")
    if isinstance(part, Tensor) and array.ndim == 0 and "int" in kind and not batched:
        return int(part.item())
    return of_array(array if batched else x._raw).asarray(array, device=str(x._raw.device))
