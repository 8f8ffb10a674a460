"""Every input element by itself: columns of the Jacobian one at a time, never the whole of it."""

from __future__ import annotations

import numpy as np

from conformance.gradient_check.base_point import BasePoint
from conformance.gradient_check.comparison import ROUNDING
from conformance.gradient_check.directions import signed
from conformance.gradient_check.kinks import MARGIN
from conformance.gradient_check.line import Line, Slopes
from conformance.gradient_check.randomness import measured
from conformance.gradient_check.result import Departure, ElementErrors
from conformance.observation import Array

BUDGET = 1 << 20
"""Numbers of analytic gradients that are held at a time; above, cotangents are random."""
COTANGENTS = 8
"""Random cotangents where one for each output would exceed the budget."""


def by_element(base: BasePoint) -> tuple[list[Departure], tuple[ElementErrors, ...]]:
    """Compare all elements; return departures, the largest first, and errors for a picture.

    Holds at most BUDGET numbers of gradients: a row for each output where that suffices, else rows
    for COTANGENTS random combinations of them. Columns are measured and dropped one by one.
    """
    size, outputs = base.point.size, base.outputs.size
    if size * outputs <= BUDGET:
        weights = np.eye(outputs)[base.finite]
    else:
        weights = np.array([signed(base.random, outputs) * base.finite for _ in range(COTANGENTS)])
    rows = np.array([base.pull(w) for w in weights])
    column = _Columns(base, weights, rows)
    for position in range(size):
        column.judge(position)
    departures = sorted(column.departures, key=lambda d: -d.error / max(d.bound, 1e-300))
    elements = tuple(
        ElementErrors(v.name, v.shape, *(list(map(float, a[v.span])) for a in column.measured))
        for v in base.target.variables
    )
    return departures, elements


class _Columns:
    """The comparison of analytic rows with numeric columns. measured: error, bound, scale."""

    def __init__(self, base: BasePoint, weights: Array, rows: Array) -> None:
        self.base, self.weights, self.rows = base, weights, rows
        self.measured = tuple(np.zeros(base.point.size) for _ in range(3))
        self.departures: list[Departure] = []
        self._identity = len(weights) and weights.shape[0] == int(base.finite.sum())

    def judge(self, position: int) -> None:
        """Compare one column."""
        base = self.base
        direction = np.zeros(base.point.size)
        step = direction[position] = base.scales[position]
        line = base.line(direction)
        analytic = self.rows[:, position] * step
        noise = 4 * base.unit * np.abs(base.outputs)
        low, high, error, scale = self._range(line, line.along(line.windows()[0], noise), analytic)
        wrong = ~((low <= analytic) & (analytic <= high))
        if wrong.any() or (error > line.unit**0.4 * scale).any():
            low, high, error, scale = self._range(line, line.best(noise), analytic)
            wrong = ~((low <= analytic) & (analytic <= high)) & np.isfinite(error)
        if wrong.any():
            spread = measured(
                base.target, base.recording, self.weights[int(np.argmax(wrong))], direction,
                self.rows[int(np.argmax(wrong))], base.unit, base.target.record(base.point),
            )  # fmt: skip
            gradients = self.rows[:, position] * step
            extra = np.array([
                spread.spread(w, g, direction) if bad else 0.0
                for w, g, bad in zip(self.weights, self.rows, wrong, strict=True)
            ])  # fmt: skip
            slopes = line.best(spread.values + noise)
            low, high, error, scale = self._range(line, slopes, gradients)
            wrong &= (analytic < low - extra) | (analytic > high + extra) | np.isnan(analytic)
        with np.errstate(all="ignore"):
            gap = np.fmax(np.fmax(low + error - analytic, analytic - (high - error)), 0.0)
            worst = int(np.argmax(np.where(wrong, np.inf, gap))) if gap.size else 0
        if gap.size:
            values = (gap[worst], error[worst], scale[worst])
            for kept, value in zip(self.measured, values, strict=True):
                kept[position] = value / step
        if wrong.any():
            self._report(position, worst, analytic, 0.5 * (low + high), error, step)

    def _range(
        self, line: Line, slopes: Slopes, analytic: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Return least and largest valid slope, bound of error, and scale, per cotangent."""
        with np.errstate(all="ignore"):
            apart = np.abs(slopes.right - slopes.left)
            kinked = apart > MARGIN * (slopes.right_error + slopes.left_error)
            one, two = (
                np.where(kinked, side, slopes.central) for side in (slopes.right, slopes.left)
            )
            edge = MARGIN * np.maximum(slopes.right_error, slopes.left_error)
            error = np.where(kinked, edge, 2 * slopes.error)
            finite = self.base.finite
            if self._identity:
                low, high, bound = (
                    a[finite] for a in (np.minimum(one, two), np.maximum(one, two), error)
                )
            else:
                w = self.weights[:, finite]
                ends = w * one[finite], w * two[finite]
                low, high = np.minimum(*ends).sum(1), np.maximum(*ends).sum(1)
                bound = np.abs(w) @ error[finite]
            scale = np.maximum(np.abs(analytic), np.maximum(np.abs(low), np.abs(high)))
            bound = bound + 4 * ROUNDING * line.unit * scale
        return low - bound, high + bound, bound, scale

    def _report(
        self, position: int, row: int, analytic: Array, numeric: Array, error: Array, step: float
    ) -> None:
        place = self.base.input_place(position)
        output = None
        if self._identity:
            output = self.base.output_place(int(np.flatnonzero(self.base.finite)[row]))
        got, want = float(analytic[row] / step), float(numeric[row] / step)
        bound = float(error[row] / step)
        sentence = (
            f"the derivative of {output or 'a random combination of the outputs'} by {place} is"
            f" {want:.12g}, backward gives {got:.12g} (error {abs(got - want):.2g}; at most"
            f" {bound:.2g} is rounding)"
        )
        self.departures.append(
            Departure("formula", sentence, output, place, got, want, abs(got - want), bound)
        )
