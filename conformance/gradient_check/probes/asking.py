"""Questions to backwards: what one probe asks waits for the others, and all go in one pass.

A probe is a generator: it yields a list of what it wants pulled back, is sent the gradients, and
returns its outcome. The first questions of all probes concern graphs of their own, so one call of
the engine answers them; what a wrong answer leads to is asked by itself.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from conformance.gradient_check.base_point import BACKWARD_ERRORS, BackwardRaised
from conformance.gradient_check.recordings import Recording
from conformance.gradient_check.result import Departure, Probe
from conformance.observation import Array

Outcome = Probe | tuple[str, Departure]
Answer = Array | BackwardRaised


@dataclass(slots=True)
class Ask:
    """One backward: arguments as those of `Recording.pull`."""

    recording: Recording
    cotangent: Array | None
    arrangement: str = "plain"
    omit: int | None = None

    def answer(self) -> Answer:
        """Return the gradient, or what the backward raised, of this question alone."""
        try:
            return self.recording.pull(self.cotangent, self.arrangement, self.omit)
        except BACKWARD_ERRORS as error:
            return BackwardRaised(error)


Probing = Generator[list[Ask], list[Answer], Outcome]


def together(asks: Sequence[Ask]) -> list[Answer]:
    """Return the answers, from one pass of the engine where it takes several graphs at once."""
    if not asks:
        return []
    target, seen, joined = asks[0].recording.target, set[int](), list[Ask]()
    for ask in asks:
        if target.joins and id(ask.recording) not in seen:
            joined.append(ask)
            seen.add(id(ask.recording))
    answered = {id(ask): answer for ask, answer in zip(joined, _at_once(joined), strict=False)}
    return [answered[id(ask)] if id(ask) in answered else ask.answer() for ask in asks]


def _at_once(asks: Sequence[Ask]) -> list[Answer]:
    """Return the answers to questions about different graphs, none where any of them raises."""
    try:
        prepared = [a.recording.seeded(a.cotangent, a.arrangement, a.omit) for a in asks]
        found = asks[0].recording.target.pull(
            [leaf for ask in asks for leaf in ask.recording.leaves],
            [root for roots, _ in prepared for root in roots],
            [seed for _, seeds in prepared for seed in seeds],
        )
        answers: list[Answer] = []
        start = 0
        for ask in asks:
            stop = start + len(ask.recording.leaves)
            answers.append(ask.recording.took(found[start:stop]))
            start = stop
        return answers
    except BACKWARD_ERRORS:
        return []
