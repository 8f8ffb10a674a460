"""Oracles' engines in float64: every float that a program makes is widened, its value unchanged.

A program is executed in the dtype of the engine under test, so that the oracle starts from exactly
the numbers that the engine starts from, and computes with them in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conformance.adapters.base import Engine, Tensor
from conformance.compare.arrays import widened
from conformance.compare.tolerance import is_inexact
from conformance.observation import Array


class Wrapped(Engine):
    """Passes everything that it does not define on to the engine `inner`."""

    def __init__(self, inner: Engine) -> None:
        self.inner: Any = inner
        self.name, self.version, self.dtypes = inner.name, inner.version, inner.dtypes
        self.operations, self.conventions = inner.operations, inner.conventions

    def __getattr__(self, name: str) -> Any:
        """Return the inner engine's optional method of that name."""
        return getattr(self.inner, name)

    @property
    def capabilities(self) -> frozenset[str]:
        """Return the inner engine's capabilities."""
        return frozenset(self.inner.capabilities)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make the inner engine's tensor."""
        return self.inner.tensor(array, requires_grad)

    def numpy(self, tensor: Tensor) -> Array:
        """Return the inner engine's values."""
        array: Array = self.inner.numpy(tensor)
        return array

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Apply the inner engine's operation."""
        return self.inner.apply(op, *tensors, **params)

    def reset(self) -> None:
        """Reset the inner engine."""
        self.inner.reset()


class Promoted(Wrapped):
    """Computes in float64 and complex128 whatever floats a program names.

    size: the most elements of any tensor met so far; largest: the largest finite magnitude.
    """

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self.size, self.largest = 1, 0.0

    @property
    def capabilities(self) -> frozenset[str]:
        """Return the inner engine's capabilities: every float dtype is one to it."""
        floats = "float16 bfloat16 float32 float64 complex64 complex128".split()
        return frozenset(self.inner.capabilities) | {f"dtype:{name}" for name in floats}

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a leaf of the same numbers in float64 or complex128, where they are floats."""
        wide = widened(array) if is_inexact(array.dtype) else array
        self.met(wide)
        return self.inner.tensor(wide, requires_grad)

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Apply the operation and take note of the size of its results."""
        result = self.inner.apply(op, *tensors, **params)
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            self.met(self.inner.numpy(tensor))
        return result

    def met(self, array: Array) -> None:
        """Take note of the size and the largest finite magnitude of an array of the program."""
        self.size = max(self.size, array.size)
        if array.size and is_inexact(array.dtype):
            with np.errstate(all="ignore"):
                magnitude = np.abs(array)
            largest = float(magnitude.max())
            if not math.isfinite(largest):
                largest = float(np.max(magnitude, initial=0.0, where=np.isfinite(magnitude)))
            self.largest = max(self.largest, largest)
