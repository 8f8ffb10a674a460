"""The finite-difference oracle: a directional derivative, and a bound on its error.

Central differences at halving steps are extrapolated in h² (Richardson); the diagonal entry of the
tableau with the least estimated error is taken, as Ridders 1982 does
(https://doi.org/10.1016/S0141-1195(82)80057-0). Its bound is the disagreement with its neighbours
and the rounding noise of the differences, and, at a kink, the jump of the slope: that of the
one-sided differences, extrapolated to h = 0 likewise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance.adapters.base import Engine, Tensor
from conformance.compare.arrays import widened
from conformance.gradient_check.numerics import Slope, derivative
from conformance.observation import Array, Observation
from conformance.oracles.trial import Record, displaced, recorded, understood
from conformance.program import Program

ENOUGH = 2.0**-36
"""Relative error at which no smaller step is tried: far below what two gradients differ by."""
_CERTAIN = 8.0
"""Times the rounding noise at which a jump of the slope is one."""
NOISE = 4 * 2.0**-53
"""Relative error granted to a value of the program when two of them are subtracted."""


class FiniteDifference:
    """Finite differences of one program, as `engine` computes it forward in float64."""

    def __init__(self, engine: Engine, program: Program, observation: Observation) -> None:
        self._engine, self._program, self._dtype = engine, program, observation.dtype
        ready = understood(program) and "float64" in engine.dtypes
        self.record: Record | None = recorded(engine, program, observation) if ready else None

    def slope(self, step: int, direction: Array) -> Slope | None:
        """Return the derivative, along `direction`, that the gradient read at `step` stands for.

        None where finite differences do not apply: see `conformance.oracles.trial.understood`.
        """
        found = self.question(step)
        if found is None or self.record is None:
            return None
        target, calls = found
        start = self.record.arrays[target]
        if start.shape != direction.shape:
            return None
        return ridders(lambda t: self._total(target, calls, direction * t), start)

    def start(self, step: int) -> Array | None:
        """Return the values of the tensor whose gradient `step` reads; None where unknown."""
        found = self.question(step)
        return None if found is None or self.record is None else self.record.arrays[found[0]]

    def question(self, step: int) -> tuple[int, list[int]] | None:
        """Return the tensor whose gradient `step` reads, and the calls of backward that it sums."""
        steps, record = list(self._program.walk()), self.record
        if record is None or steps[step].verb != "grad":
            return None
        name, count = steps[step].args[0], 0
        calls: list[int] = []
        for earlier in steps[:step]:
            if earlier.verb == "set_grad" and earlier.args[0] == name:
                if earlier.param("value") is not None:
                    return None
                calls = []
            elif earlier.verb == "backward":
                calls.append(count)
                count += 1
        target = record.read[sum(earlier.verb == "grad" for earlier in steps[:step])]
        asked = [record.calls[call].inputs for call in calls]
        return target, [
            c for c, only in zip(calls, asked, strict=True) if only is None or target in only
        ]

    def _total(self, target: int, calls: list[int], shift: Array) -> tuple[float, float]:
        """Return Σ Re⟨cotangent, root⟩ over the calls, and the noise in it, at a displacement."""
        assert self.record is not None

        def displace(tensor: Tensor) -> Tensor:
            moved = np.array(self._engine.numpy(tensor)) + shift
            return self._engine.tensor(moved)

        found = displaced(self._engine, self._program, self._dtype, self.record, target, displace)
        if found is None:
            return np.nan, np.inf
        total, noise = 0.0, 0.0
        for call in calls:
            for root, cotangent in zip(found[call].roots, found[call].cotangents, strict=True):
                values = widened(self._engine.numpy(root))
                weights = np.ones(values.shape) if cotangent is None else widened(cotangent)
                with np.errstate(all="ignore"):
                    terms = np.real(np.conj(weights) * values)
                    total += float(np.sum(terms))
                    noise += float(np.sum(np.abs(weights) * np.abs(values))) * NOISE
        return total, noise


def contraction(gradient: Array, direction: Array) -> float:
    """Return Re⟨gradient, direction⟩: the change of a real function that a gradient predicts.

    PyTorch's complex convention: the gradient is ∂L/∂Re + i·∂L/∂Im
    (https://pytorch.org/docs/stable/notes/autograd.html#autograd-for-complex-numbers).
    """
    return float(np.sum(np.real(np.conj(widened(gradient)) * direction)))


def ridders(value: Callable[[float], tuple[float, float]], start: Array) -> Slope:
    """Return dφ/dt at 0 of `value(t)` = (φ(t), its noise); steps scale with `start`'s entries."""
    with np.errstate(all="ignore"):
        scale = max(1.0, float(np.max(np.abs(start), initial=0.0)))
    return derivative(value, scale, enough=ENOUGH)
