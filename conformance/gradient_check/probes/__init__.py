"""What a backward can get wrong besides the formula, each asked by a probe and named by a cause."""

from __future__ import annotations

from collections.abc import Callable, Set

from conformance.gradient_check.examination import Findings
from conformance.gradient_check.probes.asking import Ask, Outcome, Probing, together
from conformance.gradient_check.probes.calls import CALLS, received
from conformance.gradient_check.probes.context import Context
from conformance.gradient_check.probes.cotangents import COTANGENTS, undefined, unharmed
from conformance.gradient_check.probes.inputs import INPUTS
from conformance.gradient_check.result import Probe, skipped
from conformance.gradient_check.targets import Spent

LOOKS = (received, unharmed)
"""What takes no call: the dtypes of the gradients, and if arguments were left alone."""
STATE = ("repeated backward", "state between calls")
SPENT = "the budget was spent"
UNANSWERED = Probe("", "unclear")
Questions = tuple[Callable[[Context], Probing], ...]
PROBES: Questions = (*COTANGENTS, *CALLS, *INPUTS.values(), undefined)
"""All of them; the last takes what graph the others leave."""


def without(answered: Set[str]) -> Questions:
    """Return all probes but those about other inputs of these names."""
    others = [probe for name, probe in INPUTS.items() if name not in answered]
    return (*COTANGENTS, *CALLS, *others, undefined)


def probed(context: Context, found: Findings, asked: Questions) -> tuple[Probe, ...]:
    """Ask some probes; add failures to what was found.

    Of state that the function keeps all else would be a consequence: it ends the list.
    """
    outcomes: list[Outcome] = [look(context) for look in LOOKS]
    if asked:
        outcomes += _answered(context, asked)
        first = len(LOOKS)  # the layout, which often is the cause of what follows, comes before it
        outcomes[first : first + 2] = reversed(outcomes[first : first + 2])
    probes: list[Probe] = []
    for outcome in outcomes:
        if not isinstance(outcome, Probe):
            name, departure = outcome
            found.failures.append(departure)
            outcome = Probe(name, "failed", departure.sentence)
        probes.append(outcome)
    return tuple(probes)


def _answered(context: Context, asked: Questions) -> list[Outcome]:
    """Return the outcomes of probes; their first questions are answered at once."""
    asks: list[Ask] = []
    waiting: list[tuple[int, Probing, int]] = []
    outcomes: list[Outcome] = []
    for place, probe in enumerate(asked):
        probing = probe(context)
        try:
            wanted = next(probing)
        except StopIteration as done:
            outcomes.append(done.value)
            continue
        except Spent:
            outcomes.append(_unasked(probe))
            continue
        waiting.append((place, probing, len(wanted)))
        outcomes.append(UNANSWERED)
        asks += wanted
    try:
        answers, start = together(asks), 0
    except Spent:
        return [_unasked(probe) for probe in asked]
    for place, probing, count in waiting:
        try:
            more = probing.send(answers[start : start + count])
            while True:  # further questions are answered one by one
                more = probing.send([ask.answer() for ask in more])
        except StopIteration as done:
            outcome = outcomes[place] = done.value
            if not isinstance(outcome, Probe) and outcome[1].cause in STATE:
                return outcomes[: place + 1]
        except Spent:
            outcomes[place] = _unasked(asked[place])
        start += count
    return outcomes


def _unasked(probe: Callable[[Context], Probing]) -> Probe:
    return skipped(probe.__name__.replace("_", " "), SPENT)
