"""What to make of a gradient that differs from the slope, or of a slope that is in doubt."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from conformance.gradient_check.base_point import BasePoint
from conformance.gradient_check.beside import compared_beside
from conformance.gradient_check.comparison import CONVINCING, Comparison, compare
from conformance.gradient_check.directions import DIGITS
from conformance.gradient_check.kinks import (
    MARGIN,
    REASONS,
    Shape,
    classified,
    hull,
    in_hull,
    interval,
)
from conformance.gradient_check.line import Line, Slopes
from conformance.gradient_check.locate import kinked_elements, located, one_sided
from conformance.gradient_check.randomness import Noise, measured
from conformance.gradient_check.result import Departure
from conformance.gradient_check.uneven import uneven, without_uneven
from conformance.observation import Array

KINKS_JUDGED = 32
"""Outputs with a kink that are judged one by one."""
KINKS_TAKEN_APART = 4
"""Outputs with a kink up to which the smooth elements are judged apart from those at the kink."""
NONFINITE_JUDGED = 4
"""Elements with a gradient that is not finite that are judged."""
NEAREST = (0.83, 0.87)
"""Parts of the dtype's bits that the smallest steps leave: some tens of roundoffs of the input."""
VISIBLE = 16.0
"""Times the noise of an output that it would have to change there to be said to stand still."""


