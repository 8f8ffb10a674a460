"""Observations: what one engine did with one program, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Union

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Observed = Union[None, bool, int, str, Array, tuple[Array, ...]]  # noqa: UP007
"""What a step yielded: nothing, a flag, a version, a name, an array, or a log of arrays."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The engine raised: `unsupported` for its typed `Unsupported`, `refused` for anything else."""

    category: Literal["refused", "unsupported"]
    type: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """What happened at one step. A step that reads a name which was never bound is skipped.

    `seen` tells an observation of None (an absent gradient) from a step that observes nothing.
    `expected` is the value, at that moment, of the tensor that the step's figure names.
    """

    step: int
    verb: str
    value: Observed = None
    seen: bool = False
    refusal: Refusal | None = None
    skipped: bool = False
    expected: Array | None = None

    def describe(self) -> str:
        """Return the event in a few words, for messages."""
        if self.skipped:
            return "skipped: a tensor that it reads was never made"
        if self.refusal is not None:
            return f"raised {self.refusal.type}: {self.refusal.message}"
        return describe(self.value) if self.seen else "succeeded"


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """The events of one run of a program: `events[n]` is that of step number `n`."""

    engine: str
    dtype: str
    events: tuple[Event, ...]

    @property
    def unsupported(self) -> Refusal | None:
        """Return the first `unsupported` refusal: the program then says nothing of the engine."""
        for event in self.events:
            if event.refusal is not None and event.refusal.category == "unsupported":
                return event.refusal
        return None


def describe(value: Observed, limit: int = 12, digits: int = 8) -> str:
    """Return an observed value in one short line, with the dtype and shape of large arrays."""
    if isinstance(value, tuple):
        return f"[{', '.join(describe(item, digits=digits) for item in value)}]"
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size <= limit:
        return np.array2string(value, separator=", ", precision=digits).replace("\n", "")
    first = ", ".join(f"{item:.{digits}g}" for item in value.ravel()[:4])
    return f"{value.dtype}{list(value.shape)} [{first}, …]"
