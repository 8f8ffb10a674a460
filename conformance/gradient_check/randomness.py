"""How much a function and its backward scatter when nothing about their input changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conformance.gradient_check.line import REFUSALS
from conformance.gradient_check.recordings import Recording
from conformance.gradient_check.targets import Target
from conformance.observation import Array

RUNS = 12
"""Repetitions from which a distribution is measured."""
SPREADS = 6.0
"""Standard deviations of a measured scatter that a comparison allows for."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What rounding and randomness do to the two sides of a comparison.

    values: per output. scatter: of ⟨gradient, direction⟩ where runs differ. moved: recordings a few
    roundoffs away, where they do not. forward and backward: standard deviations over repeated runs,
    as fractions of the scale; zero for a deterministic function.
    """

    values: Array
    scatter: float = 0.0
    moved: tuple[Recording, ...] = ()
    forward: float = 0.0
    backward: float = 0.0

    @property
    def random(self) -> bool:
        """Whether repeated runs differ."""
        return self.forward > 0 or self.backward > 0

    def loudness(self, weights: Array) -> float:
        """Return the noise in Σ weights·outputs."""
        return float(np.abs(weights) @ self.values)

    def spread(self, weights: Array, gradient: Array, direction: Array) -> float:
        """Return how far rounding, or scatter, moves ⟨gradient, direction⟩."""
        found = [abs(float((run.pull(weights) - gradient) @ direction)) for run in self.moved]
        found = [value for value in found if np.isfinite(value)]
        return max([self.scatter, *(SPREADS * value for value in found)])


def measured(
    target: Target, recording: Recording, weights: Array, direction: Array, gradient: Array,
    unit: float, repeat: Recording,
) -> Noise:  # fmt: skip
    """Measure the noise at a point from a repeated run and from runs a few roundoffs away.

    repeat: a second recording at the same point.
    """
    analytic = float(gradient @ direction)
    again = float(repeat.pull(weights) @ direction)
    scatter = np.abs(repeat.outputs - recording.outputs)
    if scatter.any() or again != analytic:
        return _distribution(target, recording, weights, direction)
    tau = 8 * unit
    values = 2 * unit * np.abs(recording.outputs)
    beside = [_recorded(target, target.point + sign * tau * direction) for sign in (1.0, -1.0)]
    moved = [run for run in beside if run is not None]
    if len(moved) < len(beside):  # the function ends here
        return Noise(values, moved=tuple(moved))
    up, down = moved
    with np.errstate(all="ignore"):
        # the slope cancels in the mean, and the rounding stays; what one roundoff in the inputs
        # does, one in the function may do as well
        values = values + 2 * np.abs(up.outputs + down.outputs - 2 * recording.outputs)
        values = values + np.abs(up.outputs - down.outputs) / 8
        values[np.isnan(values)] = 0.0
    return Noise(values, moved=(up, down))


def _recorded(target: Target, point: Array) -> Recording | None:
    try:
        return target.record(point)
    except REFUSALS:
        return None


def _distribution(target: Target, recording: Recording, weights: Array, direction: Array) -> Noise:
    """Repeat the forward and, on one graph, the backward."""
    outputs = [recording.outputs]
    across, within = [], []
    for _ in range(RUNS):
        run = target.record(target.point)
        outputs.append(run.outputs)
        across.append(float(run.pull(weights) @ direction))
        within.append(float(recording.pull(weights) @ direction))
    stacked = np.array(outputs)
    with np.errstate(all="ignore"):
        deviation = stacked.std(axis=0)
        typical = float(np.abs(weights) @ np.abs(stacked.mean(axis=0))) or 1.0
        forward = float(np.abs(weights) @ deviation) / typical
        scale = float(np.mean(np.abs(across))) or 1.0
        backward = float(np.std(within)) / scale
        spread = float(max(np.std(across), np.std(within)))
    return Noise(SPREADS * deviation, SPREADS * spread, (), forward, backward)
