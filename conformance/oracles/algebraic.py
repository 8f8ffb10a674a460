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
from conformance.observation import Array, Observation
from conformance.oracles.finite_difference import FiniteDifference, Slope
from conformance.oracles.trial import Call, displaced
from conformance.program import Program

EXACT = 2.0**-46
"""Relative error granted to a derivative of float64 forward mode: 64 roundings."""


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

    def slope(self, step: int, direction: Array) -> Slope | None:
        """Return ⟨v, J·direction⟩ for the gradient Jᵀ·v that `step` reads.

        None where no engine at hand has a forward mode, or the program is beyond trials.
        """
        engine: Any = self._engine
        question = None if engine is None else self._plan.question(step)
        if question is None or self._plan.record is None:
            return None
        target, numbers = question
        start = self._plan.record.arrays[target]
        if start.shape != direction.shape or not numbers:
            return None
        cotangents: list[Array | None] = []

        def roots(tensor: Tensor) -> Sequence[Tensor]:
            calls = self._calls(target, tensor)
            chosen = [calls[number] for number in numbers]
            cotangents[:] = [c for call in chosen for c in call.cotangents]
            return tuple(root for call in chosen for root in call.roots)

        _, tangents = engine.jvp(
            roots, (engine.tensor(start),), (engine.tensor(direction.astype(start.dtype)),)
        )
        total, size = 0.0, 0.0
        for tangent, cotangent in zip(tangents, cotangents, strict=True):
            values = widened(engine.numpy(tangent))
            weights = np.ones(values.shape) if cotangent is None else widened(cotangent)
            total += float(np.sum(np.real(np.conj(weights) * values)))
            size += float(np.sum(np.abs(weights) * np.abs(values)))
        return Slope(total, EXACT * size)

    def _calls(self, target: int, tensor: Tensor) -> list[Call]:
        assert self._engine is not None
        assert self._plan.record is not None
        found = displaced(
            self._engine, self._program, self._dtype, self._plan.record, target, lambda _: tensor
        )
        assert found is not None, "a program that ran once did not run again"
        return found
