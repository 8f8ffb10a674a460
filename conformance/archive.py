"""Reads and writes ledgers: validated against the published schema, written whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from conformance.errors import InvalidLedger, UsageError
from conformance.ledger import SCHEMA, Ledger, ledger_from_json

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def read_ledger(path: str | Path) -> Ledger:
    """Read the ledger at `path`, compressed where it ends in `.gz`; nothing in it is executed.

    Raises `UsageError` where there is no readable file, `InvalidLedger` where it is no ledger, is
    damaged, or has a schema later than this version's.
    """
    try:
        stored = Path(path).read_bytes()
        text = (gzip.decompress(stored) if Path(path).suffix == ".gz" else stored).decode("utf-8")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(path, f"it cannot be decompressed: {error}") from error
    except OSError as error:
        raise UsageError(
            f"cannot read the ledger {str(path)!r}: {error.strerror}; give the path of a JSON file"
            " that `autograd-conformance run` wrote"
        ) from error
    except UnicodeDecodeError as error:
        raise _damaged(path, f"byte {error.start} is not UTF-8") from error
    return _ledger(path, _parsed(path, text))


def _damaged(path: str | Path, what: str) -> InvalidLedger:
    return InvalidLedger(
        f"{str(path)!r} is damaged or is no ledger: {what}; write it again with"
        " `autograd-conformance run`"
    )


def _parsed(path: str | Path, text: str) -> object:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        form: object = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise _damaged(path, where) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    return form


def _ledger(path: str | Path, form: object) -> Ledger:
    if not isinstance(form, dict) or not isinstance(form.get("schema"), int):
        raise _damaged(path, "it has no `schema` number")
    if form["schema"] < 1:
        raise _damaged(path, f"it says schema {form['schema']}; the first is 1")
    if form["schema"] > SCHEMA:
        raise InvalidLedger(
            f"{str(path)!r} has ledger schema {form['schema']}, and this version reads up to"
            f" {SCHEMA}; upgrade autograd-conformance"
        )
    problem = schema_problem(form)
    if problem is not None:
        raise _damaged(path, problem)
    return ledger_from_json(form)


def schema_problem(form: Mapping[str, Any]) -> str | None:
    """Return where and how `form` breaks the schema, in a few words; None where it does not."""
    from jsonschema.exceptions import best_match  # 100 ms, needed only where a ledger is touched

    try:
        error = best_match(_validator().iter_errors(form))
    except RecursionError as deep:
        return str(deep)
    if error is None:
        return None
    message = error.message if len(error.message) <= 160 else error.message[:157] + "..."
    return f"at {error.json_path}: {message}"


@cache
def _validator() -> Validator:
    from jsonschema import Draft202012Validator

    text = Path(__file__).with_name("ledger.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def ledger_text(ledger: Ledger) -> str:
    """Return the file form of a ledger. Raises `InvalidLedger` where it would break the schema."""
    form = ledger.to_json()
    problem = schema_problem(form)
    if problem is not None:
        raise InvalidLedger(f"the ledger of {ledger.engine.name!r} breaks its own schema {problem}")
    return json.dumps(form, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_ledger(ledger: Ledger, path: str | Path) -> Path:
    """Write the ledger to `path`, replacing what was there only once the whole text is on disk.

    Raises `UsageError` where the file cannot be written; a file that was there is then unchanged.
    """
    return write_text(path, ledger_text(ledger))


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` to `path` by an atomic replacement. Raises `UsageError` where it cannot."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            # an engine's message may hold lone surrogates; so escaped they are JSON, too
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise UsageError(
            f"cannot write {str(path)!r}: {error.strerror}; choose another place"
        ) from error
    return path


def prepare_folder(path: str | Path, option: str = "--out") -> Path:
    """Make the folder where needed and prove that files can be written there, before a long run.

    Raises `UsageError` where they cannot; `option` is the one to give another folder with.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise UsageError(
            f"cannot write reports to {str(path)!r}: {error.strerror}; choose another folder with"
            f" {option}"
        ) from error
