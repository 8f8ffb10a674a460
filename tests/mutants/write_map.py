"""Writes the map of mutants as data: `python -m tests.mutants.write_map`."""

from __future__ import annotations

import json

from conformance import spec
from conformance.coverage import MAP
from tests.mutants.collection import MUTANTS


def text() -> str:
    """Return the map: the names of mutants by the clause that they must violate."""
    named: dict[str, list[str]] = {row.id: [] for row in spec.clauses()}
    for row in MUTANTS.values():
        for identifier in row.caught_by:
            named[identifier].append(row.name)
    return json.dumps(named, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    MAP.write_text(text(), encoding="utf-8")
