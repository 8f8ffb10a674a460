"""The adjoint identity: ⟨v, J·w⟩ = ⟨Jᵀ·v, w⟩, reverse mode against forward mode.

J·w comes from the engine's own forward mode where it has one, else from the oracle engine's: rules
that are written and run apart from those of reverse mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from conformance.adapters.base import Engine, Tensor
from conformance.compare.arrays import widened
from conformance.execute import execute
from conformance.gradient_check.numerics import Slope
from conformance.observation import Array, Observation
from conformance.oracles.finite_difference import FiniteDifference
from conformance.oracles.promoted import Wrapped
from conformance.oracles.trial import displaced
from conformance.program import Program, Step

EXACT = 2.0**-46
"""Relative error granted to a derivative of float64 forward mode: 64 roundings."""
_ASK = Program((Step("apply", ("slope",), (), "jvp"), Step("value", (), ("slope",))))


class Adjoint:
    """Forward-mode derivatives of one program, in float64."""

    def __init__(
        self, engine: Engine, oracle: Engine, program: Program, observation: Observation
    ) -> None:
        able = [e for e in (engine, oracle) if "jvp" in e.capabilities and "float64" in e.dtypes]
        self._engine = able[0] if able else None
        self._program, self._dtype = program, observation.dtype
        if self._engine is not None:
            self._plan = FiniteDifference(self._engine, program, observation)

    def start(self, step: int) -> Array | None:
        """Return the values of the tensor whose gradient `step` reads; None where unknown."""
        return None if self._engine is None else self._plan.start(step)

    def slope(self, step: int, direction: Array) -> Slope | None:
        """Return ⟨v, J·direction⟩ for the gradient Jᵀ·v that `step` reads.

        None where no engine at hand has a forward mode, or it refuses, or the program is beyond
        trials.
        """
        question = None if self._engine is None else self._plan.question(step)
        if question is None or self._engine is None or self._plan.record is None:
            return None
        target, calls = question
        start = self._plan.record.arrays[target]
        if start.shape != direction.shape or not calls:
            return None

        def roots(tensor: Tensor) -> tuple[list[Tensor], list[Array | None]]:
            assert self._engine is not None
            assert self._plan.record is not None
            found = displaced(
                self._engine,
                self._program,
                self._dtype,
                self._plan.record,
                target,
                lambda _: tensor,
            )
            if found is None:
                raise ValueError("the engine refuses to run the program in forward mode")
            chosen = [found[call] for call in calls]
            return (
                [root for call in chosen for root in call.roots],
                [cotangent for call in chosen for cotangent in call.cotangents],
            )

        asked = _Forward(self._engine, roots, start, direction)
        execute(asked, _ASK, "float64")
        return asked.slope


class _Forward(Wrapped):
    """Runs the engine's forward mode as an operation, so that its refusal is recorded as one."""

    def __init__(self, inner: Engine, roots: Any, start: Array, direction: Array) -> None:
        super().__init__(inner)
        self._roots, self._start = roots, start
        self._direction = direction.astype(start.dtype)
        self.slope: Slope | None = None

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor:
        """Ask for the derivative along the direction and contract it with the cotangents."""
        del op, tensors, params
        cotangents: list[Array | None] = []

        def function(tensor: Tensor) -> Sequence[Tensor]:
            found, cotangents[:] = self._roots(tensor)
            return tuple(found)

        inner = self.inner
        _, tangents = inner.jvp(
            function, (inner.tensor(self._start),), (inner.tensor(self._direction),)
        )
        total, size = 0.0, 0.0
        for tangent, cotangent in zip(tangents, cotangents, strict=True):
            values = widened(inner.numpy(tangent))
            weights = np.ones(values.shape) if cotangent is None else widened(cotangent)
            total += float(np.sum(np.real(np.conj(weights) * values)))
            size += float(np.sum(np.abs(weights) * np.abs(values)))
        self.slope = Slope(total, EXACT * size)
        return inner.tensor(np.array(total))
