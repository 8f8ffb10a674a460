"""Recipes: the named kinds of generated programs, each a function that writes one program.

A recipe reads its decisions from a draft's choices and writes steps into the draft. Every program
that it writes contains what its name promises, so that none is drawn in vain and a clause counts
only programs that reached it. Clauses refer to recipes by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conformance.errors import UsageError
from conformance.program import Program
from conformance.strategies.choices import Choices
from conformance.strategies.draft import Draft
from conformance.strategies.facts import Facts

Write = Callable[[Draft], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named kind of generated programs.

    needs: capabilities without which no such program can be written. operations: those that every
    such program applies, whatever else it does. cases: where programs are of a countable number of
    cases, how many there are for an engine; the first two bytes then say which one.
    """

    name: str
    write: Write
    needs: frozenset[str]
    operations: frozenset[str]
    cases: Callable[[Facts], int] | None = None

    def missing(self, facts: Facts) -> frozenset[str]:
        """Return what the engine lacks for the recipe: capabilities and operations, by name."""
        absent = self.needs - facts.capabilities
        if facts.operations is not None:
            absent |= self.operations - facts.operations
        return absent

    def decode(self, data: bytes, facts: Facts) -> Program:
        """Return the program that the bytes stand for.

        Raises `Unsupported` where the engine's operations do not suffice for it.
        """
        draft = Draft(Choices(data), facts)
        self.write(draft)
        return draft.program()


RECIPES: dict[str, Recipe] = {}
"""Every recipe by name, in the order of its theme's file."""


def recipe(
    name: str,
    needs: str = "",
    operations: str = "",
    cases: Callable[[Facts], int] | None = None,
) -> Callable[[Write], Write]:
    """Register the decorated function under `name`; needs and operations are words."""

    def register(write: Write) -> Write:
        assert name not in RECIPES, name
        needed, applied = frozenset(needs.split()), frozenset(operations.split())
        RECIPES[name] = Recipe(name, write, needed, applied, cases)
        return write

    return register


def named(name: str) -> Recipe:
    """Return the recipe of that name. Raises `UsageError` where there is none."""
    if name not in RECIPES:
        raise UsageError(f"unknown strategy {name!r}; known: {', '.join(sorted(RECIPES))}")
    return RECIPES[name]
