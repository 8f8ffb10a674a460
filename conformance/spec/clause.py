"""The record of a clause, and the three ways in which it is exercised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conformance.notation import parse
from conformance.program import Program
from conformance.verdict import Level


@dataclass(frozen=True, slots=True)
class Clause:
    """One numbered sentence of the specification.

    id: theme prefix and number, as `ACC-2`. title: the sentence. why: what goes wrong in practice
    when it is broken. source: a page of PyTorch's documentation, a paper, or this project's own
    reasoning. needs: capabilities beyond those that the programs' own steps imply. unless: names
    of conventions (`Engine.conventions`) under which the clause is not asked. scenarios: directed
    programs with exact figures. generated: names of strategies in
    `conformance.strategies`, whose programs are judged by `oracles` at every step that carries no
    figure of its own.
    """

    id: str
    theme: str
    level: Level
    title: str
    why: str
    source: str
    scenarios: tuple[Program, ...]
    generated: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    oracles: tuple[str, ...] = ("differential",)


def scenario(text: str, *tags: str) -> Program:
    """Read a directed scenario from the text form.

    tags: ids of the seed cases that it says, as `B7` (tests/reference_engine/test_seed_cases.py).
    """
    return parse(text, tags)


class Theme:
    """Collects the clauses of one file, so that each states only what is its own."""

    def __init__(self, name: str, prefix: str, title: str) -> None:
        self.name, self.prefix, self.title = name, prefix, title
        self.clauses: list[Clause] = []

    def clause(
        self,
        number: int,
        title: str,
        *,
        why: str,
        source: str,
        scenarios: Sequence[Program],
        generated: Sequence[str] = (),
        needs: Sequence[str] = (),
        unless: Sequence[str] = (),
        level: Level = Level.MUST,
        oracles: Sequence[str] = ("differential",),
        varied: bool = True,
    ) -> Clause:
        """Add clause `PREFIX-number`; numbers are never re-used once released.

        A clause that names no strategy is generated for by variations of its own scenarios
        (`conformance.strategies.variations`), unless `varied` is false.
        """
        if varied and not generated:
            generated = (f"variations.{self.prefix}-{number}",)
        row = Clause(
            id=f"{self.prefix}-{number}",
            theme=self.name,
            level=level,
            title=title,
            why=why,
            source=source,
            scenarios=tuple(scenarios),
            generated=tuple(generated),
            needs=frozenset(needs),
            unless=frozenset(unless),
            oracles=tuple(oracles),
        )
        self.clauses.append(row)
        return row
