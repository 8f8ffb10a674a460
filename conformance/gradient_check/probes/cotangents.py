"""Probes of the cotangent: its layout, its size, none at all, and whether backward writes to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance.gradient_check.base_point import BACKWARD_ERRORS, BackwardRaised
from conformance.gradient_check.comparison import compare
from conformance.gradient_check.directions import ones
from conformance.gradient_check.probes.asking import Answer, Ask, Outcome, Probing
from conformance.gradient_check.probes.context import EQUAL, ROUNDINGS, SCALED, Context
from conformance.gradient_check.products import equal, finite
from conformance.gradient_check.recordings import Recording
from conformance.gradient_check.result import Departure, passed, skipped
from conformance.observation import Array

SMALL, LARGE = 2.0**-30, 2.0**16
"""Factors on a cotangent; a backward is linear in it, and powers of two round nothing."""


def unharmed(context: Context) -> Outcome:
    """Compare cotangent and inputs after a backward with what they were before it."""
    base, name = context.base, "arguments left alone"
    recording = base.recording
    given = recording.given
    if given is not None and not equal(recording.cotangents_now(), given):
        return name, Departure(
            "cotangent modified in place",
            "backward writes into the cotangent that it receives, which other branches of a graph"
            " may share; work on a copy",
        )
    if not all(map(equal, recording.leaves_now(), map(base.point.__getitem__, base.target.spans))):
        return name, Departure(
            "input modified in place", "forward or backward writes into the inputs; work on copies"
        )
    return passed(name)


def layout_and_repetition(context: Context) -> Probing:
    """Call again on strided inputs, and pull back a small strided cotangent: all must agree.

    One call and one backward ask four questions; only where the answer is wrong are they asked one
    by one. All inputs are tracked: a backward may have a path of its own for that.
    """
    base = context.base
    name = "second call, strided inputs and cotangent"
    arranged = "strided" if "strided" in base.target.bridge.arrangements else "plain"
    small = SMALL if base.unit < 2.0**-30 else 1.0
    roundings = EQUAL if small == 1.0 else SCALED
    weights = context.weights * small
    again = _on_strided_inputs(context, arranged) or base.target.record(base.point)
    context.spare = context.spare or again
    [gradient] = yield [Ask(again, weights, arranged)]
    if not isinstance(gradient, BackwardRaised) and context.same(gradient / small, None, roundings):
        return passed(name)
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
    if equal(again.outputs, base.outputs):
        return again
    apart = np.abs(again.outputs - base.outputs)
    limit = 2.0**20 * base.unit * float(np.max(np.abs(base.outputs), initial=0.0))
    return again if not (apart > limit).any() else None


def _pulled(
    context: Context, recording: Recording, factor: float = 1.0, how: str = "plain"
) -> Answer:
    """Return the gradient for the cotangent times a factor, divided by it."""
    found = Ask(recording, context.weights * factor, how).answer()
    return found if isinstance(found, BackwardRaised) else found / factor


def _right(context: Context, found: Answer, roundings: float = EQUAL) -> bool:
    return not isinstance(found, BackwardRaised) and context.same(found, roundings=roundings)


def _departed(context: Context, found: Answer, cause: str, circumstance: str) -> Departure:
    if isinstance(found, BackwardRaised):
        return Departure(cause, f"{circumstance}, {found.sentence}")
    return context.wrong(cause, found, circumstance, context.gradient)


def _state(context: Context) -> Departure | None:
    """Return the failure that asking the first graph again is, None where it answers as before."""
    repeated = _pulled(context, context.base.recording)
    if _right(context, repeated):
        return None
    plain = context.base.target.record(context.base.point)
    if all(_right(context, _pulled(context, plain)) for _ in range(2)):
        circumstance = "after other calls of the function, on the graph of the first"
        return _departed(context, repeated, "state between calls", circumstance)
    circumstance = "backward a second time on one graph"
    return _departed(context, repeated, "repeated backward", circumstance)


def _which(context: Context, again: Recording, arranged: str, small: float) -> Departure:
    """Return the failure, its cause told by asking one question after another."""
    state = _state(context)
    if state is not None:
        return state
    record, point = context.base.target.record, context.base.point
    plain = record(point)
    asked: list[tuple[str, str, Callable[[], Answer]]] = [
        ("state between calls", "in a second call with the same input",
         lambda: _pulled(context, plain)),
        ("non-contiguous cotangent", "for a cotangent that is not contiguous in memory",
         lambda: _pulled(context, plain, 1.0, arranged)),
        ("scale of the cotangent", f"for a cotangent {small:.1g} times as large, scaled back",
         lambda: _pulled(context, plain, small)),
        ("non-contiguous input", "for inputs that are not contiguous in memory",
         lambda: _pulled(context, record(point, arranged))),
        ("non-contiguous memory", "for inputs and cotangent that are not contiguous in memory",
         lambda: _pulled(context, record(point, arranged), small, arranged)),
    ]  # fmt: skip
    for cause, circumstance, action in asked:
        found = action()
        if not _right(context, found, EQUAL if small == 1.0 else SCALED):
            return _departed(context, found, cause, circumstance)
    late, circumstance = (
        _pulled(context, again, small, arranged), "in a backward that other calls came before",
    )  # fmt: skip
    return _departed(context, late, "state between calls", circumstance)


def expanded(context: Context) -> Probing:
    """Pull back one large number seen everywhere, as the gradient of a sum is.

    On the first graph, after other points were evaluated: what they left behind shows.
    """
    base, name = context.base, "expanded cotangent"
    bridge = base.target.bridge
    if "expanded" not in bridge.arrangements or not base.all_finite:
        return skipped(name)
    room = float(context.gradient.dot(context.gradient)) < 1e300 or context.largest < 1e280
    size = LARGE if base.unit < 2.0**-30 and room else 1.0
    weights = ones(base.outputs.size)
    if not all(map(bridge.is_double, base.recording.tensors)):
        weights = weights.copy()
        for variable in base.output_variables:
            if variable.is_complex:
                weights[variable.span][1::2] = 0.0
    [found] = yield [Ask(base.recording, weights * size, "expanded", late=True)]
    if isinstance(found, BackwardRaised):
        state = _state(context)
        return name, state or Departure(name, f"for an expanded cotangent, {found.sentence}")
    found = found / size
    if _as_pushed(context, weights, found):
        return passed(name)
    if finite(found):
        comparison = compare(context.line, weights, found)
        if comparison.convinces:
            return passed(name)
    fresh = base.target.record(base.point)
    plain = base.pull(weights, fresh)
    if context.same(found, plain, EQUAL if size == 1.0 else SCALED):
        return passed(name)
    state = _state(context)
    if state is not None:
        return name, state
    grown = base.pull(weights * size, fresh) / size
    if context.same(grown, plain, SCALED):
        circumstance = "for an expanded cotangent, as `sum().backward()` gives it"
        return name, context.wrong(name, found, circumstance, plain)
    circumstance = f"for a cotangent {LARGE:.0f} times as large, scaled back"
    return name, context.wrong("scale of the cotangent", grown, circumstance, plain)


def _as_pushed(context: Context, weights: Array, found: Array) -> bool:
    """Tell whether a gradient and forward mode have the same slope, to within their rounding.

    Forward mode was compared along another cotangent: it says here what differences would say. The
    terms of either side may cancel: those of the outputs do where their sum is constant.
    """
    line, pushed = context.line, context.pushed
    if pushed is None:
        return False
    apart = abs(float(weights.dot(pushed)) - float(found.dot(line.direction)))
    granted = ROUNDINGS * context.base.unit
    if apart <= granted * line.magnitude(found) < np.inf:
        return True
    return apart <= granted * float(weights.dot(np.abs(pushed))) < np.inf


def zero(context: Context) -> Probing:
    """Pull back zeros: a backward is linear, so it gives zeros."""
    base, name = context.base, "zero cotangent"
    [found] = yield [Ask(base.recording, np.zeros(base.outputs.size))]
    if isinstance(found, BackwardRaised):
        return name, Departure(name, f"for a zero cotangent, {found.sentence}")
    if not np.count_nonzero(found):
        return passed(name)
    wrong = (found != 0) & np.isfinite(context.gradient)
    if not wrong.any():
        return passed(name)
    at = int(np.flatnonzero(wrong)[0])
    value, place = float(found[at]), base.input_place(at)
    sentence = f"for a zero cotangent the gradient of {place} is {value:.6g}; expected 0"
    return name, Departure(name, sentence, None, place, value, 0.0, abs(value), 0.0)


def large(context: Context) -> Probing:
    """Pull back a large cotangent: clipping and saturation show."""
    base, name = context.base, "scale of the cotangent"
    if base.unit > 2.0**-30 or "expanded" in base.target.bridge.arrangements:
        return skipped(name, "asked with the expanded cotangent")
    [found] = yield [Ask(base.recording, context.weights * LARGE)]
    circumstance = f"for a cotangent {LARGE:.0f} times as large, scaled back"
    if isinstance(found, BackwardRaised):
        return name, Departure(name, f"{circumstance}, {found.sentence}")
    if context.same(found / LARGE, roundings=SCALED):
        return passed(name)
    return name, context.wrong(name, found / LARGE, circumstance, context.gradient)


def undefined(context: Context) -> Probing:
    """Let no gradient arrive, at one output of several, or at all of them."""
    base, name = context.base, "undefined cotangent"
    several = len(base.recording.tensors) > 1
    if several:
        outputs = base.output_variables
        for number, variable in enumerate(outputs[:3]):
            rest = context.weights.copy()
            rest[variable.span] = 0.0
            [found] = yield [Ask(base.recording, rest, omit=number)]
            circumstance = f"where {variable.name} is not used"
            if isinstance(found, BackwardRaised):
                return name, Departure(name, f"{circumstance}, {found.sentence}")
            expected = base.pull(rest)
            if not context.same(found, expected):
                return name, context.wrong(name, found, circumstance, expected)
    if not base.target.bridge.undefines:
        return passed(name) if several else skipped(name)
    if context.spare is not None:
        [found] = yield [Ask(context.spare, None)]
        if not isinstance(found, BackwardRaised) and not np.count_nonzero(found):
            return passed(name)
    [found] = yield [Ask(base.recording, None)]
    if isinstance(found, BackwardRaised):
        return name, Departure(name, f"where no gradient arrives, {found.sentence}")
    if np.count_nonzero(found) and (found[np.isfinite(context.gradient)] != 0).any():
        return name, Departure(name, "where no gradient arrives, one that is not zero leaves")
    return passed(name)


COTANGENTS: tuple[Callable[[Context], Probing], ...] = (
    expanded, layout_and_repetition, zero, large,
)  # fmt: skip
