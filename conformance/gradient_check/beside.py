"""Kinks close to a point, not at it: steps that do not reach them show the slope that is right."""

from __future__ import annotations

import numpy as np

from conformance.gradient_check.base_point import BasePoint
from conformance.gradient_check.comparison import CONVINCING
from conformance.gradient_check.kinks import MARGIN
from conformance.gradient_check.line import Line
from conformance.gradient_check.randomness import Noise
from conformance.gradient_check.result import Departure
from conformance.observation import Array


def slopes_beside(line: Line, places: Array, noise: Noise) -> tuple[Array, Array]:
    """Return, for outputs with a kink, slopes of the steps too small for it, and their bounds.

    The bound is infinite where the smallest steps whose one-sided slopes are known still show the
    kink, as they do where that is at the point.
    """
    value, error = np.zeros(places.size), np.full(places.size, np.inf)
    going = np.ones(places.size, dtype=bool)
    for first in reversed(line.windows()):
        here = line.along(first, noise.values[places], only=places)
        with np.errstate(all="ignore"):
            size = np.fmax(np.abs(here.right), np.abs(here.left))
            bound = here.right_error + here.left_error
            known = bound <= CONVINCING * size
            smooth = known & (np.abs(here.right - here.left) <= bound)
            kinked = known & (np.abs(here.right - here.left) > MARGIN * bound)
        going &= ~kinked
        better = going & smooth & (here.error < error)
        value[better], error[better] = here.central[better], here.error[better]
    return value, error


def compared_beside(
    base: BasePoint, line: Line, weights: Array, places: Array, noise: Noise
) -> tuple[Array, Departure | None]:
    """Compare the outputs whose kink is beside the point; return which, and the failure if any.

    places: of the outputs with a kink.
    """
    beside = np.zeros(places.size, dtype=bool)
    if places.size:
        value, error = slopes_beside(line, places, noise)
        beside = error < np.inf
    if not beside.any():
        return beside, None
    chosen, value, error = places[beside], value[beside], error[beside]

    def gap(part: Array) -> tuple[float, float, float]:
        own, at = np.zeros_like(weights), chosen[part]
        own[at] = weights[at]
        gradient = base.pull(own)
        slope = float(gradient @ line.direction)
        numeric = float(weights[at] @ value[part])
        limit = MARGIN * float(np.abs(weights[at]) @ error[part])
        return slope, numeric, limit + noise.spread(own, gradient, line.direction)

    def wrong(part: Array) -> bool:
        slope, numeric, limit = gap(part)
        return not abs(slope - numeric) <= limit

    part = np.arange(chosen.size)
    if not wrong(part):
        return beside, None
    while part.size > 1:
        half = part[: part.size // 2]
        part = half if wrong(half) else part[part.size // 2 :]
    slope, numeric, limit = gap(part)
    weight = float(weights[chosen[part[0]]])
    slope, numeric, limit = slope / weight, numeric / weight, limit / abs(weight)
    if not abs(slope - numeric) > limit:  # many small departures, none of them certain
        return np.zeros_like(beside), None
    place = base.output_place(int(chosen[part[0]]))
    sentence = (
        f"{place} has a kink beside this input; steps that do not reach it show the slope"
        f" {numeric:.6g} along a random direction, backward gives {slope:.6g}"
    )
    return beside, Departure(
        "kink", sentence, place, None, slope, numeric, abs(slope - numeric), limit
    )
