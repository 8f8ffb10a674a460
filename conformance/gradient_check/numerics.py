"""Derivatives from values alone, each with a bound of its error.

Central differences at halving steps are extrapolated in h² and one-sided ones in h (Richardson
1911, https://doi.org/10.1098/rsta.1911.0009); of the table, the entry with the least estimated
error is taken (Ridders 1982, https://doi.org/10.1016/S0141-1195(82)80057-0). Every entry is a fixed
combination of the differences, so that one product with a constant matrix serves a number or a
million of them, and tells how much of the rounding noise of the function each entry carries.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from conformance.observation import Array

SAFETY = 2.0
"""Times the disagreement of an entry with its two parents that its error may be."""
_CERTAIN = 8.0
"""Times the rounding noise at which a jump of the slope is one."""
NOISE = 2.0
"""Units of roundoff by which a value of a function is taken to be wrong until that is measured."""


class Slope(NamedTuple):
    """A derivative and the bound of its error; an infinite bound says nothing is known."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Table:
    """An extrapolation table of fixed depth, as a matrix over the differences it starts from.

    weights: entries × differences. parents: for each entry after the first column, the two entries
    it was made of. candidates: the entries that may be chosen.
    """

    weights: Array
    candidates: Array
    left: Array
    above: Array
    magnified: Array
    """Per candidate Σ |weights|·2^level: how noise in values arrives."""


@cache
def table(levels: int, power: int) -> Table:
    """Return the table of `levels` halvings; errors go as h^power, h^2power, …"""
    rows: list[Array] = []
    position: dict[tuple[int, int], int] = {}
    for level in range(levels):
        for order in range(level + 1):
            if order == 0:
                row = np.zeros(levels)
                row[level] = 1.0
            else:
                factor = 2.0 ** (power * order)
                near, far = rows[position[level, order - 1]], rows[position[level - 1, order - 1]]
                row = (factor * near - far) / (factor - 1.0)
            position[level, order] = len(rows)
            rows.append(row)
    chosen = [key for key in position if key[1] > 0]
    if levels > 2:
        chosen = [key for key in chosen if key[0] > 1]
    weights = np.array(rows)
    candidates = np.array([position[key] for key in chosen], dtype=int)
    return Table(
        weights,
        candidates,
        np.array([position[level, order - 1] for level, order in chosen], dtype=int),
        np.array([position[level - 1, order - 1] for level, order in chosen], dtype=int),
        (np.abs(weights[candidates]) * 2.0 ** np.arange(levels)).sum(axis=1),
    )


def extrapolated(differences: Array, noise: Array | float, power: int) -> tuple[Array, Array]:
    """Return limits as h → 0 and bounds of their errors, per column.

    differences: levels × columns, taken at steps h, h/2, h/4, …; noise: what rounding can add to a
    difference at the largest step, per column or for all; power: 2 for central differences, 1 for
    one-sided ones.
    """
    scheme = table(len(differences), power)
    with np.errstate(all="ignore"):
        entries = scheme.weights @ differences
        chosen = entries[scheme.candidates]
        change = np.maximum(
            np.abs(chosen - entries[scheme.left]), np.abs(chosen - entries[scheme.above])
        )
        magnified = scheme.magnified if change.ndim == 1 else scheme.magnified[:, None]
        error = SAFETY * change + magnified * noise
        error[np.isnan(error)] = np.inf
        if error.ndim == 1:
            least = int(np.argmin(error))
            return chosen[least], error[least]
        best = np.argmin(error, axis=0)[None]
    value: Array = np.take_along_axis(chosen, best, axis=0)[0]
    bound: Array = np.take_along_axis(error, best, axis=0)[0]
    return value, bound


