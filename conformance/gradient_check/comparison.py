"""A gradient against the slope of its function: their distance, and what may account for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from conformance.gradient_check.line import DEPTH, SETTLED, SETTLED_NOISE, Line
from conformance.gradient_check.numerics import Slope
from conformance.gradient_check.products import product
from conformance.observation import Array

ROUNDING = 16.0
"""Units of roundoff, of the sum of the magnitudes, granted to a gradient until it is measured."""

CONVINCING = 0.01
"""Largest limit, as a fraction of the scale, at which agreement is called a pass."""

STEPPED = 2
"""Windows that a long line leaves to the last."""

COINCIDENCE = 2.0**-36
"""Fraction of the scale, beside rounding, within which a gradient and the limit of two differences
are not close by chance."""


class Comparison(NamedTuple):
    """⟨gradient, direction⟩ and the slope of the function along the direction.

    limit: the most that rounding and the numeric error may put between them; scale: the sum of the
    magnitudes that either adds up; wanted: the fraction of the scale that limit must not exceed for
    the comparison to say anything; settled: the numeric slope is known to a small part of its own
    size, or to what rounding allows.
    """

    analytic: float
    slope: Slope
    limit: float
    scale: float
    wanted: float
    first: int
    settled: bool

    @property
    def gap(self) -> float:
        """Return the distance."""
        return abs(self.analytic - self.slope.value)

    @property
    def resolved(self) -> bool:
        """Whether an error of the wanted size would be seen."""
        return self.settled and (self.limit <= self.wanted * self.scale or self.limit < 1e-300)

    @property
    def agrees(self) -> bool:
        """Whether nothing but rounding and the numeric error is needed to explain the distance."""
        return self.gap <= self.limit

    @property
    def convinces(self) -> bool:
        """Whether it agrees, and would not if there were an error of the wanted size."""
        limit = self.limit
        if not (self.settled and abs(self.analytic - self.slope.value) <= limit):
            return False
        return limit <= self.wanted * self.scale or limit < 1e-300

    @property
    def relative_limit(self) -> float:
        """Return the limit as a fraction of the scale."""
        return self.limit / self.scale if self.scale > 0 else 0.0


def compare(
    line: Line,
    weights: Array,
    gradient: Array,
    noise: float | None = None,
    spread: float = 0.0,
    aligned: bool = False,
) -> Comparison:
    """Compare, at the first window of steps that resolves an error, or else at the best one.

    A gradient of zero is right where no output changes at all.
    noise: of Σ weights·outputs, measured; None for the usual. spread: what rounding was measured to
    do to the analytic side. aligned: the direction has the signs of this gradient.
    """
    analytic = product(gradient, line.direction)
    magnitudes = analytic if aligned else line.magnitude(gradient)
    rounding = ROUNDING * line.unit * magnitudes + spread
    expected = line.usual_noise(weights) if noise is None else noise
    wanted = line.unit**0.4
    best: Comparison | None = None
    if magnitudes == 0.0 and not line.changes(line.windows()[0]).any():
        return Comparison(0.0, Slope(0.0, 0.0), 0.0, 0.0, wanted, line.windows()[0], True)
    if not line.skipped:
        # beside a kink of one of very many numbers the next smaller steps most often suffice
        windows = _ordered(line, expected, wanted * magnitudes)[:2] if line.long else (line.first,)
        for first in windows:
            seen = _at_sight(line, weights, analytic, magnitudes, expected, rounding, first)
            if seen.convinces:
                return seen
    for first, depth in _plans(line, expected, magnitudes):
        slope = line.slope(weights, first, expected, depth)
        numeric = _magnitude(line, weights, first, depth)
        limit = slope.error + rounding + ROUNDING * line.unit * numeric
        if not math.isfinite(limit):
            limit = math.inf
        scale = max(magnitudes, numeric if math.isfinite(numeric) else 0.0)
        settled = slope.error <= max(SETTLED * numeric, SETTLED_NOISE * expected * 2.0**first)
        found = Comparison(analytic, slope, limit, scale, wanted, first, settled)
        if best is None or (found.settled, -found.limit) > (best.settled, -best.limit):
            best = found
        if found.resolved:
            break
    assert best is not None
    return best


def _at_sight(
    line: Line, weights: Array, analytic: float, magnitudes: float, noise: float, rounding: float,
    first: int,
) -> Comparison:  # fmt: skip
    """Compare with the limit of the two smaller steps of a window, or with the larger of them.

    Two differences do not tell how far their limit is off; what it lacks beside rounding goes as
    the square of the distance between them. A gradient as close to it as that is right, as nothing
    else would be where two steps happen to point. On a long line steps are so small that one of
    them lacks no more, and calls take their time.
    """
    wanted = line.unit**0.4
    far = near = line.difference(first + 1, weights)
    arriving, last = noise * 2.0 ** (first + 1), first + 1
    if not line.long:
        near, last = line.difference(first + 2, weights), first + 2
        arriving *= 3
    scale = magnitudes
    if arriving > wanted * scale:  # the outputs may cancel, to the last digits
        scale = max(scale, _magnitude(line, weights, last, 1))
    lacking, apart = COINCIDENCE * scale, abs(near - far)
    if apart < scale and not line.long:
        lacking = min(lacking, apart * apart / scale)
    slope = Slope(near + (near - far) / 3, lacking + arriving)
    return Comparison(analytic, slope, slope.error + 2 * rounding, scale, wanted, first, True)


def _ordered(line: Line, noise: float, wanted: float) -> list[int]:
    """Return the first levels of the windows to try.

    A long line starts with smaller steps where noise permits: wide ones cross a kink of one of so
    many numbers.
    """
    windows = line.windows()
    if line.long and len(windows) > STEPPED and noise * 2.0 ** windows[STEPPED] <= wanted:
        return windows[STEPPED:] + windows[:STEPPED]
    return windows


def _plans(line: Line, noise: float, magnitudes: float) -> Iterator[tuple[int, int]]:
    """Yield first levels and depths: larger steps after the first where noise is in the way."""
    wanted = line.unit**0.4 * magnitudes
    windows = _ordered(line, noise, wanted)
    wide = (1, 6) if line.unit < 2.0**-30 else (0, 4)
    yield windows[0], DEPTH
    if not line.skipped and noise * 2.0 ** windows[0] > wanted:
        yield wide
    for first in windows[1:]:
        yield first, DEPTH


def _magnitude(line: Line, weights: Array, first: int, depth: int) -> float:
    """Return Σ |weights|·|slopes of the outputs|, to within the accuracy of one difference."""
    changes, sizes = np.abs(line.changes(first, depth)[0]), np.abs(weights)
    total = float(sizes.dot(changes))
    if total != total:
        total = float(sizes @ np.where(weights == 0, 0.0, changes))
    return total
