"""Long lines: of many outputs some have a kink near the point at any step that rounding leaves."""

from __future__ import annotations

import numpy as np

from conformance.gradient_check.base_point import BasePoint
from conformance.gradient_check.comparison import CONVINCING, Comparison, compare
from conformance.gradient_check.line import SETTLED_NOISE, Line
from conformance.gradient_check.numerics import extrapolated
from conformance.gradient_check.randomness import Noise
from conformance.observation import Array

FEW = 1024
"""Outputs that may be judged with steps of their own."""


def presumed_noise(base: BasePoint) -> Noise:
    """Return the noise of outputs that are good to a roundoff of themselves or of their like."""
    outputs = np.where(base.finite, np.abs(base.outputs), 0.0)
    return Noise(2 * base.unit * (outputs + float(np.sqrt(np.mean(outputs**2)))))


def uneven(line: Line, weights: Array, first: int, noise: Noise) -> Array:
    """Return the places of the outputs whose differences in a window disagree beyond rounding."""
    rounding = noise.values * 2.0**first
    with np.errstate(all="ignore"):
        _, error = extrapolated(line.changes(first), rounding, 2)
        steady = error <= SETTLED_NOISE * rounding
    return np.flatnonzero(~steady & (weights != 0))


def without_uneven(
    base: BasePoint, line: Line, weights: Array, noise: Noise, before: Comparison
) -> Comparison:
    """Return the comparison of the outputs that are even, if the others are right by themselves.

    Each of these is given the smaller steps that suit it best. The comparison before is returned
    where that does not settle it.
    """
    places = uneven(line, weights, before.first, noise)
    if not 0 < places.size <= FEW:
        return before
    alone, rest = np.zeros_like(weights), weights.copy()
    alone[places], rest[places] = weights[places], 0.0
    if not _agree(base, line, alone, places, noise, before.first):
        return before
    gradient = base.pull(rest)
    spread = noise.spread(rest, gradient, line.direction)
    comparison = compare(line, rest, gradient, noise.loudness(rest), spread)
    return comparison if comparison.convinces else before


def _agree(
    base: BasePoint, line: Line, weights: Array, places: Array, noise: Noise, after: int
) -> bool:
    """Tell whether the gradient of a few outputs agrees with their slopes at steps after one."""
    gradient = base.pull(weights)
    analytic, scale = float(gradient @ line.direction), line.magnitude(gradient)
    spread = noise.spread(weights, gradient, line.direction)
    value = np.zeros(places.size)
    error = np.full(places.size, np.inf)
    for first in line.windows():
        if first <= after:
            continue
        here = line.along(first, noise.values[places], only=places)
        better = here.error < error
        value[better], error[better] = here.central[better], here.error[better]
        limit = float(np.abs(weights[places]) @ error) + spread
        if abs(analytic - float(weights[places] @ value)) <= limit <= CONVINCING * scale:
            return True
    return False
