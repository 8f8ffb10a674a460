"""Verdicts: clause × engine × evidence, and the records that say why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from conformance.program import Json


class Status(str, Enum):
    """The verdict on a clause. Its order is the order in which a report lists them."""

    VIOLATED = "violated"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    INCONCLUSIVE = "inconclusive"
    UNEXERCISED = "unexercised"
    HOLDS = "holds"
    UNSUPPORTED = "unsupported"


class Kind(str, Enum):
    """How an engine departed from a clause. Silent wrongness is the worst of them."""

    SILENTLY_WRONG = "silently-wrong"
    NOT_REFUSED = "not-refused"
    REFUSED_LOUDLY = "refused-loudly"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"


class Level(str, Enum):
    """Whether the specification demands or advises (RFC 2119)."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class Outcome(str, Enum):
    """What one program says of one engine."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNSUPPORTED = "unsupported"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Finding:
    """The judgement on one program run by one engine: its first divergence, or that there is none.

    `step` is the number of the diverging step (-1 where there is none) and `operation` the one
    to blame, where one can be named. `cause` is the identity key of the defect: it names no number
    and no tensor, so that it stays the same while a program is shrunk. `oracle` is who knew better:
    `clause` for a figure of the specification. `error_ulp` is the worst error met, in units in the
    last place of the largest entry of its array; None where no number was compared. `checks`
    counts the figures, errors owed and oracle answers that were compared.
    """

    outcome: Outcome
    dtype: str
    kind: Kind | None = None
    step: int = -1
    operation: str | None = None
    expected: str = ""
    observed: str = ""
    message: str = ""
    oracle: str = "clause"
    error_ulp: float | None = None
    cause: str = ""
    checks: int = 0


@dataclass(frozen=True, slots=True)
class Violation:
    """One departure, with its shrunk program and a script that shows it again.

    `cause` is the identity key: violations with the same cause in one clause are one defect.
    `program` is the JSON form; `text` the text form; `expected` and `observed` are short texts.
    `graph` is what a picture of the graph behind it shows (`conformance.graph`), if there is one.
    """

    cause: str
    kind: Kind
    operation: str | None
    dtype: str
    program: dict[str, Json]
    text: str
    step: int
    expected: str
    observed: str
    message: str
    reproduction: str
    oracle: str = "clause"
    tags: tuple[str, ...] = ()
    graph: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """The verdict on one clause. `programs` counts those that reached what the clause is about.

    `max_error_ulp` is the worst error, accepted or not, in units in the last place of the dtype;
    None where no number was compared. `note` says why a status is not `holds`, where no violation
    does.
    """

    id: str
    theme: str
    level: Level
    title: str
    status: Status
    programs: int = 0
    inconclusive: int = 0
    unsupported: int = 0
    violations: tuple[Violation, ...] = ()
    max_error_ulp: float | None = None
    note: str = ""
    source: str = ""
    why: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What a run saw of one operation in one dtype."""

    name: str
    dtype: str
    status: Status
    programs: int
    max_error_ulp: float | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many clauses have each status; `silent`: how many have a silently wrong result."""

    counts: dict[Status, int] = field(default_factory=dict)
    silent: int = 0


def tally(results: tuple[ClauseResult, ...]) -> Tally:
    """Count the statuses of `results`."""
    counts = {status: sum(r.status is status for r in results) for status in Status}
    silent = sum(any(v.kind is Kind.SILENTLY_WRONG for v in r.violations) for r in results)
    return Tally(counts, silent)
