"""Probes at other inputs: tiny and huge ones, larger ones, 0-d and empty ones.

A function may refuse such inputs, and then has nothing to answer for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import thread_time

import numpy as np

from conformance.gradient_check.base_point import BACKWARD_ERRORS, BackwardRaised, BasePoint
from conformance.gradient_check.comparison import compare
from conformance.gradient_check.examination import Findings, examined
from conformance.gradient_check.line import Line
from conformance.gradient_check.probes.context import Context, Outcome
from conformance.gradient_check.result import Departure, Probe
from conformance.gradient_check.targets import Target

CONSTANTS = "constant tensors would have to change with them"
LARGE = 2.0**7
"""Factor for functions whose series and recurrences are as long as their arguments are large."""
PATIENCE = 3.0
"""Times the usual duration that a call at large inputs may take before huge ones are given up."""
REPEATS = 5
"""Calls of which the fastest counts."""
TINY, HUGE = 2.0**-30, 2.0**18
"""Factors on the inputs."""
ENOUGH = 4096
"""Numbers that larger inputs have at least: kernels change their path at sizes below that."""
MOST = 1 << 17
"""Numbers beyond which inputs are not made larger."""
GLANCES = (17, 32)
"""Levels of the two steps that are tried before all others: the second for what oscillates fast."""
GLANCE = 2.0**-24
"""Fraction of the scale by which gradient and slope may differ at first sight."""


def tiny(context: Context) -> Outcome:
    """Check where all inputs are tiny."""
    return _scaled(context, "tiny inputs", TINY)


def huge(context: Context) -> Outcome:
    """Check where all inputs are huge, or large where a backward's time grows with their size."""
    return _scaled(context, "huge inputs", HUGE if _quick(context) else LARGE)


def _quick(context: Context) -> bool:
    """Tell whether a backward at large inputs takes about the time that it takes at the point.

    Processor time, the least of several: what else the machine does must not change a verdict.
    """
    target = context.base.target
    times = []
    for point in (target.point, target.point * LARGE):
        durations = []
        for _ in range(REPEATS):
            start = thread_time()
            try:
                target.record(point).pull(context.weights)
            except BACKWARD_ERRORS:
                return False
            durations.append(thread_time() - start)
        times.append(min(durations))
    return times[1] < PATIENCE * times[0]


def _scaled(context: Context, name: str, factor: float) -> Outcome:
    target = context.base.target
    if context.base.unit > 2.0**-30:
        return Probe(name, "skipped", "the dtype has no room for them")
    point = target.point.copy()
    for variable in target.variables:
        if variable.name.startswith("input"):
            point[variable.span] *= factor
    return _checked(context, target.at(point), name, f"for inputs {factor:.1g} times as large")


