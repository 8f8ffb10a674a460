"""A gradient as a function of input and cotangent, so that its own gradient can be checked."""

from __future__ import annotations

import numpy as np

from conformance.adapters.base import FunctionalEngine, Tensor
from conformance.gradient_check.directions import Draws, signed
from conformance.gradient_check.targets import Target


def gradient_of(target: Target, random: Draws) -> Target:
    """Return the target (x, w) ↦ Jᵀ(x)·w of a target, at its point and a random cotangent."""
    bridge, count = target.bridge, len(target.variables)
    recording = target.record(target.point)
    cotangents = [
        target.like(t, signed(random, target.numbers(t)).copy(), "plain") for t in recording.tensors
    ]
    inputs = [*target.tensors(target.point.copy(), False), *cotangents]

    def gradient(*tensors: Tensor) -> list[Tensor]:
        xs, ws = tensors[:count], tensors[count:]
        if isinstance(target.engine, FunctionalEngine):
            found = target.engine.vjp(target.pure, xs, ws)
        else:
            xs = tuple(bridge.tracked(x) for x in xs)
            found = bridge.pull(target.call(xs), xs, ws, create_graph=True)
        return [
            bridge.leaf(np.zeros(v.shape), v.dtype, False) if g is None else g
            for g, v in zip(found, target.variables, strict=True)
        ]

    gradient.__qualname__ = f"gradient of {target.name}"
    second = Target(gradient, inputs, target.engine)
    second.keep_all, second.held, second.effort = True, target.held, target.effort
    return second
