"""Reading and writing parts of a tensor by ``x[index]``.

Integers, slices, None and Ellipsis give views, made of select, slice and unsqueeze as in PyTorch.
Tensors, lists and arrays gather a copy.
"""

from __future__ import annotations

from operator import index as as_int
from typing import Any

import numpy as np

from reference_engine.backends.base import of_array
from reference_engine.backends.dtypes import Category
from reference_engine.modes import MODES
from reference_engine.ops.call import function_of, in_place_of
from reference_engine.ops.memory import copy_, fill_
from reference_engine.ops.opdef import REGISTRY, composite, linear
from reference_engine.tensor import Tensor

linear(
    "_index",
    lambda xp, x, *, index: x[index],
    transpose=lambda F, g, x_shape, index: F._index_sum(g, size=x_shape, index=index),
    node="IndexBackward0",
)
linear(
    "_index_sum",
    lambda xp, g, *, size, index: xp.index_put(
        xp.zeros(size, dtype=g.dtype, device=g.device), index, g, True
    ),
    transpose=lambda F, g, index: F._index(g, index=index),
)
linear(
    "_index_put",
    lambda xp, x, values, *, index, accumulate=False: xp.index_put(
        x, index, xp.cast(values, xp.dtype_of(x)), accumulate
    ),
    transpose_x=lambda F, g, index, accumulate: (
        g if accumulate else F._index_put(g, F.zeros_like(F._index(g, index=index)), index=index)
    ),
    transpose_values=lambda F, g, index: F._index(g, index=index),
    inplace=True,
    node="IndexPutBackward0",
)


def _put(F: Any, x: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """A copy of x with ``values`` at ``indices``, one index tensor (or None) for each dimension."""
    index = _raw_index(x, [slice(None) if i is None else i for i in indices])
    return F._index_put(x, values, index=index, accumulate=accumulate)


composite("index_put", _put)


def index_put_(self: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """Writes ``values`` at ``indices``, one index tensor (or None) for each dimension."""
    index = _raw_index(self, [slice(None) if i is None else i for i in indices])
    put = in_place_of(REGISTRY["_index_put"])
    written: Tensor = put(self, values, index=index, accumulate=accumulate)
    return written


_BASIC = (int, slice, type(None), type(Ellipsis), np.integer)


def getitem(self: Tensor, index: Any) -> Tensor:
    """``x[index]``. IndexError for an index that is out of range, of too many dimensions or no
    index.
    """
    parts = _parts(self, index)
    if all(map(_is_basic, parts)):
        return _view(self, parts)
    index = _raw_index(self, parts)
    if MODES.vmaps:
        from reference_engine.ops.batching import levels_of, lift

        self = lift(self, levels_of(index))
    result: Tensor = function_of(REGISTRY["_index"])(self, index=index)
    return result


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``: writes in place, with the refusals of in-place operations."""
    parts = _parts(self, index)
    if all(map(_is_basic, parts)):
        target = _view(self, parts)
        if isinstance(value, Tensor):
            copy_(target, _without_leading_ones(value, target.ndim))
        else:
            fill_(target, value)
        return
    if isinstance(value, Tensor) and value.dtype is not self.dtype:
        raise RuntimeError(f"x[index] = value needs {self.dtype}, x's dtype, got {value.dtype}")
    put = in_place_of(REGISTRY["_index_put"])
    put(self, value, index=_raw_index(self, parts))


def _is_basic(part: Any) -> bool:
    """Whether a part of an index selects a view."""
    if isinstance(part, Tensor):
        basic = part.ndim == 0 and part.dtype.category is Category.INTEGER
        return basic and not of_array(part._raw).batched
    return isinstance(part, _BASIC) and not isinstance(part, bool)


def _parts(x: Tensor, index: Any) -> list[Any]:
    """The index as a list of parts, with the Ellipsis written out."""
    parts = list(index) if isinstance(index, tuple) else [index]
    used = sum(_consumes(part) for part in parts)
    if used > x.ndim:
        raise IndexError(f"{used} indices for a tensor of {x.ndim} dimensions")
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can hold one Ellipsis (...) only")
    if dots:
        parts[dots[0] : dots[0] + 1] = [slice(None)] * (x.ndim - used)
    return parts


def _consumes(part: Any) -> int:
    """How many dimensions of the tensor a part of an index stands for."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    if isinstance(part, (Tensor, np.ndarray)) and str(part.dtype).endswith("bool"):
        return int(part.ndim)
    return 1


def _view(x: Tensor, parts: list[Any]) -> Tensor:
    """The view that integers, slices and None select, one view op for each."""
    dim = 0
    result = x
    for part in parts:
        if part is None:
            result = result.unsqueeze(dim)
            dim += 1
        elif isinstance(part, slice):
            if part != slice(None):
                start, stop, step = (None if n is None else _integer(n) for n in _fields(part))
                if step is not None and step < 1:
                    raise ValueError(f"a slice needs a step of at least 1, got {step}; use flip")
                take = function_of(REGISTRY["slice"])
                result = take(result, dim=dim, start=start, end=stop, step=step or 1)
            dim += 1
        else:
            result = result.select(dim, _integer(part))
    # x[...] and x[:] are views too, never the tensor itself
    return result if result is not x else result.view(tuple(x.shape)) if x.ndim == 0 else x[0:]


def _fields(part: slice) -> tuple[Any, Any, Any]:
    return part.start, part.stop, part.step


def _integer(n: Any) -> int:
    return n.item() if isinstance(n, Tensor) else as_int(n)


def _raw_index(x: Tensor, parts: list[Any]) -> tuple[Any, ...]:
    """The index in terms of the backend's arrays, copied: a later write must not change the
    gradient.
    """
    backend = of_array(x._raw)
    raws = []
    for part in parts:
        if isinstance(part, (Tensor, np.ndarray, list, tuple)):
            array = part._raw if isinstance(part, Tensor) else np.asarray(part)
            batched = isinstance(part, Tensor) and of_array(array).batched
            if not isinstance(part, Tensor) and array.size == 0:
                array = array.astype(np.int64)
            kind = str(array.dtype)
            if "int" not in kind and "bool" not in kind:
                raise IndexError(f"an index must be of integers or booleans, got dtype {kind}")
            if batched and "bool" in kind:
                raise RuntimeError(
                    "vmap cannot index with a batched mask: how many elements it selects depends "
                    "on its values; use where()"
                )
            holder = of_array(array) if batched else backend
            raws.append(holder.asarray(array, device=str(x._raw.device)))
        elif isinstance(part, slice):
            if part.step is not None and part.step < 1:
                raise ValueError(f"a slice needs a step of at least 1, got {part.step}; use flip")
            raws.append(part)
        elif part is None or isinstance(part, (bool, int, np.integer)):
            raws.append(part)
        else:
            raise IndexError(
                f"an index is made of integers, slices, None, ..., tensors, got {part!r}"
            )
    return tuple(raws)


def _without_leading_ones(value: Tensor, ndim: int) -> Tensor:
    shape = list(value.shape)
    while len(shape) > ndim and shape[0] == 1:
        shape.pop(0)
    return value if len(shape) == value.ndim else value.reshape(tuple(shape))
