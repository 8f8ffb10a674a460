"""What all probes start from: a point whose gradient is right, and what equal gradients are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conformance.gradient_check.base_point import BACKWARD_ERRORS, BasePoint
from conformance.gradient_check.line import Line
from conformance.gradient_check.products import equal
from conformance.gradient_check.recordings import Recording
from conformance.gradient_check.result import Departure
from conformance.observation import Array

EQUAL = 4096.0
"""Units of roundoff, of the largest entry, within which gradients are the same at first sight."""
SCALED = 2.0**20
"""The same where one cotangent was a small or large multiple: not every right backward is linear to
the last digits, those that go through logarithms least."""
ROUNDINGS = 64.0
"""Units of roundoff, of the sum of magnitudes, between slopes of forward and reverse mode."""
SPREADS = 8.0
"""Times what a few roundoffs in the input do to a gradient that two of them may lie apart."""


@dataclass(slots=True)
class Context:
    """A point, a cotangent and its gradient, and the line along which that was found right.

    spare: another call that a probe has made, of whose graph little is asked. huge: the factor on
    inputs. pushed: the derivative along the line in forward mode, where it was found right.
    """

    base: BasePoint
    line: Line
    weights: Array
    gradient: Array
    spare: Recording | None = None
    huge: float = 2.0**18
    pushed: Array | None = None

    @property
    def slope(self) -> float:
        """⟨gradient, direction⟩ of what is finite; all its terms are of one sign."""
        slope = float(self.gradient.dot(self.line.direction))
        if slope - slope != 0.0:
            finite = np.where(np.isfinite(self.gradient), self.gradient, 0.0)
            slope = float(finite @ self.line.direction)
        return slope

    @property
    def largest(self) -> float:
        """The largest size of an element of the gradient, NaN where one is that."""
        return float(np.maximum.reduce(np.abs(self.gradient), initial=0.0))

    def same(self, found: Array, expected: Array | None = None, roundings: float = EQUAL) -> bool:
        """Tell whether rounding accounts for two gradients (default: the first) being different."""
        return self.difference(found, expected, roundings) is None

    def difference(
        self, found: Array, expected: Array | None = None, roundings: float = EQUAL
    ) -> int | None:
        """Return the position of the largest difference, or None where rounding accounts for it."""
        wanted = self.gradient if expected is None else expected
        if equal(found, wanted):
            return None
        apart = np.abs(found - wanted)
        apart[~np.isfinite(wanted)] = 0.0
        apart[np.isnan(apart)] = np.inf
        largest = float(np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted)))
        worst = float(np.max(apart, initial=0.0))
        if worst <= roundings * self.base.unit * largest:
            return None
        if worst <= SPREADS * self._sensitivity():
            return None
        return int(np.argmax(apart))

    def _sensitivity(self) -> float:
        """Return how far a few roundoffs in the input move the gradient.

        Zero where a repetition does not confirm it: what state left behind excuses nothing.
        """
        base = self.base
        step = 8 * base.unit * self.line.direction
        try:
            up, down, again = (
                base.target.record(base.point + sign * step).pull(self.weights)
                for sign in (1.0, -1.0, 1.0)
            )
        except BACKWARD_ERRORS:
            return 0.0
        moved, repeated = np.abs(up - down), np.abs(again - up)
        usable = np.isfinite(moved) & np.isfinite(repeated)
        if 2 * np.max(repeated, initial=0.0, where=usable) > np.max(
            moved, initial=0.0, where=usable
        ):
            return 0.0
        return float(np.max(moved, initial=0.0, where=usable))

    def wrong(self, cause: str, found: Array, circumstance: str, expected: Array) -> Departure:
        """Return the failure that a gradient is another one under some circumstance."""
        place = self.difference(found, expected)
        at = int(np.argmax(np.abs(found - expected))) if place is None else place
        where = self.base.input_place(at)
        got, want = float(found[at]), float(expected[at])
        limit = EQUAL * self.base.unit * float(np.max(np.abs(expected), initial=0.0))
        digits = 6
        while digits < 17 and f"{got:.{digits}g}" == f"{want:.{digits}g}":
            digits += 2
        return Departure(
            cause,
            f"{circumstance}, the gradient of {where} is {got:.{digits}g} instead of"
            f" {want:.{digits}g}",
            None, where, got, want, abs(got - want), limit,
        )  # fmt: skip