@dataclass
class Findings:
    """What one point gave: failures, doubts, remarks, and the comparison that was made.

    kinks: outputs with a kink that may be judged one by one.
    """

    failures: list[Departure] = field(default_factory=list)
    doubts: list[Departure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    comparison: Comparison | None = None
    noise: Noise | None = None
    evaluations: int = 0
    kinks: int = KINKS_JUDGED


def examined(base: BasePoint, line: Line, weights: Array, gradient: Array, found: Findings) -> None:
    """Measure the noise, tell kinks from errors, and add to what was found.

    Where that ends in a departure though the function computes in a coarser format than its dtype,
    it is judged again, in that format's terms.
    """
    fresh = Findings(kinks=found.kinks)
    _judge(base, line, weights, gradient, fresh)
    if (fresh.failures or fresh.doubts) and not (fresh.noise and fresh.noise.random):
        coarse = coarser(base, line)
        if coarse > base.unit:
            base.unit = coarse
            again = Findings(evaluations=fresh.evaluations, kinks=found.kinks)
            again.notes.append(
                f"its outputs have no more digits than a unit roundoff of {coarse:.1g} leaves them"
            )
            _judge(base, base.line(line.direction), weights, gradient, again)
            if not again.failures and (fresh.failures or not again.doubts):
                fresh = again
    found.failures += fresh.failures
    found.doubts += fresh.doubts
    found.notes += fresh.notes
    found.comparison, found.noise = fresh.comparison, fresh.noise
    found.evaluations = fresh.evaluations


def _judge(base: BasePoint, line: Line, weights: Array, gradient: Array, found: Findings) -> None:
    """Judge: randomness and rounding first, then every output by how it behaves along the line."""
    noise = measured(
        base.target, base.recording, weights, line.direction, gradient, base.unit, base.repeat()
    )
    found.noise = noise
    if noise.random:
        _judge_random(base, line, weights, gradient, noise, found)
        return
    weights, gradient = _without_steps(base, line, weights, gradient, noise.values, found)
    line.steady(weights, noise.loudness(weights))
    comparison = compare(
        line, weights, gradient, noise.loudness(weights),
        noise.spread(weights, gradient, line.direction),
    )  # fmt: skip
    if line.long and not comparison.convinces:
        comparison = without_uneven(base, line, weights, noise, comparison)
    found.comparison = comparison
    found.evaluations = base.target.calls
    if comparison.convinces:
        return
    if comparison.resolved and _smooth_here(line, weights, gradient, noise, comparison):
        found.failures.append(located(base, line, weights, noise))
        return
    found.comparison = None
    slopes = line.best(noise.values)
    shapes = classified(line, slopes, noise.values)
    _judge_smooth(base, line, weights, shapes, noise, found)
    _judge_kinks(base, line, weights, shapes, slopes, noise, found)
    for shape, reason in REASONS.items():
        _doubt(base, weights, shapes == shape, reason, found)


def _without_steps(
    base: BasePoint, line: Line, weights: Array, gradient: Array, noise: Array, found: Findings
) -> tuple[Array, Array]:
    """Leave outputs out that stand still around the point, if their gradient is zero: it is right.

    Rounding to a grid looks like a straight line to steps that are much wider than the grid. Where
    the gradient is not zero nothing is left out: a cast, too, stands still between its numbers; nor
    where a step as small would drown in the rounding of the output.
    """
    if np.count_nonzero(gradient) == gradient.size:
        return weights, gradient
    far, near = (round(part * -np.log2(base.unit)) for part in NEAREST)
    (up, down), wide = line.sample(near), np.zeros(weights.shape)
    for level in (1, line.windows()[0]):
        ends = line.sample(level)
        wide = np.fmax(wide, np.abs(ends[0] - ends[1]) * 2.0 ** (level - 1))
    visible = wide * 2.0**-near > VISIBLE * noise
    jumps = [
        np.abs(one - line.outputs) > np.abs(other - line.outputs) / 2
        for one, other in zip((up, down), line.sample(far), strict=True)
    ]
    ahead, behind = up == line.outputs, down == line.outputs
    edge = (ahead & jumps[1] & ~behind) | (behind & jumps[0] & ~ahead)
    still = ((ahead & behind) | edge) & visible
    chosen = np.where(still, weights, 0.0)
    if not chosen.any() or base.pull(chosen).any():
        return weights, gradient
    _doubt(base, weights, edge & still, REASONS[Shape.JUMP], found)
    found.notes.append("outputs that stand still around this input have the gradient zero there")
    rest = np.where(still, 0.0, weights)
    return rest, base.pull(rest)


def _smooth_here(
    line: Line, weights: Array, gradient: Array, noise: Noise, comparison: Comparison
) -> bool:
    """Tell whether the samples at hand show a smooth function, and a gradient that does not jump.

    A few roundoffs beside a hidden kink the gradient is another one.
    """
    slopes = line.along(comparison.first, noise.values)
    with np.errstate(all="ignore"):
        apart = np.abs(slopes.right - slopes.left)
        kinked = apart > MARGIN * (slopes.right_error + slopes.left_error)
        known = slopes.right_error <= line.unit**0.25 * (np.abs(slopes.central) + comparison.scale)
    if (kinked | ~known)[weights != 0].any():
        return False
    if line.long and uneven(line, weights, comparison.first, noise).size:
        return False
    return noise.spread(weights, gradient, line.direction) < comparison.gap / 8


def coarser(base: BasePoint, line: Line) -> float:
    """Return the unit roundoff of the coarsest format that holds all outputs exactly.

    Asked at a point without trailing zeros, so that a function that only selects shows its digits.
    """
    outputs = line.at(base.point + line.direction * (DIGITS * 2.0**-14))
    for dtype, roundoff in ((np.float16, 2.0**-11), (np.float32, 2.0**-24)):
        with np.errstate(all="ignore"):
            if base.unit < roundoff and (outputs.astype(dtype) == outputs).all():
                return roundoff
    return base.unit


def _judge_random(
    base: BasePoint, line: Line, weights: Array, gradient: Array, noise: Noise, found: Findings
) -> None:
    """Compare within the scatter, and say how large that is."""
    comparison = compare(line, weights, gradient, noise.loudness(weights), noise.scatter)
    found.comparison, found.evaluations = comparison, base.target.calls
    if noise.backward > line.unit**0.4:
        found.failures.append(
            Departure(
                "random backward",
                "the gradient for one cotangent on one graph differs from run to run, by a standard"
                f" deviation of {noise.backward:.2g} of the slope: more than the order of a sum"
                " explains; what the forward drew must be saved for the backward",
                error=noise.backward,
                bound=line.unit**0.4,
            )
        )
        return
    what = (
        "repeated runs differ though the generator's state is held: the standard deviation is"
        f" {noise.forward:.2g} of the value forward and {noise.backward:.2g} of the slope backward"
        " on one graph"
    )
    if not comparison.agrees:
        if comparison.relative_limit < CONVINCING:
            found.failures.append(located(base, line, weights, noise))
        else:
            found.doubts.append(Departure("randomness", what))
    elif comparison.relative_limit < CONVINCING:
        found.notes.append(f"{what}; errors above {comparison.relative_limit:.1g} would show")
    else:
        found.doubts.append(Departure("randomness", what))


def _judge_smooth(
    base: BasePoint, line: Line, weights: Array, shapes: Array, noise: Noise, found: Findings
) -> None:
    """Compare the outputs that are smooth along the line, all at once."""
    smooth = np.where(shapes == Shape.SMOOTH, weights, 0.0)
    if not smooth.any():
        return
    gradient = base.pull(smooth)
    if not np.isfinite(gradient[line.direction != 0]).all():
        return
    spread = noise.spread(smooth, gradient, line.direction)
    comparison = compare(line, smooth, gradient, noise.loudness(smooth), spread)
    if comparison.agrees:
        found.comparison = comparison
        vague = comparison.relative_limit > CONVINCING and comparison.scale > 0
        if vague and in_hull(line, smooth, gradient, base.random):
            found.comparison = None
            found.notes.append("kinks meet at this input; the gradient lies in the hull of those")
        elif vague:
            found.doubts.append(
                Departure(
                    "precision",
                    f"only errors above {comparison.relative_limit:.1g} of the slope could be seen:"
                    " rounding in the function drowns smaller ones",
                )
            )
        return
    departure = located(base, line, smooth, noise)
    if not _excused(base, line, smooth, departure, found):
        found.failures.append(departure)


def _excused(
    base: BasePoint, line: Line, weights: Array, departure: Departure, found: Findings
) -> bool:
    """Tell whether kinks of opposite sign hide in a line that looks smooth."""
    gradient = base.pull(weights)
    if departure.input is not None:
        position = _position(base, departure)
        low, high, kinked = one_sided(base, weights, position)
        if kinked and not low <= gradient[position] <= high:
            return False
    if not in_hull(line, weights, gradient, base.random):
        return False
    found.notes.append(
        f"kinks meet at {departure.input or 'this input'}; the gradient lies in the hull of those"
        " nearby"
    )
    return True


def _position(base: BasePoint, departure: Departure) -> int:
    place = departure.input
    assert place is not None
    for variable in base.target.variables:
        if variable.name == place.name:
            offset = int(np.ravel_multi_index(place.index, variable.shape)) if place.index else 0
            return int(variable.span.start) + offset * (2 if variable.is_complex else 1)
    raise AssertionError(f"{place} is not an input")


def _judge_kinks(
    base: BasePoint, line: Line, weights: Array, shapes: Array, slopes: Slopes, noise: Noise,
    found: Findings,
) -> None:  # fmt: skip
    """Ask, output by output, whether the gradient is one of those valid at the kink."""
    at = (shapes == Shape.KINK) | (shapes == Shape.EDGE_LEFT) | (shapes == Shape.EDGE_RIGHT)
    kinked = np.flatnonzero(at & (weights != 0))
    beside, departure = compared_beside(base, line, weights, kinked, noise)
    if departure is not None:
        found.failures.append(departure)
        return
    if beside.any():
        found.notes.append(f"{np.sum(beside)} outputs have a kink beside, not at, this input")
    kinked = kinked[~beside]
    if kinked.size == 0:
        return
    judged = kinked
    if kinked.size > found.kinks:
        judged = base.random.generator.choice(kinked, found.kinks, replace=False)
    for output in judged:
        one = np.zeros(base.outputs.size)
        one[output] = 1.0
        gradient = base.pull(one)
        slope = float(gradient @ line.direction)
        low, high = interval(slopes, int(shapes[output]), int(output))
        rounding = 64 * base.unit * float(np.abs(gradient) @ np.abs(line.direction))
        if low - rounding <= slope <= high + rounding:
            continue
        nearby = hull(line, one, base.random)
        if not min(low, nearby.low) <= slope <= max(high, nearby.high):
            place = base.output_place(int(output))
            if not nearby.known:
                sentence = f"{place} has many slopes nearby, too many to tell which are valid"
                found.doubts.append(Departure("kink", sentence, place))
                return
            found.failures.append(
                Departure(
                    "kink",
                    f"{place} has a kink along the direction tried: its slopes there are"
                    f" {low:.6g} and {high:.6g}, backward gives {slope:.6g}, which is no"
                    " subgradient",
                    place,
                    None,
                    slope,
                    low if abs(low - slope) < abs(high - slope) else high,
                    max(low - slope, slope - high),
                    rounding,
                )
            )
            return
    if kinked.size <= KINKS_TAKEN_APART and not _judge_beside(base, line, weights, kinked, found):
        return
    count = f"{kinked.size} output{'s have' if kinked.size > 1 else ' has'}"
    some = "" if judged.size == kinked.size else f"; {judged.size} of them were judged"
    found.notes.append(
        f"{count} a kink or an edge at this input, where the gradient is a valid subgradient{some}"
    )


def _judge_beside(
    base: BasePoint, line: Line, weights: Array, kinked: Array, found: Findings
) -> bool:
    """Compare the outputs that have a kink along the elements that have no part in it."""
    chosen = np.zeros_like(weights)
    chosen[kinked] = weights[kinked]
    elements = kinked_elements(base, line.direction, chosen)
    if elements is None:
        return True
    rest = line.direction.copy()
    rest[elements] = 0.0
    if not rest.any():
        return True
    beside = base.line(rest)
    comparison = compare(beside, chosen, base.pull(chosen))
    if comparison.agrees or not comparison.resolved:
        return True
    noise = 2 * base.unit * np.abs(base.outputs)
    if (classified(beside, beside.best(noise), noise) != Shape.SMOOTH)[kinked].any():
        return True  # a kink that only several elements together have
    found.failures.append(located(base, beside, chosen, Noise(noise)))
    return False


def _doubt(base: BasePoint, weights: Array, at: Array, reason: str, found: Findings) -> None:
    there = np.flatnonzero(at & (weights != 0))
    if there.size == 0:
        return
    place = base.output_place(int(there[0]))
    more = f" (and {there.size - 1} more)" if there.size > 1 else ""
    found.doubts.append(Departure("derivative", f"{place}{more} cannot be judged: {reason}", place))


def _overflows(slopes: Slopes, step: float) -> bool:
    """Tell whether a slope along an element, settled by itself, is infinite per unit of it."""
    with np.errstate(all="ignore"):
        known = slopes.error < 0.5 * np.abs(slopes.central)
        return bool((known & np.isinf(slopes.central / step)).any())


def judge_nonfinite(base: BasePoint, gradient: Array, found: Findings) -> None:
    """Ask of elements whose gradient is not finite whether the function has a slope there."""
    noise = 2 * base.unit * np.abs(base.outputs)
    for position in np.flatnonzero(~np.isfinite(gradient))[:NONFINITE_JUDGED]:
        direction = np.zeros(base.point.size)
        direction[position] = base.scales[position]
        place, value = base.input_place(int(position)), float(gradient[position])
        if not np.isfinite(direction[position]):
            found.doubts.append(Departure("derivative", f"{place} is not finite", None, place))
            continue
        line = base.line(direction)
        slopes = line.best(noise)
        shapes = classified(line, slopes, noise)
        if np.isinf(value) and _overflows(slopes, float(direction[position])):
            found.notes.append(f"the derivative by {place} is beyond the largest number")
            continue
        judged = [s for s in REASONS if (shapes == s).any()]
        if judged or (shapes >= Shape.EDGE_RIGHT).any():
            reason = REASONS[judged[0]] if judged else "the function ends there"
            sentence = f"the gradient of {place} is {value}: {reason}"
            found.doubts.append(Departure("derivative", sentence, None, place, value))
        else:
            sentence = f"the gradient of {place} is {value} where the function has finite slopes"
            found.failures.append(Departure("not finite", sentence, None, place, value))
            return
