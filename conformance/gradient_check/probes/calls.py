"""Probes of the call: which inputs are tracked, one tensor given twice, forward mode, dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from conformance.gradient_check.arguments import Variable
from conformance.gradient_check.base_point import BACKWARD_ERRORS, BackwardRaised
from conformance.gradient_check.examination import coarser
from conformance.gradient_check.probes.asking import Answer, Ask, Outcome, Probing
from conformance.gradient_check.probes.context import ROUNDINGS, Context
from conformance.gradient_check.products import equal, finite
from conformance.gradient_check.recordings import Recording
from conformance.gradient_check.result import Departure, Probe, passed, skipped
from conformance.observation import Array

MOST_VARIABLES = 4
"""Inputs that are tracked one at a time."""
STEP, GLANCE = 2.0**-24, 2.0**-20
"""Size of the one step that is tried first, and the fraction of the slope granted there."""


def received(context: Context) -> Outcome:
    """Compare dtype and device of the gradients with those of their tensors."""
    base, name = context.base, "dtype of the gradient"
    bridge, recording = base.target.bridge, base.recording
    for variable, leaf, gradient in zip(
        base.target.variables, recording.leaves, recording.received, strict=True
    ):
        if gradient is None or bridge.alike(gradient, leaf):
            continue
        dtype = bridge.dtype_name(gradient)
        if dtype != variable.dtype:
            return name, Departure(
                name, f"the gradient of {variable.name} is {dtype}; expected {variable.dtype}"
            )
        devices = getattr(gradient, "device", ""), getattr(leaf, "device", "")
        if devices[0] != devices[1]:
            return name, Departure(
                "device of the gradient",
                f"the gradient of {variable.name} is on {devices[0]}; expected {devices[1]}",
            )
    return passed(name)


def one_at_a_time(context: Context) -> Probing:
    """Track one input only: a backward may ask which gradients are needed, and get it wrong."""
    base, name = context.base, "one tracked input"
    variables = base.target.variables
    if len(variables) < 2 or base.target.bridge.arrangements == frozenset():
        return skipped(name)
    answers = yield [
        Ask(base.target.record(base.point, only=number), context.weights)
        for number in range(min(len(variables), MOST_VARIABLES))
    ]
    for variable, found in zip(variables, answers, strict=False):
        circumstance = f"where only {variable.name} requires grad"
        if isinstance(found, BackwardRaised):
            return name, Departure(name, f"{circumstance}, {found.sentence}")
        if equal(found, context.gradient[variable.span]):
            continue
        whole = context.gradient.copy()
        whole[variable.span] = found
        if not context.same(whole):
            return name, context.wrong(name, whole, circumstance, context.gradient)
    return passed(name)


def same_tensor_twice(context: Context) -> Probing:
    """Give one tensor as two inputs: a difference of the function agrees, or else the sum of the
    gradients of two equal tensors does.
    """
    base, name = context.base, "same tensor twice"
    pair = _pair(context)
    if pair is None or base.target.bridge.arrangements == frozenset():
        return skipped(name)
    first, second = (base.target.variables[i] for i in pair)
    point = base.point.copy()
    point[second.span] = point[first.span]
    try:
        together = base.target.record(point, tied=pair)
    except BACKWARD_ERRORS:
        return skipped(name, "the function refuses equal inputs")
    context.spare = context.spare or together
    if together.outputs.shape != context.weights.shape or not finite(together.outputs):
        return skipped(name, "undefined for equal inputs")
    [found] = yield [Ask(together, context.weights)]
    if not isinstance(found, BackwardRaised):
        whole = _around(np.zeros(base.point.size), second.span, found)
        direction = np.copysign(context.line.direction, whole)
        direction[second.span] = direction[first.span]
        slope = float(whole.dot(direction))
        apart = abs(slope - _ahead(context, together, point, direction))
        if apart <= GLANCE * slope < math.inf:
            return passed(name)
    return (yield from _twice(context, point, found, first, second))


def _around(whole: Array, gap: slice, found: Array) -> Array:
    """Put the gradients of all variables but one, whose place is the gap, into a whole one."""
    whole[: gap.start], whole[gap.stop :] = found[: gap.start], found[gap.start :]
    return whole


def _ahead(context: Context, recording: Recording, point: Array, direction: Array) -> float:
    """Return the difference quotient along a direction over one small step."""
    try:
        outputs = recording.target.evaluate(point + direction * STEP)
        return float(context.weights.dot(outputs - recording.outputs)) / STEP
    except BACKWARD_ERRORS:
        return math.nan


def _twice(
    context: Context, point: Array, found: Answer, first: Variable, second: Variable
) -> Probing:
    """Compare the gradient for one tensor, as two inputs, with those of two tensors."""
    base, name = context.base, "same tensor twice"
    [expected] = yield [Ask(base.target.record(point), context.weights)]
    if isinstance(expected, BackwardRaised):
        return name, Departure(name, f"for equal inputs, {expected.sentence}")
    summed = expected.copy()
    summed[first.span] += expected[second.span]
    circumstance = f"where {first.name} and {second.name} are one tensor"
    if isinstance(found, BackwardRaised):
        return name, Departure(name, f"{circumstance}, {found.sentence}")
    whole = _around(summed.copy(), second.span, found)
    if context.same(whole, summed):
        return passed(name)
    return name, context.wrong(name, whole, circumstance, summed)


def _pair(context: Context) -> tuple[int, int] | None:
    """Return the first two inputs, no parameters, of one shape and dtype."""
    variables = context.base.target.variables
    for j, second in enumerate(variables):
        for i, first in enumerate(variables[:j]):
            alike = (first.shape, first.dtype) == (second.shape, second.dtype)
            if alike and second.name.startswith("input") and first.name.startswith("input"):
                return i, j
    return None


def forward_mode(context: Context) -> Probing:
    """Compare J·v of forward mode with the slopes of the outputs along v."""
    yield from ()
    base, name, line = context.base, "forward mode", context.line
    if not base.target.bridge.pushes:
        return skipped(name, "the engine has none")
    try:
        pushed = base.target.push(base.point, line.direction)
    except (NotImplementedError, RuntimeError):
        return skipped(name, "the function has none")
    except BACKWARD_ERRORS as error:
        return name, Departure(name, f"forward mode raises {type(error).__name__}: {error}")
    if pushed.shape != base.outputs.shape:
        return name, Departure(
            name, f"{pushed.size} numbers for {base.outputs.size} numbers of the outputs"
        )
    reverse, forward = context.slope, float(context.weights @ pushed)
    if abs(forward - reverse) <= ROUNDINGS * base.unit * reverse:
        context.pushed = pushed
        return passed(name)
    scale = max(reverse, float(np.abs(context.weights) @ np.abs(pushed)))
    if abs(forward - reverse) <= ROUNDINGS * base.unit * scale:
        return passed(name)
    if abs(forward - reverse) <= ROUNDINGS * coarser(base, line) * scale:
        return Probe(name, "passed", "the function computes in a coarser format")
    return _against_slopes(context, pushed)


def _against_slopes(context: Context, pushed: Array) -> Outcome:
    """Judge forward mode output by output: at a kink it may differ from reverse mode."""
    base, name, line = context.base, "forward mode", context.line
    noise = 4 * base.unit * np.abs(base.outputs)
    slopes = line.best(noise)
    with np.errstate(all="ignore"):
        low = np.minimum(slopes.right - slopes.right_error, slopes.left - slopes.left_error)
        high = np.maximum(slopes.right + slopes.right_error, slopes.left + slopes.left_error)
        slack = 4 * (slopes.right_error + slopes.left_error) + 1e3 * base.unit * np.abs(pushed)
        wrong = (pushed < low - slack) | (pushed > high + slack)
        known = slopes.error < base.unit**0.3 * np.maximum(np.abs(slopes.central), np.abs(pushed))
        value, error = slopes.central, 4 * slopes.error + 1e3 * base.unit * np.abs(pushed)
        wrong |= known & (np.abs(pushed - value) > error) & (high - low <= 4 * slack)
    if not (wrong & known).any():
        return Probe(name, "unclear")
    at = int(np.flatnonzero(wrong & known)[0])
    place, got, want = base.output_place(at), float(pushed[at]), float(value[at])
    sentence = (
        f"the slope of {place} along a random direction is {want:.6g}, forward mode gives {got:.6g}"
    )
    departure = Departure(name, sentence, place, None, got, want, abs(got - want), float(error[at]))
    return name, departure


CALLS: tuple[Callable[[Context], Probing], ...] = (
    one_at_a_time, same_tensor_twice, forward_mode,
)  # fmt: skip
