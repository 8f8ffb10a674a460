"""From a direction that is wrong to the output and the input element at fault, by halving."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from conformance.gradient_check.base_point import BasePoint
from conformance.gradient_check.comparison import Comparison, compare
from conformance.gradient_check.kinks import MARGIN
from conformance.gradient_check.line import Line
from conformance.gradient_check.randomness import Noise
from conformance.gradient_check.result import Departure
from conformance.gradient_check.targets import Spent
from conformance.observation import Array

MOST_KINKED = 8
"""Elements at a kink beyond which they are not told apart from the others."""


def narrowed(mask: Array, compared: Callable[[Array], Comparison]) -> tuple[Array, Comparison]:
    """Return the part of a mask, found by halving, that is still in error, and its comparison.

    Ends at one element, or where neither half is in error by itself.
    """
    found = compared(mask)
    while True:
        kept = np.flatnonzero(mask)
        if kept.size <= 1:
            return mask, found
        halves = []
        for part in (kept[: kept.size // 2], kept[kept.size // 2 :]):
            half = np.zeros_like(mask)
            half[part] = mask[part]
            halves.append((half, compared(half)))
        mask_next, best = max(halves, key=lambda pair: _excess(pair[1]))
        if best.agrees:
            return mask, found
        mask, found = mask_next, best


def _excess(comparison: Comparison) -> float:
    if not np.isfinite(comparison.gap):
        return -1.0
    return comparison.gap / max(comparison.limit, 1e-300)


def located(base: BasePoint, line: Line, weights: Array, noise: Noise) -> Departure:
    """Return the departure with the output and input element that show it best.

    Without a place where the budget does not suffice to find it.
    """
    try:
        return _located(base, line, weights, noise)
    except Spent:
        base.target.effort.budget = math.inf  # one backward more; what was found is certain
        gradient = base.pull(weights)
        comparison = compare(line, weights, gradient, noise.loudness(weights))
        values = comparison.analytic, comparison.slope.value, comparison.gap, comparison.limit
        return Departure("formula", _sentence(None, None, *values), None, None, *values)


def _located(base: BasePoint, line: Line, weights: Array, noise: Noise) -> Departure:

    def by_output(w: Array) -> Comparison:
        gradient = base.pull(w)
        spread = noise.spread(w, gradient, line.direction)
        return compare(line, w, gradient, noise.loudness(w), spread)

    chosen, comparison = narrowed(weights, by_output)
    gradient = base.pull(chosen)

    def by_input(direction: Array) -> Comparison:
        spread = noise.spread(chosen, gradient, direction)
        return compare(base.line(direction), chosen, gradient, noise.loudness(chosen), spread)

    direction, comparison = narrowed(line.direction, by_input)
    outputs, inputs = np.flatnonzero(chosen), np.flatnonzero(direction)
    cotangent = float(chosen[outputs[0]]) if outputs.size == 1 else 1.0
    step = float(direction[inputs[0]]) if inputs.size == 1 else 1.0
    factor = cotangent * step
    analytic, numeric = comparison.analytic / factor, comparison.slope.value / factor
    output = base.output_place(int(outputs[0])) if outputs.size == 1 else None
    where = base.input_place(int(inputs[0])) if inputs.size == 1 else None
    error, bound = comparison.gap / abs(factor), comparison.limit / abs(factor)
    return Departure(
        "formula", _sentence(output, where, analytic, numeric, error, bound),
        output, where, analytic, numeric, error, bound,
    )  # fmt: skip


def _sentence(
    output: object, where: object, analytic: float, numeric: float, error: float, bound: float
) -> str:
    digits = 6
    while digits < 17 and f"{analytic:.{digits}g}" == f"{numeric:.{digits}g}":
        digits += 2
    what = (
        f"the derivative of {output or 'a random combination of the outputs'} by"
        f" {where or 'a random combination of the inputs'}"
    )
    relative = error / abs(numeric) if numeric else float("inf")
    times = f", {relative:.2g} of it" if relative < 1e6 else ""
    return (
        f"{what} is {numeric:.{digits}g}, backward gives {analytic:.{digits}g}"
        f" (error {error:.2g}{times}; at most {bound:.2g} is rounding)"
    )


def one_sided(base: BasePoint, weights: Array, position: int) -> tuple[float, float, bool]:
    """Return the least and largest slope along one element, bounds included, and if they differ."""
    direction = np.zeros(base.point.size)
    direction[position] = base.scales[position]
    line = base.line(direction)
    noise = line.usual_noise(weights)
    best: list[tuple[float, float]] = [(np.nan, np.inf), (np.nan, np.inf)]
    for first in line.windows():
        slopes = line.along(first, np.full(base.outputs.shape, 0.0))
        for side, (value, error) in enumerate(
            ((slopes.right, slopes.right_error), (slopes.left, slopes.left_error))
        ):
            total = float(np.abs(weights) @ error) + 8 * noise * 2.0 ** (first + 3)
            if total < best[side][1]:
                best[side] = float(weights @ value), total
    step = float(direction[position])
    (right, right_error), (left, left_error) = best
    apart = abs(right - left) > MARGIN * (right_error + left_error)
    slack = MARGIN * max(right_error, left_error)
    low, high = min(right, left) - slack, max(right, left) + slack
    return low / step, high / step, bool(apart)


def kinked_elements(base: BasePoint, direction: Array, weights: Array) -> list[int] | None:
    """Return the elements along which Σ weights·outputs has a kink; None if more than a few."""
    found: list[int] = []
    waiting = [np.flatnonzero(direction)]
    while waiting:
        part = waiting.pop()
        if len(found) > MOST_KINKED:
            return None
        masked = np.zeros_like(direction)
        masked[part] = direction[part]
        slopes = base.line(masked).best(2 * base.unit * np.abs(base.outputs))
        with np.errstate(all="ignore"):
            apart = np.abs(slopes.right - slopes.left)
            kinked = apart > MARGIN * (slopes.right_error + slopes.left_error)
        if not (kinked & (weights != 0)).any():
            continue
        if part.size == 1:
            found.append(int(part[0]))
        else:
            waiting += [part[: part.size // 2], part[part.size // 2 :]]
    return found
