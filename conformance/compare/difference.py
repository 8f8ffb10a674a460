"""What a comparison yields: nothing, a difference, or a doubt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """How an observation departs from what was expected.

    aspect: `shape`, `dtype`, `value`, `nonfinite`, `flag`, `presence`, `name` or `count`, a part of
    the cause of a violation. expected, observed: short texts. message: one sentence.
    """

    aspect: str
    expected: str
    observed: str
    message: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why nothing can be said."""

    reason: str


Answer = Difference | Doubt | None

DISAGREEMENT = "oracles disagree"
"""How a doubt begins where somebody is wrong and the oracles do not agree on who."""
FAULT = "error of the harness"
"""How a doubt begins where this package itself failed: its defect, not the engine's."""


def is_grave(reason: str) -> bool:
    """Tell whether a doubt must be looked at: a run that has one is no success."""
    return reason.startswith((DISAGREEMENT, FAULT))
