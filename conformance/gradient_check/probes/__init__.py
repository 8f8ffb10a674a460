"""What a backward can get wrong besides the formula, each asked by a probe and named by a cause."""

from __future__ import annotations

from conformance.gradient_check.examination import Findings
from conformance.gradient_check.probes.asking import Answer, Ask, Outcome, Probing, together
from conformance.gradient_check.probes.calls import CALLS, received
from conformance.gradient_check.probes.context import Context
from conformance.gradient_check.probes.cotangents import COTANGENTS, expanded, unharmed
from conformance.gradient_check.probes.inputs import INPUTS
from conformance.gradient_check.result import Probe

LOOKS = (received, unharmed)
STATE = ("repeated backward", "state between calls")
PROBES = (*COTANGENTS, *CALLS, *INPUTS)


def probed(context: Context, found: Findings) -> tuple[Probe, ...]:
    """Ask every probe; add failures to what was found."""
    outcomes: list[Outcome] = [look(context) for look in LOOKS]
    wide = _finished(expanded(context))
    if _of_state(wide):
        return tuple(_reported(outcome, found) for outcome in (*outcomes, wide))
    asking = [probe(context) for probe in PROBES]
    waiting = [_stepped(probing, None) for probing in asking]
    answers = iter(together([ask for step in waiting if isinstance(step, list) for ask in step]))
    for probing, step in zip(asking, waiting, strict=True):
        if isinstance(step, list):
            step = _stepped(probing, [next(answers) for _ in step])
        outcomes.append(_finished(probing, step))
        if _of_state(outcomes[-1]):
            break
    outcomes.insert(len(LOOKS) + 1, wide)  # told after the layout, which often is its cause
    return tuple(_reported(outcome, found) for outcome in outcomes)


def _of_state(outcome: Outcome) -> bool:
    """Tell whether what other probes would say is a consequence of this."""
    return not isinstance(outcome, Probe) and outcome[1].cause in STATE


def _finished(probing: Probing, step: list[Ask] | Outcome | None = None) -> Outcome:
    """Answer a probe's questions one by one, from a step on, and return its outcome."""
    if step is None:
        step = _stepped(probing, None)
    while isinstance(step, list):
        step = _stepped(probing, [ask.answer() for ask in step])
    return step


def _stepped(probing: Probing, answers: list[Answer] | None) -> list[Ask] | Outcome:
    """Return what a probe asks next, or its outcome."""
    try:
        return next(probing) if answers is None else probing.send(answers)
    except StopIteration as done:
        outcome: Outcome = done.value
        return outcome


def _reported(outcome: Outcome, found: Findings) -> Probe:
    if isinstance(outcome, Probe):
        return outcome
    name, departure = outcome
    found.failures.append(departure)
    return Probe(name, "failed", departure.sentence)
