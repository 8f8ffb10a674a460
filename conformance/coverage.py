"""The map of the specification: each clause with its scenarios, strategies and mutants.

Mutants are tests of this project and are not installed with it. A checkout keeps a map of them as
data, `tests/mutants/map.json`, which its tests compare with the mutants themselves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from conformance.errors import UsageError
from conformance.spec import Clause, clauses

MAP = Path(__file__).parent.parent / "tests" / "mutants" / "map.json"
"""Where a checkout keeps the names of the mutants that must violate each clause."""


@dataclass(frozen=True, slots=True)
class Row:
    """One clause of the map. mutants: names; None outside a checkout."""

    clause: Clause
    mutants: tuple[str, ...] | None

    @property
    def gaps(self) -> tuple[str, ...]:
        """Return what the clause lacks: scenarios, mutants."""
        found = () if self.clause.scenarios else ("scenarios",)
        return (*found, "mutants") if self.mutants == () else found


def coverage(path: Path = MAP) -> tuple[Row, ...]:
    """Return the map. Raises `UsageError` where the file is there and cannot be read."""
    if not path.is_file():
        return tuple(Row(row, None) for row in clauses())
    try:
        named = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Row(row, tuple(map(str, named.get(row.id, ())))) for row in clauses())
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{path} is no map of mutants ({error}); write it again by"
            " `python -m tests.mutants.write_map`"
        ) from error
