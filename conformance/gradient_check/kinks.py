"""What a function does along a line where its derivative is in doubt: kinks, jumps, edges.

At a kink any element of Clarke's generalised gradient is a right answer (Clarke 1983, Optimization
and Nonsmooth Analysis, section 2.1): the convex hull of the limits of gradients nearby. Anything
else is wrong there too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from conformance.gradient_check.directions import Draws
from conformance.gradient_check.line import DEPTH, Line, Slopes
from conformance.observation import Array

MARGIN = 4.0
"""Times the bounds of two one-sided slopes that they must lie apart to be two."""
AROUND, CLOSE = (0.3, 0.5), (0.62, 0.72)
"""Where a hull is sampled, as parts of the bits of a roundoff: distance, and size of the steps."""
NEARBY = 64
"""Points near a kink whose slopes stand for the hull."""
MET = 3
"""Points of those at which either end of a hull must be met to be trusted."""
WIDEN = 0.25
"""Fraction of its width by which a sampled hull is widened at either end: samples miss extremes."""


class Shape(IntEnum):
    """How an output behaves along the line at the point."""

    SMOOTH = 0
    KINK = 1
    EDGE_RIGHT = 2
    EDGE_LEFT = 3
    JUMP = 4
    UNBOUNDED = 5
    UNDEFINED = 6
    UNCLEAR = 7


REASONS = {
    Shape.JUMP: "the function jumps there",
    Shape.UNBOUNDED: "its slope grows without bound there",
    Shape.UNDEFINED: "it is undefined on both sides",
    Shape.UNCLEAR: "differences do not settle at any step: it oscillates, or rounding drowns it",
}


def classified(line: Line, slopes: Slopes, noise: Array) -> Array:
    """Return the shape of every output."""
    with np.errstate(all="ignore"):
        typical = _typical(slopes.central)
        tolerance = line.unit**0.3 * np.fmax(np.abs(slopes.central), typical)
        settled = slopes.error <= np.maximum(tolerance, 0)
        # at a kink like that of |x| the two-sided slope is zero, and no measure of one-sided ones
        known = 8 * line.unit**0.3
        right = slopes.right_error <= np.fmax(8 * tolerance, known * np.abs(slopes.right))
        left = slopes.left_error <= np.fmax(8 * tolerance, known * np.abs(slopes.left))
        apart = np.abs(slopes.right - slopes.left)
        kinked = apart > MARGIN * (slopes.right_error + slopes.left_error)
        slack = 8 * line.unit * np.abs(line.outputs)
        first, last = (
            np.array([line.sample(window + level) for level in range(DEPTH)])
            for window in (line.windows()[0], line.windows()[-1] - DEPTH)
        )
        still = (np.abs(first - line.outputs) <= slack).all(axis=(0, 1))
        still |= (np.abs(last - line.outputs) == 0).all(axis=(0, 1)) & (slopes.central == 0)
    up, down = line.sample(line.windows()[-1] + DEPTH - 1)
    finite_up, finite_down = np.isfinite(up), np.isfinite(down)
    shape = np.full(line.outputs.shape, int(Shape.UNCLEAR))
    shape[settled & ~kinked] = Shape.SMOOTH
    shape[still] = Shape.SMOOTH
    shape[right & left & kinked] = Shape.KINK
    shape[finite_up & ~finite_down & right] = Shape.EDGE_RIGHT
    shape[finite_down & ~finite_up & left] = Shape.EDGE_LEFT
    shape[~finite_up & ~finite_down] = Shape.UNDEFINED
    shape[~np.isfinite(line.outputs)] = Shape.UNDEFINED
    doubtful = shape == Shape.UNCLEAR
    if doubtful.any():
        shape[doubtful] = _singular(line, noise)[doubtful]
        _flatten(line, slopes, shape, finite_up, finite_down)
    return shape


def _flatten(
    line: Line, slopes: Slopes, shape: Array, finite_up: Array, finite_down: Array
) -> None:
    """Settle outputs that change as a power of t between 1 and 2: their slopes are zero."""
    near = line.windows()[-1] + DEPTH - 1
    flat = shape == Shape.UNCLEAR
    sides = ((0, slopes.right, slopes.right_error), (1, slopes.left, slopes.left_error))
    for side, slope, error in sides:
        with np.errstate(all="ignore"):
            changes = [np.abs(line.sample(near - k)[side] - line.outputs) for k in (0, 8, 16)]
            powers = [np.log2(changes[k + 1] / changes[k]) / 8 for k in (0, 1)]
            steady = (np.abs(powers[0] - powers[1]) < 0.05) & (powers[0] > 1.1)
            here = (shape == Shape.UNCLEAR) & steady
            slope[here], error[here] = 0.0, (changes[0] * 2.0**near)[here]
        flat &= here | ~(finite_up, finite_down)[side]
    shape[flat & finite_up & finite_down] = Shape.KINK
    shape[flat & finite_up & ~finite_down] = Shape.EDGE_RIGHT
    shape[flat & ~finite_up & finite_down] = Shape.EDGE_LEFT


def _typical(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0


def _singular(line: Line, noise: Array) -> Array:
    """Tell jumps and unbounded slopes by the power of t with which an output changes."""
    far, near = line.windows()[0], line.windows()[-1] + DEPTH - 1
    shape = np.full(line.outputs.shape, int(Shape.UNCLEAR))
    for side in (0, 1):
        with np.errstate(all="ignore"):
            here, before = line.sample(near)[side], line.sample(near - 1)[side]
            large = np.abs(line.sample(far)[side] - line.outputs)
            small = np.abs(here - line.outputs)
            power = np.log2(large / small) / (near - far)
            last = np.log2(np.abs(before - line.outputs) / small)
            slopes = [
                np.abs(line.sample(near - k)[side] - line.outputs) * 2.0 ** (near - k)
                for k in (8, 4, 0)
            ]
            growth, before_that = slopes[2] - slopes[1], slopes[1] - slopes[0]
            logarithmic = (growth > 0.02 * slopes[2]) & (abs(growth - before_that) < 0.1 * growth)
        steady = (power > 0.05) & (power < 0.9) & (np.abs(last - power) < 0.1)
        shape[(small > 16 * noise) & (steady | logarithmic)] = Shape.UNBOUNDED
        # a value that stays where it went is a jump, one that does not is noise
        shape[(small > 16 * line.unit) & (1024 * np.abs(here - before) < small)] = Shape.JUMP
    return shape


def interval(slopes: Slopes, shape: int, output: int) -> tuple[float, float]:
    """Return the least and largest valid slope of one output, bounds of their errors included."""
    sides = []
    if shape != Shape.EDGE_LEFT:
        sides.append((float(slopes.right[output]), float(slopes.right_error[output])))
    if shape != Shape.EDGE_RIGHT:
        sides.append((float(slopes.left[output]), float(slopes.left_error[output])))
    return (
        min(value - MARGIN * error for value, error in sides),
        max(value + MARGIN * error for value, error in sides),
    )


@dataclass(frozen=True, slots=True)
class Hull:
    """The range of slopes nearby. known: both ends were met often enough to be the ends."""

    low: float
    high: float
    known: bool


def hull(line: Line, weights: Array, random: Draws, parts: tuple[float, float] = AROUND) -> Hull:
    """Return the range of slopes of Σ weights·outputs at points near the start of the line.

    parts: of the bits of a roundoff, how far away and how large the steps are.
    """
    away, step = (2.0 ** round(part * np.log2(line.unit)) for part in parts)
    scale = np.abs(line.direction)
    scale[scale == 0] = float(np.min(scale[scale > 0], initial=1.0))
    found = []
    for number in range(NEARBY // 2):
        shift = random.generator.standard_normal(scale.size) * scale * away
        if number == 0:
            shift = np.sign(line.direction) * scale * away
        for sign in (1.0, -1.0):
            base, move = line.start + sign * shift, line.direction * step
            up, down = (line.at(base + s * move) for s in (1.0, -1.0))
            with np.errstate(all="ignore"):
                found.append(float(weights @ (up - down)) / (2 * step))
    slopes = np.array([value for value in found if np.isfinite(value)])
    if slopes.size == 0:
        return Hull(-np.inf, np.inf, False)
    low, high = float(slopes.min()), float(slopes.max())
    noise = line.usual_noise(weights) / step
    width = high - low
    extra = WIDEN * width + 2 * noise
    ends = [int(np.sum(abs(slopes - end) <= 0.05 * width + 2 * noise)) for end in (low, high)]
    return Hull(low - extra, high + extra, min(ends) >= MET)


def in_hull(line: Line, weights: Array, gradient: Array, random: Draws) -> bool:
    """Tell whether slopes nearby differ and a gradient's is among them, and is so closer by.

    Of a kink beside the point, the steps that are taken closer by show one side only.
    """
    nearby, slope = hull(line, weights, random), float(gradient @ line.direction)
    wide = 64 * line.unit**0.5 * max(abs(nearby.low), abs(nearby.high))
    if not (nearby.high - nearby.low > wide and nearby.low <= slope <= nearby.high):
        return False
    close = hull(line, weights, random, CLOSE)
    return close.low <= slope <= close.high
