"""Slopes: second and third opinions on a gradient, from derivatives along one direction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from conformance.adapters.base import Engine
from conformance.adapters.remote import RemoteEngine
from conformance.compare.arrays import widened
from conformance.compare.difference import DISAGREEMENT, Answer, Difference, Doubt
from conformance.compare.tolerance import SAMPLES, allowance, unit_roundoff
from conformance.observation import Array, Event, Observation
from conformance.oracles.algebraic import Adjoint
from conformance.oracles.differential import Differential, other_oracle
from conformance.oracles.finite_difference import FiniteDifference, contraction
from conformance.program import Program

SAFETY = 8.0
"""Times the estimated error of a slope that two slopes may lie apart."""
_GOLDEN = 0.6180339887498949
_OF_HERMITIAN = frozenset(
    "cholesky linalg.cholesky linalg.cholesky_ex linalg.eigh linalg.eigvalsh".split()
)
"""Operations that are functions of Hermitian matrices."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an oracle of slopes says of a gradient that it could judge."""

    answer: Answer


class Slopes:
    """Opinions on the gradients of one observation."""

    def __init__(
        self, engine: Engine, program: Program, observation: Observation, differential: Differential
    ) -> None:
        self._engine, self._program, self._observation = engine, program, observation
        self._differential = differential

    def adjudicated(self, event: Event, observed: Array, found: Difference) -> Answer:
        """Blame a gradient only where finite differences side with the differential oracle.

        The direction is that in which the two gradients differ most. Where finite differences do
        not apply (hazards in place, hooks that change gradients), the differential oracle decides,
        unless there is no engine that could judge it in turn (`other_oracle`).
        """
        theirs = self._differential.events[event.step].value
        assert isinstance(theirs, np.ndarray)
        with np.errstate(all="ignore"):
            apart = widened(observed) - widened(theirs)
        if not np.isfinite(apart).all() or not apart.any():
            return found
        apart = self._admissible(apart, self._oracle_slopes.start(event.step))
        gap = float(np.linalg.norm(apart.ravel()))
        if gap == 0:
            return Doubt("the gradients differ beside the Hermitian matrices alone")
        slope = self._oracle_slopes.slope(event.step, apart / gap)
        direction, oracle = apart / gap, self._differential.name
        if slope is None:
            if other_oracle(self._engine) is not None:
                return found
            return Doubt(f"{DISAGREEMENT}: {oracle} contradicts, and no second oracle applies")
        sides = "contradicts, but finite differences side with"
        if slope.error >= gap / 4:  # as at a kink
            return Doubt(f"{oracle} {sides} nobody")
        if abs(slope.value - contraction(theirs, direction)) < gap / 4:
            return found
        agrees = abs(slope.value - contraction(observed, direction)) < gap / 4
        side = self._engine.name if agrees else "nobody"
        return Doubt(f"{DISAGREEMENT}: {oracle} {sides} {side}")

    def opinion(self, oracle: str, event: Event, gradient: Array) -> Opinion | None:
        """Compare a gradient with a derivative along one direction that leaves no entry out.

        oracle: `finite_difference` or `adjoint`. None where it does not apply.
        """
        source = self._own_slopes if oracle == "finite_difference" else self._adjoint
        direction = self._admissible(_direction(gradient), source.start(event.step))
        slope = source.slope(event.step, direction)
        if slope is None or not np.isfinite(slope.error) or not np.isfinite(gradient).all():
            return None
        predicted = contraction(gradient, direction)
        for measured in (False, True):
            limit = self._limit(event, gradient, direction, measured) + SAFETY * slope.error
            if abs(predicted - slope.value) <= limit:
                return Opinion(None)
        scale = float(np.sum(np.abs(direction) * np.abs(widened(gradient))))
        if not np.isfinite(limit) or limit > max(scale, abs(slope.value)) / 8:
            return Opinion(Doubt(f"{oracle} is not accurate enough here"))
        along = np.array2string(direction.ravel(), threshold=8, separator=", ")
        return Opinion(
            Difference(
                "value",
                f"slope {slope.value:.9g} along {along}",
                f"slope {predicted:.9g}",
                f"the gradient predicts the slope {predicted:.9g} along {along}; expected"
                f" {slope.value:.9g} (allowed {limit:.3g})",
            )
        )

    def _admissible(self, direction: Array, start: Array | None) -> Array:
        """Return the part of a direction along which the program's operations are functions.

        Those of Hermitian matrices have no value beside these: what they compute there, from one
        triangle, their gradient does not promise.
        """
        if start is None or not _OF_HERMITIAN.intersection(self._program.operations):
            return direction
        if start.ndim < 2 or not np.array_equal(start, _adjoint(start)):
            return direction
        return (direction + _adjoint(direction)) / 2

    def _limit(self, event: Event, gradient: Array, direction: Array, measured: bool) -> float:
        """Return how far rounding in the engine's dtype may move ⟨gradient, direction⟩."""
        oracle, spread = self._differential, None
        dtype = max(gradient.dtype.name, self._observation.dtype, key=unit_roundoff)
        size = gradient.size
        if measured and oracle.unsupported is None:
            spreads, size = oracle.spread(event.step, SAMPLES[0]), oracle.size
            if spreads and spreads[0].shape == gradient.shape:
                spread = spreads[0]
        allowed = allowance(widened(gradient), dtype, size, spread)
        return float(np.sum(np.abs(direction) * allowed))

    @cached_property
    def _oracle_slopes(self) -> FiniteDifference:
        return FiniteDifference(self._differential.oracle, self._program, self._observation)

    @cached_property
    def _own_slopes(self) -> FiniteDifference:
        far = self._engine.compiles or isinstance(self._engine, RemoteEngine)
        here = "float64" in self._engine.dtypes and not far
        engine = self._engine if here else self._differential.oracle
        return FiniteDifference(engine, self._program, self._observation)

    @cached_property
    def _adjoint(self) -> Adjoint:
        return Adjoint(self._engine, self._differential.oracle, self._program, self._observation)


def _direction(gradient: Array) -> Array:
    """Return signs, scattered by position; for a complex gradient both parts move."""
    signs = np.where(np.arange(gradient.size) * _GOLDEN % 1.0 < 0.5, 1.0, -1.0)
    shaped: Array = signs.reshape(gradient.shape)
    return shaped * (1.0 + 0.5j) if gradient.dtype.kind == "c" else shaped


def _adjoint(matrices: Array) -> Array:
    conjugate: Array = np.conj(np.swapaxes(matrices, -1, -2))
    return conjugate
