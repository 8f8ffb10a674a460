"""The ledger: the JSON result of a run of one engine. It holds data only; reading executes nothing.

Everything outside `machine` is the same for the same seed, however many processes ran it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from conformance.errors import InvalidLedger
from conformance.program import Json
from conformance.verdict import ClauseResult, Kind, Level, OperationResult, Status, Violation

SCHEMA = 1


def short_name(engine: str) -> str:
    """Return an engine's name for readers: without the path of its Python, which tells nothing."""
    name = re.sub(r"python=[^,\]]*,?", "", engine)
    return name.replace(",]", "]").replace("[]", "")


def file_stem(engine: str) -> str:
    """Return the file name, without its suffix, under which a run of `engine` is written.

    Its short name, as `reference[backend=torch]`, with `-` for what some file system refuses.
    """
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]+', "-", short_name(engine)).strip(" .-") or "engine"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What was tested: the name that was asked for, the engine's version and its capabilities.

    catalogue: how many of the operations that generated programs apply it has, as `44 of 45`.
    """

    name: str
    version: str
    capabilities: tuple[str, ...]
    adapter: str = ""
    catalogue: str = ""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """How it was tested. `complete` is false where the run was cut short."""

    profile: str
    seed: int
    select: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Ledger:
    """The result of one run of one engine."""

    tool: dict[str, str]
    engine: EngineFacts
    run: RunFacts
    clauses: tuple[ClauseResult, ...]
    operations: tuple[OperationResult, ...] = ()
    machine: dict[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form, `schema` first."""
        form: dict[str, Json] = {"schema": SCHEMA}
        form.update(_plain(asdict(self)))
        return form


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (Status, Kind, Level)):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # strict JSON has no inf; an infinite error is read back by `float`
    return value


def ledger_from_json(form: Mapping[str, Any]) -> Ledger:
    """Build a ledger from its JSON form. Raises `InvalidLedger` where a field is missing or odd.

    Keys that this version does not know are ignored, as the contract lets others be added.
    """
    try:
        return Ledger(
            tool={str(k): str(v) for k, v in form["tool"].items()},
            engine=_record(EngineFacts, form["engine"]),
            run=_record(RunFacts, form["run"]),
            clauses=tuple(clause_from_json(item) for item in form["clauses"]),
            operations=tuple(operation_from_json(item) for item in form["operations"]),
            machine=dict(form["machine"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidLedger(f"the ledger is damaged: {type(error).__name__}: {error}") from error


def operation_to_json(result: OperationResult) -> dict[str, Json]:
    """Return the JSON form of one operation's row."""
    form: dict[str, Json] = _plain(asdict(result))
    return form


def operation_from_json(form: Mapping[str, Any]) -> OperationResult:
    """Build an operation's row from its JSON form.

    Raises KeyError, TypeError or ValueError where it is not one.
    """
    parsed = {"status": Status(form["status"]), "max_error_ulp": _error(form)}
    return _record(OperationResult, {**form, **parsed})


def _error(form: Mapping[str, Any]) -> float | None:
    error = form.get("max_error_ulp")
    return None if error is None else float(error)


def clause_to_json(result: ClauseResult) -> dict[str, Json]:
    """Return the JSON form of one clause's result, as it stands in a ledger."""
    form: dict[str, Json] = _plain(asdict(result))
    return form


def clause_from_json(form: Mapping[str, Any]) -> ClauseResult:
    """Build a clause's result from its JSON form.

    Raises KeyError, TypeError or ValueError where it is not one.
    """
    violations = tuple(
        _record(Violation, {**item, "kind": Kind(item["kind"])}) for item in form["violations"]
    )
    parsed = {
        "level": Level(form["level"]),
        "status": Status(form["status"]),
        "max_error_ulp": _error(form),
        "violations": violations,
    }
    return _record(ClauseResult, {**form, **parsed})


_Record = TypeVar("_Record")


def _record(cls: type[_Record], form: Mapping[str, Any]) -> _Record:
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    values = {
        key: tuple(v) if isinstance(v, list) else v for key, v in form.items() if key in known
    }
    return cls(**values)
