"""Stochastic arithmetic: a float64 oracle whose results carry the roundings of another dtype.

Each leaf, each result of an operation that computes, and each gradient on its way back is changed
by plus or minus one unit roundoff, the signs seeded. How far the observations scatter is what one
rounding per operation does to them (CESTAC: Vignes 2004,
https://doi.org/10.1023/B:NUMA.0000049483.75679.ce).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from conformance.adapters.base import Engine, Tensor
from conformance.compare.arrays import widened
from conformance.compare.tolerance import is_inexact, limits
from conformance.custom import Rule
from conformance.leaves import counter_words
from conformance.observation import Array
from conformance.oracles.promoted import Promoted

_LEAST = 2.0**-52
"""The smallest relative change that float64 can always carry."""
_SIGNS = 4096
"""Signs of a table."""


class Perturbed(Promoted):
    """A promoted oracle that rounds, by seeded signs, as an engine in `dtype` might."""

    def __init__(self, inner: Engine, dtype: str, sample: int) -> None:
        super().__init__(inner)
        u, _, self._normal, subnormal = limits(dtype)
        self._relative, self._absolute = max(u, _LEAST), subnormal / 2
        self._sample, self._table, self._used = sample, 0, 0
        self._levels = 0

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a perturbed leaf whose gradient is perturbed too."""
        if is_inexact(array.dtype):
            array = self._nudged(widened(array))
        tensor = super().tensor(array, requires_grad)
        self._watch(tensor)
        return tensor

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Apply the operation and perturb what it computed; views compute nothing."""
        result = super().apply(op, *self._apart(tensors), **params)
        inputs = [self.inner.numpy(tensor) for tensor in tensors]
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            values = self.inner.numpy(tensor)
            if any(np.may_share_memory(values, other) for other in inputs):
                self._watch(tensor)
            else:
                self._perturb(tensor, values)
        if self._levels and not isinstance(result, (tuple, list)):
            return self._slanted(result, tensors)
        return result

    @contextmanager
    def forward_ad(self) -> Iterator[None]:
        """Enter a level of forward mode, in which tangents are perturbed too."""
        self._levels += 1
        try:
            with self.inner.forward_ad():
                yield
        finally:
            self._levels -= 1

    def _slanted(self, result: Tensor, operands: tuple[Tensor, ...]) -> Tensor:
        """Return `result` with its tangent changed by roundings of its own and its operands' size.

        A rule such as that of tanh, (1 - y²)·t, loses in 1 - y² what no change of the operands
        shows: its terms are as large as t.
        """
        if not is_inexact(self.inner.numpy(result).dtype):
            return result
        tangents = [self.inner.tangent_of(tensor) for tensor in (result, *operands)]
        sizes = [0.0 if t is None else np.abs(np.array(self.inner.numpy(t))) for t in tangents]
        scale = sizes[0] + max([float(np.max(size, initial=0.0)) for size in sizes[1:]], default=0)
        if not np.any(scale):
            return result
        zeros = np.zeros_like(self.inner.numpy(result))
        slant = (zeros + self._relative * scale * self._signs(zeros.shape)).astype(zeros.dtype)
        dual = self.inner.make_dual(self.inner.tensor(zeros), self.inner.tensor(slant))
        return self.inner.apply("add", result, dual)

    def _apart(self, tensors: tuple[Tensor, ...]) -> list[Tensor]:
        """Return the operands, one that is given again as a view of its own.

        So the gradients of `x` in `x / x` are perturbed one by one before they cancel.
        """
        apart: list[Tensor] = []
        for tensor in tensors:
            if any(tensor is other for other in apart) and self.inner.requires_grad(tensor):
                tensor = self.inner.apply("view_as", tensor, tensor)
                self._watch(tensor)
            apart.append(tensor)
        return apart

    def apply_(self, op: str, target: Tensor, *tensors: Tensor, **params: Any) -> None:
        """Apply the operation in place and perturb what it wrote."""
        self.inner.apply_(op, target, *tensors, **params)
        self._perturb(target, self.inner.numpy(target))

    def custom_function(self, rule: Rule, *tensors: Tensor, **choices: Any) -> tuple[Tensor, ...]:
        """Apply the operation; what its rules compute is perturbed as everything else."""
        made: tuple[Tensor, ...]
        made = self.inner.custom_function(_Rounding(rule, self), *tensors, **choices)
        for tensor in made:
            self._watch(tensor)
        return made

    def _perturb(self, tensor: Tensor, values: Array) -> None:
        """Change `tensor` in memory, behind the back of the version counter, and watch it."""
        if not is_inexact(values.dtype):
            return
        raw = self.inner.data(tensor)
        self.inner.apply_("copy", raw, self.inner.tensor(self._nudged(np.array(values))))
        self._watch(tensor)

    def _watch(self, tensor: Tensor) -> None:
        """Let the gradient that reaches `tensor` be perturbed, where it is tracked."""
        if self.inner.requires_grad(tensor):
            self.inner.register_hook(tensor, self._on_gradient)

    def _on_gradient(self, gradient: Tensor) -> Tensor:
        values = np.array(self.inner.numpy(gradient))
        self.met(values)
        factor = 1.0 + self._relative * self._signs(values.shape)
        return self.inner.apply("mul", gradient, self.inner.tensor(factor))

    def _nudged(self, array: Array) -> Array:
        """Return the array with every nonzero part changed by one rounding."""
        if array.dtype.kind == "c":
            nudged: Array = self._nudged(array.real) + 1j * self._nudged(array.imag)
            return nudged
        size, signs = np.abs(array), self._signs(array.shape)
        moved: Array
        if array.size and size.min() >= self._normal and size.max() < np.inf:
            moved = array * (1.0 + self._relative * signs)
            return moved
        with np.errstate(all="ignore"):
            step = self._relative * size
            step = step + np.where((size > 0) & (size < self._normal), self._absolute, 0.0)
            moved = array + step * signs
        return np.where(np.isfinite(array), moved, array)

    def _signs(self, shape: tuple[int, ...]) -> Array:
        """Return signs that no other tensor of the run is given: slices of a table, in order."""
        size = math.prod(shape)
        if self._used + size > _SIGNS:
            self._table, self._used = self._table + 1, 0
        if size > _SIGNS:
            return _signs(self._sample, self._table, size).reshape(shape)
        start = self._used
        self._used += size
        return _signs(self._sample, self._table, _SIGNS)[start : start + size].reshape(shape)


@lru_cache(maxsize=64)  # runs of small programs find theirs in the first table of their sample
def _signs(sample: int, table: int, size: int) -> Array:
    words = counter_words(sample, size, table)
    signs: Array = (words >> np.uint64(63)).astype(np.float64) * 2.0 - 1.0
    signs.flags.writeable = False
    return signs


class _Rounding:
    """A rule whose forward and backward are computed by a perturbed engine."""

    def __init__(self, rule: Rule, engine: Perturbed) -> None:
        self._rule: Any = rule
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rule, name)

    def forward(self, engine: Engine, inputs: Sequence[Tensor]) -> Any:
        """Return the perturbed results."""
        del engine
        return self._rule.forward(self._engine, inputs)

    def backward(self, engine: Engine, *given: Any) -> Any:
        """Return the perturbed gradients."""
        del engine
        return self._rule.backward(self._engine, *given)
