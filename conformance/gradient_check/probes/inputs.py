"""Probes at other inputs: tiny and huge ones, larger ones, 0-d and empty ones.

A function may refuse such inputs, and then has nothing to answer for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from operator import mul

import numpy as np

from conformance.gradient_check.base_point import BACKWARD_ERRORS, BackwardRaised, BasePoint
from conformance.gradient_check.comparison import compare
from conformance.gradient_check.directions import (
    along,
    jitter,
    ones,
    scales,
    signed,
)
from conformance.gradient_check.examination import Findings, examined, judge_nonfinite
from conformance.gradient_check.line import STEADY, Line
from conformance.gradient_check.probes.asking import Ask, Outcome, Probing
from conformance.gradient_check.probes.context import Context
from conformance.gradient_check.products import finite
from conformance.gradient_check.result import Departure, Probe, passed, skipped
from conformance.gradient_check.targets import Target
from conformance.observation import Array

CONSTANTS = "constant tensors would have to change with them"
REFUSED = "the function refuses them"
NOT_FINITE = "the gradient is not finite there"
LARGE = 2.0**7
"""Factor beyond FEW numbers, for what takes a step of a series per unit of its argument."""
FEW = 1024
TINY, HUGE = 2.0**-30, 2.0**18
"""Factors on the inputs."""
ENOUGH = 4096
"""Numbers that larger inputs have at least: kernels change their path at sizes below that."""
MOST = 1 << 17
"""Numbers beyond which inputs are not made larger."""
KINKS_JUDGED = 2
"""Outputs with a kink that are judged one by one at other inputs."""
FIRST, FIRST_STEP, FIRST_GLANCE = 24, 2.0**-24, 2.0**-20
"""Level and size of the one-sided step that is tried before all others, and the fraction of the
scale by which gradient and slope may differ there."""
GLANCES, GLANCE = (17, 32), 2.0**-24
"""Levels of the two-sided steps that are tried then, and the fraction that is granted there: the
second is for what oscillates fast."""


def tiny(context: Context) -> Probing:
    """Check where all inputs are tiny."""
    return _scaled(context, "tiny inputs", TINY)


def huge(context: Context) -> Probing:
    """Check where all inputs are huge, or large where they are many."""
    factor = context.huge if context.base.point.size <= FEW else min(LARGE, context.huge)
    return _scaled(context, "huge inputs", factor)


def _scaled(context: Context, name: str, factor: float) -> Probing:
    yield from ()
    base, target = context.base, context.base.target
    if base.unit > 2.0**-30:
        return skipped(name, "the dtype has no room for them")
    if not target.is_module:
        point, steps = base.point * factor, base.scales * factor
    else:
        point, steps = base.point.copy(), base.scales.copy()
        for variable in target.variables:
            if variable.name.startswith("input"):
                point[variable.span] *= factor
                steps[variable.span] *= factor
    circumstance = f"for inputs {factor:.1g} times as large"
    return (yield from _checked(context, target, point, name, circumstance, steps))


def larger(context: Context) -> Probing:
    """Check larger inputs of the same kind: the first dimensions repeated, or else all of them."""
    yield from ()
    name, target = "larger inputs", context.base.target
    shapes = [variable.shape for variable in target.variables]
    total = sum([math.prod(shape) for shape in shapes if shape])
    if target.arguments.constants:
        return skipped(name, CONSTANTS)
    if not total or total * 4 > MOST:
        return skipped(name, "none to enlarge" if not total else "they are large enough")
    outcome: Outcome = skipped(name, REFUSED)
    outputs = context.base.outputs.size
    factor = max(2, -(-ENOUGH // total))
    if outputs > total:  # pairs or triples of elements grow as powers of the factor
        factor = min(factor, int((MOST / outputs) ** (1 / 3)))
    if factor < 2:
        return skipped(name, "its outputs would be too many")
    whole = math.ceil(factor ** (1 / max(map(len, shapes))))
    ways = [(factor, 1), (max(2, whole), max(2, whole))]
    if len(shapes) > 1:  # dimensions that have to match are more often all repeated
        ways.reverse()
    for repeats in ways:
        other = _tiled(context, *repeats)
        if other is not None:
            size = "×".join(map(str, other.variables[0].shape))
            circumstance = f"for larger inputs ({size})"
            outcome = yield from _checked(context, other, other.point, name, circumstance)
            if not (isinstance(outcome, Probe) and outcome.outcome == "skipped"):
                break
    return outcome


def _tiled(context: Context, first: int, others: int) -> Target | None:
    """Return the target for inputs repeated along dimensions, each copy a little different."""
    target = context.base.target
    shapes, parts = [], []
    for variable in target.variables:
        array = variable.array(target.point)
        repeats = [1 if n == 1 else (others if d else first) for d, n in enumerate(array.shape)]
        if max(repeats, default=1) == 1 or not variable.name.startswith("input"):
            shapes.append(variable.shape)
            parts.append(target.point[variable.span])
            continue
        shape = tuple(map(mul, repeats, array.shape))
        factors = jitter(context.base.random, math.prod(shape))
        shapes.append(shape)
        apart = [n for pair in zip(repeats, array.shape, strict=True) for n in pair]
        copies = np.empty(apart, array.dtype)
        copies[...] = array.reshape([n for size in array.shape for n in (1, size)])
        values = copies.reshape(-1)
        values *= factors
        if np.count_nonzero(array) < array.size:  # equal zeros would be ties
            np.copyto(values, _beside_zero(array, factors), where=values == 0)
        parts.append(values.view(np.float64))
    if shapes == [variable.shape for variable in target.variables]:
        return None
    return target.reshaped(shapes, np.concatenate(parts) if len(parts) > 1 else parts[0])


def _beside_zero(array: Array, factors: Array) -> Array:
    """Return distinct numbers for the copies of a zero, above it and small for its tensor.

    A tensor of zeros keeps them.
    """
    size = np.abs(array)
    largest = float(np.max(size, initial=0.0, where=np.isfinite(size)))
    beside: Array = np.abs(factors - 1.0) * largest
    return beside


def zero_dimensional(context: Context) -> Probing:
    """Check 0-d inputs made of the first elements."""
    name, target = "0-d inputs", context.base.target
    if target.is_module:
        return skipped(name, "a module's parameters have shapes of their own")
    if target.arguments.constants:
        return skipped(name, CONSTANTS)
    shapes = [v.shape for v in target.variables]
    if not any(shapes) or not all(map(math.prod, shapes)):
        return skipped(name)
    parts = [target.point[v.span][: 2 if v.is_complex else 1] for v in target.variables]
    other = target.reshaped([()] * len(parts), np.concatenate(parts))
    return (yield from _checked(context, other, other.point, name, "for 0-d inputs"))


def empty(context: Context) -> Probing:
    """Check inputs without elements: the gradient has their shape."""
    name, target = "empty inputs", context.base.target
    if target.is_module:
        return skipped(name, "a module's parameters have shapes of their own")
    if target.arguments.constants:
        return skipped(name, CONSTANTS)
    shapes = [(0, *v.shape[1:]) if v.shape else () for v in target.variables]
    if all(map(math.prod, shapes)):
        return skipped(name)
    parts = [target.point[v.span] for v, s in zip(target.variables, shapes, strict=True) if not s]
    point = np.concatenate(parts) if parts else ones(0)
    other = target.reshaped(shapes, point)
    try:
        recording = other.record(point)
    except BACKWARD_ERRORS:
        return skipped(name, REFUSED)
    [found] = yield [Ask(recording, ones(recording.outputs.size))]
    if isinstance(found, BackwardRaised):
        return name, Departure(name, f"for empty inputs, {found.sentence}")
    return passed(name)


def _checked(
    context: Context, target: Target, point: Array, name: str, circumstance: str,
    steps: Array | None = None,
) -> Probing:  # fmt: skip
    """Check at another point: one difference first, everything where that is not enough."""
    before, random = context.base, context.base.random
    try:
        recording = target.record(point)
    except BACKWARD_ERRORS:
        return skipped(name, REFUSED)
    outputs = recording.outputs
    if not outputs.size or not point.size:
        return skipped(name, REFUSED)
    context.spare = context.spare or recording
    if outputs.size > max(MOST, 4 * before.outputs.size):
        return skipped(name, "the outputs are too many")
    if recording.alarmed and not before.recording.alarmed:
        return skipped(name, "an output of integers says otherwise there")
    if steps is None:
        steps = scales(point, target.spans)
    weights = signed(random, outputs.size, before.unit < 2.0**-50)
    if not finite(outputs):
        defined = np.isfinite(outputs)
        weights = np.where(defined, weights, 0.0)
        if not defined.any():
            return skipped(name, REFUSED)
    [gradient] = yield [Ask(recording, weights)]
    if isinstance(gradient, BackwardRaised):
        return name, Departure(name, f"{circumstance}, {gradient.sentence}")
    direction = along(random, steps, gradient)
    slope = float(gradient.dot(direction))  # of one sign, element by element
    ahead = math.nan
    if slope - slope == 0.0:  # finite
        try:
            moved = direction * FIRST_STEP
            moved += point
            ahead = float(weights.dot(target.evaluate(moved) - outputs)) / FIRST_STEP
        except BACKWARD_ERRORS:
            pass  # refused: no slope there
    if abs(slope - ahead) <= FIRST_GLANCE * slope:
        return passed(name)
    base = BasePoint(target.at(point), random, before, steps, recording)
    if not finite(direction):
        direction = np.where(np.isfinite(direction), direction, 0.0)
    line = base.line(direction)
    return _examined(context, line, base, weights, gradient, ahead, name, circumstance)


def _examined(
    context: Context, line: Line, base: BasePoint, weights: Array, gradient: Array, ahead: float,
    name: str, circumstance: str,
) -> Outcome:  # fmt: skip
    """Judge the gradient at another point by more than the one difference ahead."""
    found = Findings(kinks=KINKS_JUDGED)
    try:
        if not finite(gradient):
            if base.all_finite:
                judge_nonfinite(base, gradient, found)
            if found.failures:
                return _failed(name, circumstance, found.failures[0])
            return Probe(name, "unclear", NOT_FINITE)
        glance = _glanced(line, weights, gradient, ahead)
        if glance == "right":
            return passed(name)
        if glance == "unsteady":
            return Probe(name, "unclear", "its slopes change from step to step there")
        comparison = compare(line, weights, gradient)
        if not comparison.agrees:
            examined(base, line, weights, gradient, found)
        elif not comparison.resolved:
            return Probe(name, "unclear", "its slopes there cannot be measured well enough")
    except (*BACKWARD_ERRORS, BackwardRaised):
        return Probe(name, "unclear", "the function refuses inputs nearby")
    if found.failures and not _moves(line):
        return Probe(name, "unclear", "rounding hides any change of the function")
    if found.failures and not gradient.any() and not context.gradient.any():
        return Probe(name, "unclear", "it stands still where it was checked, and may do so there")
    if found.failures:
        return _failed(name, circumstance, found.failures[0])
    return Probe(name, "unclear" if found.doubts else "passed")


def _failed(name: str, circumstance: str, departure: Departure) -> Outcome:
    return name, replace(departure, cause=name, sentence=f"{circumstance}, {departure.sentence}")


def _moves(line: Line) -> bool:
    """Tell whether any output changes along the line at any step that was tried."""
    samples = [line.sample(level) for level in range(line.windows()[0], GLANCES[0])]
    return any((side != line.outputs).any() for pair in samples for side in pair)


def _glanced(line: Line, weights: Array, gradient: Array, ahead: float) -> str:
    """Compare at a few small steps: `right`, `wrong`, or `unsteady` where those differ themselves.

    ahead: the difference quotient over the first step.
    What oscillates faster than the steps, or has kinks among them, cannot be judged there.
    """
    slope = scale = float(gradient.dot(line.direction))  # of one sign, element by element
    noise = line.usual_noise(weights)
    if abs(slope - ahead) <= FIRST_GLANCE * scale + noise * 2.0 ** (FIRST - 3):
        return "right"
    far, near = GLANCES
    rounding = noise * 2.0 ** (near + 1)
    fast = rounding <= GLANCE * scale  # the smaller step is the better one, and seldom needs both
    for level in (near, far) if fast else GLANCES:
        numeric = line.difference(level, weights)
        if abs(slope - numeric) <= GLANCE * scale + noise * 2.0 ** (level + 1):
            return "right"
    numeric = line.difference(near, weights)
    apart = abs(numeric - ahead)
    return "unsteady" if apart > STEADY * max(abs(numeric), abs(ahead)) + rounding else "wrong"


INPUTS: dict[str, Callable[[Context], Probing]] = {
    "tiny inputs": tiny, "huge inputs": huge, "larger inputs": larger,
    "0-d inputs": zero_dimensional, "empty inputs": empty,
}  # fmt: skip