def extrapolated_slope(differences: list[float], noise: float) -> Slope:
    """Return what `extrapolated` does, power 2, of one column of finite numbers: less to set up."""
    magnified = _magnified(len(differences))
    rows: list[list[float]] = []
    value, least, at = math.nan, math.inf, 0
    for level, difference in enumerate(differences):
        row = [difference]
        for order in range(level):
            before, factor = rows[-1][order], 4.0 ** (order + 1)
            row.append((factor * row[order] - before) / (factor - 1.0))
            if level > 1 or len(differences) < 3:
                found = row[-1]
                change = max(abs(found - row[order]), abs(found - before))
                error = SAFETY * change + magnified[at] * noise
                at += 1
                if error < least:
                    value, least = found, error
        rows.append(row)
    return Slope(value, least)


@cache
def _magnified(levels: int) -> list[float]:
    found: list[float] = table(levels, 2).magnified.tolist()
    return found


Value = Callable[[float], "tuple[float, float]"]
"""φ(t) and the rounding noise in it."""


def derivative(
    value: Value, scale: float = 1.0, *, levels: int = 9, first: int = 3, enough: float = 2.0**-46
) -> Slope:
    """Return dφ/dt at 0 from central differences at steps scale·2^-first, halved `levels` times.

    At a kink the bound includes the jump of the slope, that of the one-sided differences likewise
    extrapolated to h = 0. Stops early where the bound falls below `enough` times the derivative.
    Raises nothing: where φ has no derivative, or is undefined, the bound is large or infinite.
    """
    (middle, noise), best = value(0.0), Slope(math.nan, math.inf)
    slopes: list[float] = []
    jumps: list[float] = []
    bend = math.inf
    for level in range(levels):
        h = scale * 2.0 ** -(level + first)
        (up, noise_up), (down, noise_down) = value(h), value(-h)
        rounding = (noise_up + noise_down + 2 * noise) / (2 * h)
        slopes, change = _next_row((up - down) / (2 * h), slopes, 0)
        jumps, doubt = _next_row((up - 2 * middle + down) / h, jumps, 1)
        jump = abs(jumps[-1]) if abs(jumps[-1]) > doubt + _CERTAIN * rounding else 0.0
        bend, above = abs(jumps[0]), bend
        if SAFETY * change + rounding < best.error:
            best = Slope(slopes[-1], SAFETY * change + rounding)
        if best.error + jump <= enough * abs(best.value):
            break
    else:  # the bend of a smooth function halves with h, to the last step
        jump = max(jump, bend) if bend > 0.6 * above + _CERTAIN * rounding else jump
    return Slope(best.value, best.error + jump)


def _next_row(first: float, above: list[float], odd: int) -> tuple[list[float], float]:
    """Return the next row of a Richardson table and how much its last entry has changed.

    odd: 0 where the error is a series in h², h⁴, …, 1 where it is one in h, h³, …
    """
    row, change = [first], math.inf
    for order, before in enumerate(above):
        factor = 2.0 ** (2 * order + 2 - odd)
        row.append((factor * row[order] - before) / (factor - 1))
        change = max(abs(row[-1] - row[-2]), abs(row[-1] - before))
    return row, change


def complex_step(value: Callable[[complex], complex], scale: float = 1.0) -> float:
    """Return dφ/dt at 0 as Im φ(ih)/h, free of cancellation; φ must be analytic and real on ℝ.

    Squire and Trapp 1998, https://doi.org/10.1137/S003614459631241X.
    """
    h = scale * 2.0**-60
    return value(complex(0.0, h)).imag / h


def taylor_order(values: Array, start: float, slope: float, largest: float) -> float:
    """Return p of the remainder |φ(t) - φ(0) - t·slope| ~ t^p: 2 where `slope` is right, else 1.

    values: φ at steps largest, largest/2, …; nan where the remainder is zero or undefined. Needs no
    choice of a step, only that remainders are above rounding.
    """
    steps = largest * 2.0 ** -np.arange(len(values))
    with np.errstate(all="ignore"):
        remainders = np.abs(values - start - steps * slope)
        orders = np.log2(remainders[:-1] / remainders[1:])
    return float(np.median(orders)) if np.isfinite(orders).all() and orders.size else math.nan
