"""Questions to backwards: what one probe asks waits for the others, and all go in one pass.

A probe is a generator: it yields a list of what it wants pulled back, is sent the gradients, and
returns its outcome. The first questions of all probes concern graphs of their own, so one call of
the engine answers them; what a wrong answer leads to is asked by itself.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from conformance.adapters.base import Tensor
from conformance.gradient_check.base_point import BACKWARD_ERRORS, BackwardRaised
from conformance.gradient_check.recordings import Recording
from conformance.gradient_check.result import Departure, Probe
from conformance.observation import Array

Outcome = Probe | tuple[str, Departure]
Answer = Array | BackwardRaised


@dataclass(slots=True)
class Ask:
    """One backward: arguments as those of `Recording.pull`. late: not the first of its graph."""

    recording: Recording
    cotangent: Array | None
    arrangement: str = "plain"
    omit: int | None = None
    late: bool = False

    def answer(self) -> Answer:
        """Return the gradient, or what the backward raised, of this question alone."""
        try:
            return self.recording.pull(self.cotangent, self.arrangement, self.omit)
        except BACKWARD_ERRORS as error:
            return BackwardRaised(error)


Probing = Generator[list[Ask], list[Answer], Outcome]


def together(asks: Sequence[Ask]) -> list[Answer]:
    """Return the answers, from one pass of the engine where it takes several graphs at once."""
    if not asks or not asks[0].recording.target.joins:
        return [ask.answer() for ask in asks]
    found: dict[int, Answer] = {}
    early = [place for place, ask in enumerate(asks) if not ask.late]
    rest = early if len(early) == len(asks) else early + _late(asks)
    while rest:
        joined: dict[Recording, int] = {}
        later: list[int] = []
        for place in rest:
            recording = asks[place].recording
            if recording in joined:
                later.append(place)
            else:
                joined[recording] = place
        chosen = [asks[place] for place in joined.values()]
        answers = _at_once(chosen) or [ask.answer() for ask in chosen]
        found.update(zip(joined.values(), answers, strict=True))
        rest = later
    return [found[place] for place in range(len(asks))]


def _late(asks: Sequence[Ask]) -> list[int]:
    return [place for place, ask in enumerate(asks) if ask.late]


def _at_once(asks: Sequence[Ask]) -> list[Answer]:
    """Return the answers to questions about different graphs, none where any of them raises."""
    try:
        leaves: list[Tensor] = []
        roots: list[Tensor] = []
        seeds: list[Tensor | None] = []
        for ask in asks:
            recording = ask.recording
            own_roots, own_seeds = recording.seeded(ask.cotangent, ask.arrangement, ask.omit)
            roots += own_roots
            seeds += own_seeds
            leaves += recording.leaves
        found = asks[0].recording.target.pull(leaves, roots, seeds)
        answers: list[Answer] = []
        start = 0
        for ask in asks:
            recording = ask.recording
            stop = start + len(recording.leaves)
            recording.received = own = found[start:stop]
            answers.append(recording.target.gathered(own, recording.variables))
            start = stop
        return answers
    except BACKWARD_ERRORS:
        return []