def larger(context: Context) -> Outcome:
    """Check larger inputs of the same kind: the first dimensions repeated, or else all of them."""
    name, target = "larger inputs", context.base.target
    shapes = [variable.shape for variable in target.variables]
    total = sum(math.prod(shape) for shape in shapes if shape)
    if target.arguments.constants:
        return Probe(name, "skipped", CONSTANTS)
    if not total or total * 4 > MOST:
        return Probe(name, "skipped", "none to enlarge" if not total else "they are large enough")
    outcome: Outcome = Probe(name, "skipped", "the function refuses them")
    factor = max(2, -(-ENOUGH // total))
    whole = math.ceil(factor ** (1 / max(len(shape) for shape in shapes)))
    for repeats in ((factor, 1), (max(2, whole), max(2, whole))):
        other = _tiled(context, *repeats)
        if other is not None:
            size = "×".join(map(str, other.variables[0].shape))
            outcome = _checked(context, other, name, f"for larger inputs ({size})")
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
        if not variable.name.startswith("input") or all(r == 1 for r in repeats):
            shapes.append(variable.shape)
            parts.append(target.point[variable.span])
            continue
        tiled = np.tile(array, repeats)
        jitter = 1.0 + (context.base.random.random(tiled.shape) - 0.5) * 2.0**-4
        shapes.append(tiled.shape)
        values = np.ascontiguousarray(tiled * jitter).reshape(-1)
        parts.append(values.view(np.float64))
    if shapes == [variable.shape for variable in target.variables]:
        return None
    return target.reshaped(shapes, np.concatenate(parts))


def zero_dimensional(context: Context) -> Outcome:
    """Check 0-d inputs made of the first elements."""
    name, target = "0-d inputs", context.base.target
    if any(v.name.startswith("parameter") for v in target.variables):
        return Probe(name, "skipped", "a module's parameters have shapes of their own")
    if target.arguments.constants:
        return Probe(name, "skipped", CONSTANTS)
    if not any(v.shape for v in target.variables) or target.point.size == 0:
        return Probe(name, "skipped")
    if any(math.prod(v.shape) == 0 for v in target.variables):
        return Probe(name, "skipped")
    parts = [target.point[v.span][: 2 if v.is_complex else 1] for v in target.variables]
    other = target.reshaped([()] * len(parts), np.concatenate(parts))
    return _checked(context, other, name, "for 0-d inputs")


def empty(context: Context) -> Outcome:
    """Check inputs without elements: the gradient has their shape."""
    name, target = "empty inputs", context.base.target
    if any(v.name.startswith("parameter") for v in target.variables):
        return Probe(name, "skipped", "a module's parameters have shapes of their own")
    if target.arguments.constants:
        return Probe(name, "skipped", CONSTANTS)
    shapes = [(0, *v.shape[1:]) if v.shape else () for v in target.variables]
    if all(math.prod(shape) for shape in shapes):
        return Probe(name, "skipped")
    parts = [target.point[v.span] for v, s in zip(target.variables, shapes, strict=True) if not s]
    point = np.concatenate(parts) if parts else np.zeros(0)
    other = target.reshaped(shapes, point)
    try:
        recording = other.record(point)
    except BACKWARD_ERRORS:
        return Probe(name, "skipped", "the function refuses them")
    try:
        recording.pull(np.ones(recording.outputs.size))
    except BACKWARD_ERRORS as error:
        return name, Departure(name, f"for empty inputs, {BackwardRaised(error).sentence}")
    return Probe(name, "passed")


def _checked(context: Context, target: Target, name: str, circumstance: str) -> Outcome:
    """Check at another point: one difference first, everything where that is not enough."""
    refused = Probe(name, "skipped", "the function refuses them")
    before = context.base.target.kept
    target.kept = before
    try:
        base = BasePoint(target, context.base.random, context.base)
    except (*BACKWARD_ERRORS,):
        return refused
    if base.empty() or not base.finite.any():
        return refused
    weights = base.weights()
    try:
        gradient = base.pull(weights)
    except BackwardRaised as error:
        return name, Departure(name, f"{circumstance}, {error.sentence}")
    direction = base.direction(gradient)
    usable = np.isfinite(gradient) & np.isfinite(direction)
    if not usable.all():
        return Probe(name, "unclear", "the gradient is not finite there")
    found = Findings()
    try:
        line = base.line(direction)
        if _right_at_a_glance(line, weights, gradient):
            return Probe(name, "passed")
        comparison = compare(line, weights, gradient)
        if not comparison.agrees:
            examined(base, line, weights, gradient, found)
        elif not comparison.resolved:
            return Probe(name, "unclear", "its slopes there cannot be measured well enough")
    except (*BACKWARD_ERRORS, BackwardRaised):
        return Probe(name, "unclear", "the function refuses inputs nearby")
    if found.failures and not _moves(line):
        return Probe(name, "unclear", "rounding hides any change of the function")
    if found.failures:
        first = found.failures[0]
        return name, Departure(
            name, f"{circumstance}, {first.sentence}", first.output, first.input, first.analytic,
            first.numeric, first.error, first.bound,
        )  # fmt: skip
    return Probe(name, "unclear" if found.doubts else "passed")


def _moves(line: Line) -> bool:
    """Tell whether any output changes along the line at any step that was tried."""
    samples = [line.sample(level) for level in range(line.windows()[0], GLANCES[0])]
    return any((side != line.outputs).any() for pair in samples for side in pair)


def _right_at_a_glance(line: Line, weights: np.ndarray, gradient: np.ndarray) -> bool:
    """Tell whether one difference, or another at a much smaller step, agrees with the gradient."""
    slope = float(gradient @ line.direction)
    scale = float(np.abs(gradient) @ np.abs(line.direction))
    for level in GLANCES:
        up, down = line.sample(level)
        with np.errstate(all="ignore"):
            numeric = float(weights @ (up - down)) * 2.0 ** (level - 1)
        noise = line.usual_noise(weights) * 2.0 ** (level + 1)
        if abs(slope - numeric) <= GLANCE * scale + noise:
            return True
    return False


INPUTS: tuple[Callable[[Context], Outcome], ...] = (tiny, huge, larger, zero_dimensional, empty)
