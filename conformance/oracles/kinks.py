"""Kinks: whether an engine's gradient is one of the several that are valid where a slope jumps.

At |x| = 0, every slope from -1 to 1 is a subgradient of |x|, and no engine is wrong to have another
than PyTorch. The oracle runs several times with everything that it makes displaced a little, to one
side or the other of whatever kinks are there: the gradients of these runs span the valid ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.adapters.base import Engine, Tensor
from conformance.compare.arrays import widened
from conformance.compare.tolerance import is_inexact
from conformance.execute import execute
from conformance.observation import Array, Observed
from conformance.oracles.perturbed import Perturbed
from conformance.oracles.promoted import Promoted
from conformance.program import Program

_SAMPLES = 12
_DISPLACEMENT = 2.0**-40
_SMOOTH = 2.0**-20
"""The most, relatively, that displacements move what has no kink: a million times themselves."""


class _Displaced(Perturbed):
    """A float64 oracle whose leaves and results are displaced, zeros as well, gradients not.

    A result is displaced by an addition: what its operation saved of it stays as it was.
    """

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Apply the operation and displace what it computed; views compute nothing."""
        result = Promoted.apply(self, op, *tensors, **params)
        if isinstance(result, (tuple, list)):
            return result
        values = self.inner.numpy(result)
        shared = any(np.may_share_memory(values, self.inner.numpy(tensor)) for tensor in tensors)
        if shared or not is_inexact(values.dtype):
            return result
        zeros: Array = np.zeros_like(values)
        return self.inner.apply("add", result, self.inner.tensor(self._nudged(zeros)))

    def _nudged(self, array: Array) -> Array:
        moved: Array = array + _DISPLACEMENT * (1.0 + np.abs(array)) * self._signs(array.shape)
        return moved

    def _watch(self, tensor: Tensor) -> None:
        del tensor


def is_valid_at_a_kink(oracle: Engine, program: Program, step: int, observed: Observed) -> bool:
    """Tell whether a kink decides what the step observes, and `observed` lies within its range.

    Each element is judged by itself, between the least and the greatest that it comes to. False
    for what is no array or log of arrays, and where nothing jumps.
    """
    mine = _arrays(observed)
    runs = []
    for sample in range(_SAMPLES):
        engine = _Displaced(oracle, "float64", sample + 1)
        runs.append(_arrays(execute(engine, program, "float64").events[step].value))
    if any([a.shape for a in run] != [a.shape for a in mine] for run in runs):
        return False
    jumps = False
    for part, array in enumerate(mine):
        low = np.min([run[part] for run in runs], axis=0)
        high = np.max([run[part] for run in runs], axis=0)
        slack = _SMOOTH * (1.0 + np.maximum(np.abs(low), np.abs(high)))
        if not ((array >= low - slack) & (array <= high + slack)).all():
            return False
        jumps = jumps or bool((high - low > slack).any())
    return jumps


def _arrays(value: Observed) -> list[Array]:
    items = value if isinstance(value, tuple) else (value,)
    return [widened(item) for item in items if isinstance(item, np.ndarray)]
