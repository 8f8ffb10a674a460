"""The probe of the inputs' own dtype, where the formula was checked in double precision."""

from __future__ import annotations

import numpy as np

from conformance.gradient_check.base_point import BACKWARD_ERRORS, BackwardRaised, BasePoint
from conformance.gradient_check.probes.asking import Outcome
from conformance.gradient_check.randomness import SPREADS
from conformance.gradient_check.result import Departure, Probe
from conformance.gradient_check.targets import Target

ROUNDINGS = 64.0
"""Units of the dtype's roundoff, of the scale, granted at first sight."""


def native(base: BasePoint, target: Target) -> Outcome:
    """Compare the gradient in the inputs' own dtype with the one in double precision.

    What a few roundoffs in the inputs do to either is measured, and allowed for.
    """
    dtype = target.variables[0].dtype
    name = f"computed in {dtype}"
    own = BasePoint(target, base.random)
    weights = own.weights()
    if own.outputs.shape != base.outputs.shape:
        return Probe(name, "unclear", "the outputs have other shapes there")
    weights = np.where(own.finite, weights, 0.0)
    exact = base.pull(weights)
    try:
        found = own.recording.pull(weights)
    except BACKWARD_ERRORS as error:
        return name, Departure(name, f"in {dtype}, {BackwardRaised(error).sentence}")
    direction = base.direction(exact)
    usable = np.isfinite(exact) & np.isfinite(found)
    direction = np.where(usable, direction, 0.0)
    exact, found = np.where(usable, exact, 0.0), np.where(usable, found, 0.0)
    gap = abs(float((found - exact) @ direction))
    scale = float(np.abs(exact) @ np.abs(direction))
    limit = ROUNDINGS * own.unit * scale
    if gap <= limit:
        return Probe(name, "passed", f"errors above {limit / scale if scale else 0:.1g} would show")
    for number in range(4):
        step = own.unit * (2 + number // 2) * (1 if number % 2 else -1)
        for point, compared in ((own, found), (base, exact)):
            moved = point.target.record(point.point + step * direction).pull(weights)
            spread = abs(float(np.where(usable, moved - compared, 0.0) @ direction))
            limit = max(limit, SPREADS * spread) if np.isfinite(spread) else np.inf
    if gap <= limit:
        limit_seen = limit / scale if scale else 0.0
        return Probe(name, "passed", f"errors above {limit_seen:.1g} would show")
    sentence = (
        f"in {dtype} the gradient differs from that in double precision by {gap / scale:.2g} of"
        f" its size; at most {limit / scale:.2g} is rounding"
    )
    return name, Departure(
        "precision", sentence, None, None,
        float(found @ direction), float(exact @ direction), gap, limit,
    )  # fmt: skip
