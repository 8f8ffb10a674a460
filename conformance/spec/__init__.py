"""The specification: numbered clauses by theme, each file the text of one theme.

Themes import their clauses when first asked for, so that importing this package costs nothing.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
from functools import cache

from conformance.errors import UsageError
from conformance.spec.clause import Clause, Theme, scenario

__all__ = ["FILES", "Clause", "Theme", "clause", "clauses", "scenario", "select", "themes"]

FILES = (
    "leaves",
    "leaf_flags",
    "accumulation",
    "stored_gradients",
    "cotangents",
    "roots",
    "retained_graphs",
    "detach",
    "data_hazards",
    "in_place",
    "grad_modes",
    "mode_boundaries",
    "inference",
    "inference_tensors",
    "training",
    "views",
    "hooks",
    "accumulation_hooks",
    "kept_gradients",
    "higher_order",
    "several_roots",
    "unreached",
    "errors_owed",
    "complex_numbers",
    "dtypes",
    "custom_functions",
    "function_contexts",
    "saved_hooks",
    "forward_mode",
    "numerics",
    "determinism",
    "lifetime",
    "threads",
)
"""The files of clauses in reading order; a theme too long for one file goes on in the next."""


@cache
def themes() -> tuple[Theme, ...]:
    """Return the themes in reading order."""
    found: dict[str, Theme] = {}
    for name in FILES:
        theme: Theme = importlib.import_module(f"conformance.spec.{name}").THEME
        found.setdefault(theme.name, theme)
    return tuple(found.values())


@cache
def clauses() -> tuple[Clause, ...]:
    """Return every clause, by theme and number."""
    return tuple(clause for theme in themes() for clause in theme.clauses)


def select(glob: str) -> tuple[Clause, ...]:
    """Return the clauses whose id or theme matches `glob`: `ACC-2`, `RET-*`, `detach`.

    Case does not matter. Raises `UsageError`, naming close matches, where none does.
    """
    pattern = glob.strip().lower()
    found = tuple(
        clause
        for clause in clauses()
        if fnmatch.fnmatchcase(clause.id.lower(), pattern)
        or fnmatch.fnmatchcase(clause.theme.lower(), pattern)
    )
    if found:
        return found
    raise UsageError(
        f"no clause matches {glob!r}; {_near(pattern)}"
        "run `autograd-conformance spec` to list them all"
    )


def clause(identifier: str) -> Clause:
    """Return the one clause of that id. Raises `UsageError`, naming close matches."""
    wanted = identifier.strip().lower()
    for row in clauses():
        if row.id.lower() == wanted:
            return row
    raise UsageError(
        f"no clause has the id {identifier!r}; {_near(wanted)}"
        "run `autograd-conformance spec` to list them all"
    )


def _near(wanted: str) -> str:
    names = {name.lower(): name for name in _names()}
    near = [names[name] for name in difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)]
    return f"did you mean {', '.join(near)}? Otherwise " if near else ""


def _names() -> tuple[str, ...]:
    return tuple(row.id for row in clauses()) + tuple(theme.name for theme in themes())
