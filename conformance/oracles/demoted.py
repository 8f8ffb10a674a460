"""Demoted oracles: a run in float32 and one in float64, from the same numbers, held by both.

What the two differ by is what rounding does to the oracle's own algorithms, inside operations too:
the gradient of log_softmax, g - softmax·Σg, may cancel where no change of an operand or a cotangent
shows it. In float32 what operations save for their gradients is moved by a rounding too when it is
used: an oracle that composes attention of a softmax, whose results may be exact, would not show
what is lost by an engine that computes it otherwise. Rounding errors are proportional to the unit
roundoff (Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1), so scaled by
its ratio they are those of another dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.adapters.base import Engine, Tensor
from conformance.compare.arrays import widened
from conformance.compare.tolerance import is_inexact
from conformance.execute import execute
from conformance.leaves import counter_words
from conformance.observation import Array, Event
from conformance.oracles.promoted import Wrapped
from conformance.program import Program

Events = tuple[Event, ...]

_LEAST = 2.0**-23
"""The smallest relative change that float32 can always carry."""
_JITTER = 2.0**-12
"""Largest relative change of a leaf, so that each sample meets roundings of its own."""
_FLOATS = {"f": ("float32", "float64"), "c": ("complex64", "complex128")}


class Demoted(Wrapped):
    """Gives every leaf the same numbers in float32 or, where `wide`, in float64."""

    def __init__(self, inner: Engine, sample: int, wide: bool, moved: bool = False) -> None:
        """moved: whether what is saved for gradients is moved by a rounding."""
        super().__init__(inner)
        self._sample, self._wide, self._moved, self._count = sample, wide, moved, 0

    @property
    def capabilities(self) -> frozenset[str]:
        """Return the inner engine's capabilities: every float dtype is one to it."""
        floats = "float16 bfloat16 float32 float64 complex64 complex128".split()
        return frozenset(self.inner.capabilities) | {f"dtype:{name}" for name in floats}

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a leaf, its numbers moved a little by the sample."""
        if is_inexact(array.dtype):
            values = widened(array)
            narrow, wide = _FLOATS[values.dtype.kind]
            with np.errstate(all="ignore"):
                moved = (values * self._factors(values.shape)).astype(narrow)
            array = moved.astype(wide) if self._wide else moved
        return self.inner.tensor(array, requires_grad)

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Apply the operation."""
        if not self._moved:
            return super().apply(op, *tensors, **params)
        with self.inner.saved_tensors_hooks(lambda saved: saved, self._nudged):
            return super().apply(op, *tensors, **params)

    def _nudged(self, saved: Tensor) -> Tensor:
        values = np.array(self.inner.numpy(saved))
        if values.dtype.name not in ("float32", "complex64"):
            return saved
        signs = np.sign(self._uniform(values.shape))
        return self.inner.tensor((values * (1.0 + _LEAST * signs)).astype(values.dtype))

    def _factors(self, shape: tuple[int, ...]) -> Array:
        uniform = self._uniform(shape)
        return np.ones(shape) if self._sample == 0 else 1.0 + _JITTER * uniform

    def _uniform(self, shape: tuple[int, ...]) -> Array:
        """Return numbers from -1 to 1 that no other tensor of the run is given."""
        self._count += 1
        words = counter_words(self._sample, int(np.prod(shape)), self._count)
        uniform: Array = 2.0 * ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53) - 1.0
        return uniform.reshape(shape)


def pair(oracle: Engine, program: Program, dtype: str, sample: int) -> tuple[Events, Events]:
    """Return what the program, of leaves in `dtype`, shows in float32 and in float64."""
    # a program's own hooks must see what is saved, and may change it
    hooked = any(step.verb == "saved_tensors_hooks" for step in program.walk())
    moved = "saved_tensors_hooks" in oracle.capabilities and not hooked
    narrow, wide = Demoted(oracle, sample, False, moved), Demoted(oracle, sample, True)
    return execute(narrow, program, dtype).events, execute(wide, program, dtype).events
