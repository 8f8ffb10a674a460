"""A function along one line through a point, sampled at steps 2^-level on both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from conformance.gradient_check.numerics import NOISE, Slope, extrapolated, extrapolated_slope
from conformance.gradient_check.products import CACHED, product_of_sizes
from conformance.gradient_check.targets import Target
from conformance.observation import Array

REFUSALS = (ArithmeticError, LookupError, RuntimeError, ValueError)
"""What a function may raise at a point beside the one at which it is checked."""
SETTLED = 2.0**-6
"""Fraction of itself within which a numeric slope must be known to count."""
SETTLED_NOISE = 64.0
"""Times the noise of one difference within which it must be known where it is close to zero."""
STEADY = 2.0**-6
"""Fraction of the sum of magnitudes by which slopes at far and near steps may differ."""
LONG = 1 << 18
"""Numbers of inputs, or of outputs, beyond which a line is long: it takes memory sparingly."""
DEPTH = 3
"""Steps of one window: enough for an extrapolation and for a bound of its error."""


@dataclass(frozen=True, slots=True)
class Slopes:
    """Per output: the derivative along the line from both sides, and one-sided; with bounds.

    A bound is infinite where differences have not settled: what oscillates faster than the steps
    has small differences, and means nothing by them.
    """

    central: Array
    error: Array
    right: Array
    right_error: Array
    left: Array
    left_error: Array


@cache
def _windows(unit: float) -> tuple[int, ...]:
    bits = -math.log2(unit)
    first = max(1, round(0.15 * bits))
    last = max(first, round(0.78 * bits) - DEPTH + 1)
    return tuple(range(first, last + 1, 6 if bits > 30 else 3))


class Line:
    """Samples of `target` at start + t·direction; `unit` is the roundoff of the outputs."""

    def __init__(
        self, target: Target, start: Array, direction: Array, outputs: Array, unit: float
    ) -> None:
        self.target, self.start, self.direction = target, start, direction
        self.outputs, self.unit = outputs, unit
        self._samples: dict[int, tuple[Array, Array]] = {}
        self._apart: dict[int, Array] = {}
        self._changes: dict[tuple[int, int], Array] = {}
        self._point: Array | None = None
        self._sizes: Array | None = None
        self.skipped = 0

    def sample(self, level: int) -> tuple[Array, Array]:
        """Return the outputs at +2^-level and at -2^-level; a failed evaluation is NaN."""
        found = self._samples.get(level)
        if found is None:
            if self.start.size > LONG:
                found = self._sparing(2.0**-level), self._sparing(-(2.0**-level))
            else:
                shift = self.direction * 2.0**-level
                found = self.at(self.start + shift), self.at(self.start - shift)
            self._samples[level] = found
        return found

    def _sparing(self, step: float) -> Array:
        """Return the outputs at a step, in memory that is used again: fresh pages take longer."""
        if self._point is None:
            self._point = np.empty_like(self.start)
        for begin in range(0, self.start.size, CACHED):
            part = slice(begin, begin + CACHED)
            np.multiply(self.direction[part], step, out=self._point[part])
            self._point[part] += self.start[part]
        values = self.at(self._point)
        return values.copy() if np.may_share_memory(values, self._point) else values

    def at(self, point: Array) -> Array:
        """Return the outputs at any point, NaN where the function refuses that."""
        try:
            values = self.target.evaluate(point)
        except REFUSALS:  # beyond the edge of its domain, for one
            return np.full(self.outputs.shape, np.nan)
        if values.size != self.outputs.size:
            return np.full(self.outputs.shape, np.nan)
        return values

    @property
    def long(self) -> bool:
        """Whether numbers are many: memory is used again, and a kink is near at any wide step."""
        return self.start.size > LONG or self.outputs.size > LONG

    def magnitude(self, gradient: Array) -> float:
        """Return Σ |gradient|·|direction|."""
        if gradient.size <= CACHED:
            if self._sizes is None:
                self._sizes = np.abs(self.direction)
            return float(np.abs(gradient).dot(self._sizes))
        return product_of_sizes(gradient, self.direction)

    @property
    def first(self) -> int:
        """The first level of the usual window, or of the first that is not skipped."""
        return _windows(self.unit)[self.skipped]

    def windows(self) -> list[int]:
        """Return the first levels of the windows to try, from the usual one to the smallest.

        The first `skipped` are left out.
        """
        return list(_windows(self.unit)[self.skipped :])

    def steady(self, weights: Array, noise: float) -> None:
        """Skip windows whose slope of Σ weights·outputs is another than at a much smaller step.

        Steps that are multiples of a period, or many stairs wide, show a straight line.
        """
        level = round(-0.55 * math.log2(self.unit))
        near = self.difference(level, weights)
        up, down = self.sample(level)
        with np.errstate(all="ignore"):
            size = float(np.nansum(np.abs(weights) * np.abs(up - down))) * 2.0 ** (level - 1)
        slack = 4 * noise * 2.0**level + STEADY * size
        skipped = 0
        for first in self.windows()[:-1]:
            slope = self.slope(weights, first, noise)
            apart = abs(slope.value - near) - slope.error
            if not apart > slack:
                break
            if skipped == 0:  # noise that was not measured differs from step to step
                other = self.difference(level - 1, weights)
                slack += 8 * abs(near - other)
                if not apart > slack:
                    break
            skipped += 1
        self.skipped += skipped

    def slope(self, weights: Array, first: int, noise: float, depth: int = DEPTH) -> Slope:
        """Return the derivative of Σ weights·outputs from the window that starts at `first`.

        noise: what rounding is taken to add to that sum.
        """
        changes = self.changes(first, depth)
        sums = (changes @ weights).tolist()
        total = sum(sums)
        if total - total == 0.0:  # all finite
            return extrapolated_slope(sums, noise * 2.0**first)
        sums = np.where(weights == 0, 0.0, changes) @ weights
        value, error = extrapolated(sums, noise * 2.0**first, 2)
        return Slope(float(value), float(error))

    def changes(self, first: int, depth: int = DEPTH) -> Array:
        """Return the central differences of the outputs at the levels of a window, one a row."""
        found = self._changes.get((first, depth))
        if found is None:
            found = np.empty((depth, self.outputs.size))
            for row in range(depth):
                up, down = self.sample(first + row)
                np.subtract(up, down, out=found[row])
                found[row] *= 2.0 ** (first + row - 1)
            self._changes[first, depth] = found
        return found

    def difference(self, level: int, weights: Array) -> float:
        """Return the central difference of Σ weights·outputs at a level."""
        apart = self._apart.get(level)
        if apart is None:
            up, down = self.sample(level)
            if up.size > CACHED:
                return self._difference(up, down, weights) * 2.0 ** (level - 1)
            apart = self._apart[level] = up - down
        total = float(weights.dot(apart))
        if total != total:
            total = float(weights @ np.where(weights == 0, 0.0, apart))
        return total * 2.0 ** (level - 1)

    def _difference(self, up: Array, down: Array, weights: Array) -> float:
        """Return Σ weights·(up - down), piece by piece."""
        total = 0.0
        for begin in range(0, up.size, CACHED):
            part = slice(begin, begin + CACHED)
            total += float(weights[part].dot(up[part] - down[part]))
        if total != total:
            total = float(weights @ np.where(weights == 0, 0.0, up - down))
        return total

    def usual_noise(self, weights: Array) -> float:
        """Return the rounding noise of Σ weights·outputs if each output is good to a roundoff."""
        if weights.size <= CACHED:
            total = float(np.abs(weights).dot(np.abs(self.outputs)))
        else:
            total = product_of_sizes(weights, self.outputs)
        if total != total:
            total = float(np.abs(weights) @ np.where(weights == 0, 0.0, np.abs(self.outputs)))
        return NOISE * self.unit * total

    def along(
        self, first: int, noise: Array | float, depth: int = DEPTH, only: Array | None = None
    ) -> Slopes:
        """Return the slopes of every output from one window, or only of those at some places.

        noise: of these outputs' values.
        """
        levels = range(first, first + depth)
        samples, outputs = [self.sample(level) for level in levels], self.outputs
        if only is not None:
            samples = [(up[only], down[only]) for up, down in samples]
            outputs = outputs[only]
        steps = 2.0 ** -np.array(levels, dtype=float).reshape(-1, 1)
        with np.errstate(all="ignore"):
            ups, downs = (np.array([pair[side] for pair in samples]) for side in (0, 1))
            scaled = np.asarray(noise) * 2.0**first
            central, error = extrapolated((ups - downs) / (2 * steps), scaled, 2)
            right, right_error = extrapolated((ups - outputs) / steps, 2 * scaled, 1)
            left, left_error = extrapolated((outputs - downs) / steps, 2 * scaled, 1)
            rounding = SETTLED_NOISE * scaled
            size = np.fmax(np.abs(central), np.fmax(np.abs(right), np.abs(left)))
            for bound in (error, right_error, left_error):
                bound[~(bound <= np.maximum(SETTLED * size, rounding))] = np.inf
        return Slopes(central, error, right, right_error, left, left_error)

    def best(self, noise: Array | float) -> Slopes:
        """Return, per output, the slopes of least bound over all windows."""
        found: Slopes | None = None
        for first in self.windows():
            here = self.along(first, noise)
            found = here if found is None else _lesser(found, here)
        assert found is not None
        return found


def _lesser(one: Slopes, other: Slopes) -> Slopes:
    central = np.where(other.error < one.error, other.central, one.central)
    right = np.where(other.right_error < one.right_error, other.right, one.right)
    left = np.where(other.left_error < one.left_error, other.left, one.left)
    return Slopes(
        central,
        np.fmin(one.error, other.error),
        right,
        np.fmin(one.right_error, other.right_error),
        left,
        np.fmin(one.left_error, other.left_error),
    )
