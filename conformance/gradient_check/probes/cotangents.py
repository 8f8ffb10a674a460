"""Probes of the cotangent: its layout, its size, none at all, and whether backward writes to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from conformance.gradient_check.base_point import BACKWARD_ERRORS, BackwardRaised
from conformance.gradient_check.comparison import compare
from conformance.gradient_check.probes.context import Context, Outcome, attempted
from conformance.gradient_check.result import Departure, Probe
from conformance.gradient_check.targets import Recording
from conformance.observation import Array

SMALL, LARGE = 2.0**-30, 2.0**16
"""Factors on a cotangent; a backward is linear in it, and powers of two round nothing."""


def unharmed(context: Context) -> Outcome:
    """Compare cotangent and inputs after a backward with what they were before it."""
    base, name = context.base, "arguments left alone"
    recording = base.recording
    given = recording.given
    if given is not None and not np.array_equal(recording.cotangents_now(), given):
        return name, Departure(
            "cotangent modified in place",
            "backward writes into the cotangent that it receives, which other branches of a graph"
            " may share; work on a copy",
        )
    if not np.array_equal(recording.point_now(), base.point, equal_nan=True):
        return name, Departure(
            "input modified in place", "forward or backward writes into the inputs; work on copies"
        )
    return Probe(name, "passed")


def layout_and_repetition(context: Context) -> Outcome:
    """Call again on strided inputs, and pull back a small strided cotangent: all must agree.

    One call and one backward ask four questions; only where the answer is wrong are they asked one
    by one.
    """
    base, weights = context.base, context.weights
    name = "second call, strided inputs and cotangent"
    arranged = "strided" if "strided" in base.target.bridge.arrangements else "plain"
    again = _on_strided_inputs(context, arranged) or base.target.record(base.point)
    small = SMALL if base.unit < 2.0**-30 else 1.0
    gradient = attempted(lambda: again.pull(weights * small, arranged) / small)
    if isinstance(gradient, np.ndarray) and context.same(gradient):
        return Probe(name, "passed")
    return name, _which(context, again, arranged, small)


def _on_strided_inputs(context: Context, arranged: str) -> Recording | None:
    """Return a second call on strided inputs, None for functions that depend on the layout.

    A forward may refuse it, define its values by it, or draw its random numbers in that order.
    """
    base = context.base
    if base.target.held is not None:
        return None
    try:
        again = base.target.record(base.point, arranged)
    except BACKWARD_ERRORS:
        return None
    if again.outputs.shape != base.outputs.shape:
        return None
    apart = np.abs(again.outputs - base.outputs)
    limit = 2.0**20 * base.unit * float(np.max(np.abs(base.outputs), initial=0.0))
    return again if not (apart > limit).any() else None


def _which(context: Context, again: Recording, arranged: str, small: float) -> Departure:
    """Return the failure, its cause told by asking one question after another."""
    base, weights = context.base, context.weights
    plain = base.target.record(base.point)
    asked: list[tuple[str, str, Callable[[], Array]]] = [
        ("repeated backward", "backward a second time on one graph",
         lambda: base.recording.pull(weights)),
        ("state between calls", "in a second call with the same input",
         lambda: plain.pull(weights)),
        ("non-contiguous cotangent", "for a cotangent that is not contiguous in memory",
         lambda: plain.pull(weights, arranged)),
        ("scale of the cotangent", f"for a cotangent {small:.1g} times as large, scaled back",
         lambda: plain.pull(weights * small) / small),
        ("non-contiguous input", "for inputs that are not contiguous in memory",
         lambda: again.pull(weights)),
    ]  # fmt: skip
    for cause, circumstance, action in asked:
        found = attempted(action)
        if isinstance(found, BackwardRaised):
            return Departure(cause, f"{circumstance}, {found.sentence}")
        if not context.same(found):
            return context.wrong(cause, found, circumstance, context.gradient)
    both = attempted(lambda: again.pull(weights * small, arranged) / small)
    circumstance = "for inputs and cotangent that are not contiguous in memory"
    if isinstance(both, BackwardRaised):
        return Departure("non-contiguous memory", f"{circumstance}, {both.sentence}")
    return context.wrong("non-contiguous memory", both, circumstance, context.gradient)


def expanded(context: Context) -> Outcome:
    """Pull back one large number seen everywhere, as the gradient of a sum is."""
    base, name, cause = context.base, "expanded cotangent", "expanded cotangent"
    bridge = base.target.bridge
    if "expanded" not in bridge.arrangements or not base.finite.all():
        return Probe(name, "skipped")
    with np.errstate(all="ignore"):
        room = bool(np.all(np.abs(context.gradient) < 1e280))
    size = LARGE if base.unit < 2.0**-30 and room else 1.0
    ones = np.ones(base.outputs.size)
    for variable in base.output_variables:
        if variable.is_complex:
            ones[variable.span][1::2] = 0.0
    found = attempted(lambda: base.recording.pull(ones * size, "expanded") / size)
    if isinstance(found, BackwardRaised):
        return name, Departure(cause, f"for an expanded cotangent, {found.sentence}")
    if np.isfinite(found).all():
        comparison = compare(context.line, ones, found)
        if comparison.agrees and comparison.resolved:
            return Probe(name, "passed")
    plain = base.pull(ones)
    if context.same(found, plain):
        return Probe(name, "passed")
    grown = base.pull(ones * size) / size
    if context.same(grown, plain):
        circumstance = "for an expanded cotangent, as `sum().backward()` gives it"
        return name, context.wrong(cause, found, circumstance, plain)
    circumstance = f"for a cotangent {LARGE:.0f} times as large, scaled back"
    return name, context.wrong("scale of the cotangent", grown, circumstance, plain)


def zero(context: Context) -> Outcome:
    """Pull back zeros: a backward is linear, so it gives zeros."""
    base, name = context.base, "zero cotangent"
    zeros = np.zeros(base.outputs.size)
    found = attempted(lambda: base.recording.pull(zeros))
    if isinstance(found, BackwardRaised):
        return name, Departure(name, f"for a zero cotangent, {found.sentence}")
    wrong = (found != 0) & np.isfinite(context.gradient)
    if not wrong.any():
        return Probe(name, "passed")
    at = int(np.flatnonzero(wrong)[0])
    value, place = float(found[at]), base.input_place(at)
    sentence = f"for a zero cotangent the gradient of {place} is {value:.6g}; expected 0"
    return name, Departure(name, sentence, None, place, value, 0.0, abs(value), 0.0)


def large(context: Context) -> Outcome:
    """Pull back a large cotangent: clipping and saturation show."""
    base, name = context.base, "scale of the cotangent"
    if base.unit > 2.0**-30 or "expanded" in base.target.bridge.arrangements:
        return Probe(name, "skipped", "asked with the expanded cotangent")
    found = attempted(lambda: base.recording.pull(context.weights * LARGE) / LARGE)
    circumstance = f"for a cotangent {LARGE:.0f} times as large, scaled back"
    if isinstance(found, BackwardRaised):
        return name, Departure(name, f"{circumstance}, {found.sentence}")
    if context.same(found):
        return Probe(name, "passed")
    return name, context.wrong(name, found, circumstance, context.gradient)


def undefined(context: Context) -> Outcome:
    """Let no gradient arrive, at one output of several, or at all of them."""
    base, name = context.base, "undefined cotangent"
    outputs = base.output_variables
    if len(outputs) > 1:
        for number, variable in enumerate(outputs[:3]):
            rest = context.weights.copy()
            rest[variable.span] = 0.0
            found = attempted(partial(base.recording.pull, rest, omit=number))
            circumstance = f"where {variable.name} is not used"
            if isinstance(found, BackwardRaised):
                return name, Departure(name, f"{circumstance}, {found.sentence}")
            expected = base.pull(rest)
            if not context.same(found, expected):
                return name, context.wrong(name, found, circumstance, expected)
    if base.target.bridge.undefined(base.recording.tensors) is None:
        return Probe(name, "passed" if len(outputs) > 1 else "skipped")
    found = attempted(lambda: base.recording.pull(None))
    if isinstance(found, BackwardRaised):
        return name, Departure(name, f"where no gradient arrives, {found.sentence}")
    if (found[np.isfinite(context.gradient)] != 0).any():
        return name, Departure(name, "where no gradient arrives, one that is not zero leaves")
    return Probe(name, "passed")


COTANGENTS = (unharmed, layout_and_repetition, expanded, zero, large, undefined)
