"""The CPU backend: NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from reference_engine.backends import dtypes
from reference_engine.backends.base import (
    BACKENDS,
    DIFFERENTIABLE,
    ENGINE_DTYPES,
    NATIVE_FLOATING,
    Backend,
    Kernel,
    Shape,
    register,
)
from reference_engine.backends.dtypes import dtype
from reference_engine.modes import check_randomness

_RAW: dict[dtype, np.dtype[Any]] = {
    d: np.dtype(d.name) for d in dtypes.ALL if d is not dtypes.bfloat16
}


@lru_cache(maxsize=1)
def _bfloat16() -> np.dtype[Any]:
    """NumPy has no bfloat16 of its own; ml_dtypes adds it, and is imported when it is first asked
    for.
    """
    import ml_dtypes

    raw: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    _RAW[dtypes.bfloat16] = raw
    NUMPY.narrow.add(raw)
    ENGINE_DTYPES[raw] = dtypes.bfloat16
    DIFFERENTIABLE.add(raw)
    return raw


def _reduction(ufunc: np.ufunc) -> Kernel:
    """A reduction without NumPy's wrapper in Python, which costs as much as a short array's sum.

    As in PyTorch, halves are added up in float32 and bytes in int64.
    """
    adds = ufunc in (np.add, np.multiply)

    def reduce(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
        if adds and dtype is None and x.itemsize <= 2:
            if x.dtype in NUMPY.narrow:
                wide = ufunc.reduce(x, axis=axis, dtype=np.float32, keepdims=keepdims)
                return wide.astype(x.dtype)
            dtype = np.int64
        return ufunc.reduce(x, axis=axis, dtype=dtype, keepdims=keepdims)

    return reduce


class NumpyBackend(Backend):
    """``numpy.ndarray`` on the CPU."""

    name = "numpy"
    array_type = np.ndarray
    scalar_types = (np.generic,)

    sum, prod = staticmethod(_reduction(np.add)), staticmethod(_reduction(np.multiply))
    isdtype = staticmethod(cache(np.isdtype))
    max, min = staticmethod(_reduction(np.maximum)), staticmethod(_reduction(np.minimum))

    def __init__(self) -> None:
        self.narrow: set[Any] = {np.dtype(np.float16)}

    @cached_property
    def _generator(self) -> np.random.Generator:
        # made when first needed: numpy.random takes 10 ms to import
        return np.random.default_rng()

    def namespace(self) -> ModuleType:
        return np

    def raw_dtype(self, d: dtype) -> np.dtype[Any]:
        found = _RAW.get(d)
        return _bfloat16() if found is None else found

    def asarray(
        self, data: Any, d: dtype | None = None, device: str = "cpu", copy: bool = True
    ) -> Any:
        if not isinstance(data, (np.ndarray, np.generic)) and hasattr(data, "detach"):
            data = BACKENDS[type(data)].to_numpy(data.detach())
        raw = None if d is None else self.raw_dtype(d)
        array = np.asarray(data)
        if raw is not None and array.dtype != raw:
            if array.dtype.kind == "c" and raw.kind != "c":
                array = array.real
            return array.astype(raw)
        self.engine_dtype(array.dtype)
        return np.array(array, order="C") if copy else array

    def to_numpy(self, x: Any) -> Any:
        return x

    def wrap(self, x: Any) -> Any:
        # an op that moves its input to another backend gives an array of that one
        return x if type(x) in BACKENDS else np.asarray(x)

    def cast(self, x: Any, d: dtype) -> Any:
        raw = self.raw_dtype(d)
        if x.dtype == raw:
            return x
        if x.dtype.kind == "c" and raw.kind not in "cb":
            x = x.real
        return x.astype(raw)

    def copy(self, x: Any) -> Any:
        return x.copy()

    def assign(self, target: Any, value: Any) -> None:
        if getattr(value, "dtype", target.dtype).kind == "c" and target.dtype.kind != "c":
            value = value.real
        target[...] = value

    def strides(self, x: Any) -> tuple[int, ...]:
        size = x.itemsize
        return tuple([s // size for s in x.strides])

    def storage_offset(self, x: Any) -> int:
        return int((self.address(x) - self.address(_root(x))) // x.itemsize)

    def view(self, x: Any, shape: Sequence[int]) -> Any:
        try:
            made = x.reshape(shape)
        except ValueError:
            raise RuntimeError(
                f"shape {tuple(shape)} does not hold the {x.size} elements of a tensor "
                f"of shape {x.shape}"
            ) from None
        # a NumPy scalar has nothing to share, nor has an empty array; reshape(copy=) is NumPy 2.1
        if made.size and isinstance(x, np.ndarray) and not np.may_share_memory(made, x):
            raise RuntimeError(
                f"a tensor of shape {x.shape} and strides {self.strides(x)} has no view of shape "
                f"{tuple(shape)}; use reshape, which copies when it must"
            )
        return made

    def as_strided(self, x: Any, size: Sequence[int], stride: Sequence[int], offset: int) -> Any:
        root = _root(x)
        step = x.itemsize
        # the memory is addressed as a flat run of x's elements, whatever the root's own shape and
        # order
        flat = root.ravel(order="K").view(x.dtype)
        return np.ndarray(
            tuple(size),
            x.dtype,
            flat,
            offset=offset * step,
            strides=tuple(s * step for s in stride),
        )

    def expand(self, x: Any, shape: Sequence[int]) -> Any:
        shape = tuple(shape)
        if x.size == 1 and x.ndim <= len(shape):  # as the gradient of a sum: 3 µs less
            return np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
        try:
            out = np.broadcast_to(x, shape)
        except ValueError:
            raise RuntimeError(
                f"a tensor of shape {list(x.shape)} does not expand to {list(shape)}"
            ) from None
        # NumPy makes it read-only for fear of overlap; the engine refuses overlapping writes itself
        out.flags.writeable = x.flags.writeable
        return out

    def permute_dims(self, x: Any, axes: Sequence[int]) -> Any:
        """``x`` with its dimensions in another order, without NumPy's wrapper."""
        return x.transpose(axes)

    def matrix_diagonal(self, x: Any, offset: int) -> Any:
        out = np.linalg.diagonal(x, offset=offset)
        out.flags.writeable = x.flags.writeable
        return out

    def address(self, x: Any) -> int:
        return int(x.__array_interface__["data"][0])

    def may_overlap(self, x: Any, y: Any) -> bool:
        return np.may_share_memory(x, y)

    def check_places(self, index: Any, size: int, what: str) -> None:
        if index.size and (index.min() < 0 or index.max() >= size):
            raise IndexError(f"a {what} is none of the {size} places from 0 to {size - 1}")

    def index_put(self, x: Any, index: Any, values: Any, accumulate: bool) -> Any:
        out = x.copy()
        if accumulate:
            np.add.at(out, index, values)
        else:
            out[index] = values
        return out

    def scatter_add(self, x: Any, dim: int, index: Any, source: Any) -> Any:
        where = list(np.indices(index.shape, sparse=True))
        if x.ndim:
            where[dim] = index
        out = x.copy()
        if x.ndim == 0:
            out[()] += source.sum()
            return out
        np.add.at(out, tuple(where), source[tuple(slice(n) for n in index.shape)])
        return out

    def sliding_windows(
        self, x: Any, size: Sequence[int], step: Sequence[int], dilation: Sequence[int]
    ) -> Any:
        k = len(size)
        batch, spatial = x.shape[: x.ndim - k], x.shape[x.ndim - k :]
        reach = [d * (s - 1) + 1 for s, d in zip(size, dilation, strict=True)]
        counts = [(n - r) // t + 1 for n, r, t in zip(spatial, reach, step, strict=True)]
        if min(counts, default=1) < 1:
            raise RuntimeError(
                f"a window of {tuple(reach)} elements does not fit an input of {tuple(spatial)}"
            )
        inner = x.strides[x.ndim - k :]
        strides = (
            *x.strides[: x.ndim - k],
            *(s * t for s, t in zip(inner, step, strict=True)),
            *(s * d for s, d in zip(inner, dilation, strict=True)),
        )
        return np.lib.stride_tricks.as_strided(x, (*batch, *counts, *size), strides)

    def random(self, kind: str, shape: Shape, d: dtype, device: str) -> Any:
        check_randomness()
        draw = self._generator.random if kind == "uniform" else self._generator.standard_normal
        if d.is_complex:
            # the variance of a complex normal is shared by its two parts, as torch.randn documents
            both = np.asarray(draw((*shape, 2)))
            scale = 0.5**0.5 if kind == "normal" else 1.0
            return ((both[..., 0] + 1j * both[..., 1]) * scale).astype(self.raw_dtype(d))
        return np.asarray(draw(shape)).astype(self.raw_dtype(d))

    def permutation(self, n: int, device: str) -> Any:
        check_randomness()
        return self._generator.permutation(n)

    def seed(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def rng_state(self) -> Any:
        return self._generator.bit_generator.state

    def set_rng_state(self, state: Any) -> None:
        self._generator.bit_generator.state = state


def _root(x: Any) -> Any:
    """The array that owns the memory ``x`` views."""
    while isinstance(x.base, np.ndarray):
        x = x.base
    return x


NUMPY = NumpyBackend()
register(NUMPY, _RAW)
NATIVE_FLOATING.difference_update(NUMPY.narrow)
