"""What a check found: a verdict with its error, the bound of that error, and the reason."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from enum import Enum
from functools import cache
from typing import Any

from conformance.errors import ConformanceError

SCHEMA = 1


class Verdict(str, Enum):
    """`pass`, `fail`, or `inconclusive`: neither could be shown, and the reason says why."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Place:
    """An element of an input or an output: which tensor, and its index there."""

    name: str
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}{list(self.index)}" if self.index else self.name


@dataclass(frozen=True, slots=True)
class Departure:
    """One way in which a gradient is wrong, or cannot be judged.

    cause: what provokes it, in a word or two (`formula`, `non-contiguous cotangent`, …). analytic:
    what backward gives; numeric: what values of the function say. error: their distance; bound: the
    most that rounding and the numeric derivative could contribute to it.
    """

    cause: str
    sentence: str
    output: Place | None = None
    input: Place | None = None
    analytic: float = math.nan
    numeric: float = math.nan
    error: float = math.nan
    bound: float = math.nan

    def __str__(self) -> str:
        return f"{self.cause}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Probe:
    """One question that was asked of the backward. outcome: passed, failed, skipped, unclear."""

    name: str
    outcome: str
    detail: str = ""


@cache
def passed(name: str) -> Probe:
    """Return the outcome of a question that was answered right."""
    return Probe(name, "passed")


@cache
def skipped(name: str, why: str = "") -> Probe:
    """Return the outcome of a question that was not asked."""
    return Probe(name, "skipped", why)


@dataclass(frozen=True, slots=True)
class ElementErrors:
    """Full mode: per element of an input, the worst error over the cotangents, and its bound."""

    input: str
    shape: tuple[int, ...]
    error: list[float]
    bound: list[float]
    scale: list[float]


@dataclass
class GradientResult:
    """The result of `gradcheck`.

    error and bound: of the directional derivative that was compared, or of the element at fault;
    limit: the relative error that would have been noticed. evaluations: calls of the function until
    the first comparison was decided; calls: all of them, probes and search for the place included.
    """

    verdict: Verdict
    reason: str
    function: str
    engine: str
    order: int
    mode: str
    seed: int
    dtypes: tuple[str, ...]
    computed_in: str
    error: float
    bound: float
    limit: float
    evaluations: int
    calls: int
    failures: tuple[Departure, ...] = ()
    doubts: tuple[Departure, ...] = ()
    notes: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    taylor_order: float = math.nan
    randomness: dict[str, float] = field(default_factory=dict)
    elements: tuple[ElementErrors, ...] = ()

    def __bool__(self) -> bool:
        return self.verdict is Verdict.PASS

    @property
    def first(self) -> Departure | None:
        """The departure that decided the verdict, None where it is a pass."""
        return next(iter((*self.failures, *self.doubts)), None)

    @property
    def output(self) -> Place | None:
        """The output at fault, where one was found."""
        return self.first.output if self.first else None

    @property
    def input(self) -> Place | None:
        """The input at fault, where one was found."""
        return self.first.input if self.first else None

    @property
    def analytic(self) -> float:
        """What backward gives at the place at fault."""
        return self.first.analytic if self.first else math.nan

    @property
    def numeric(self) -> float:
        """What values of the function say at the place at fault."""
        return self.first.numeric if self.first else math.nan

    def to_json(self) -> str:
        """Return the result as JSON: plain data, numbers that are not finite as strings."""
        return json.dumps(_plain({"schema": SCHEMA, **asdict(self)}), indent=1, allow_nan=False)

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.function} on {self.engine}: {self.reason}"]
        if len(self.failures) > 1:
            lines += [f"  also {departure}" for departure in self.failures[1:]]
        if self.failures:
            lines += [f"  unclear {departure}" for departure in self.doubts]
        lines += [f"  note: {note}" for note in self.notes]
        skipped = [p.name for p in self.probes if p.outcome == "skipped"]
        asked = len(self.probes) - len(skipped)
        tail = f"  {self.evaluations} evaluations to the verdict, {self.calls} calls in all"
        tail += f"; {asked} probes" + (f", skipped: {', '.join(skipped)}" if skipped else "")
        return "\n".join([*lines, f"{tail}; seed {self.seed}"])


class GradientError(ConformanceError, AssertionError):
    """Raised by `assert_gradients`; `result` holds what was found."""

    def __init__(self, result: GradientResult) -> None:
        super().__init__(str(result))
        self.result = result


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
