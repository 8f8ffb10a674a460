"""The driver: draws programs by Hypothesis, has each judged, and shrinks those that fail.

Everything is a function of the seed: Hypothesis runs without its database, its deadlines and its
clock-driven phases, and shrinking is bounded by a count of judged programs. Programs are decoded
from byte strings of one fixed length: of another length, Hypothesis would now and then draw
literals that it finds in the modules that happen to be loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

from conformance.errors import Unsupported
from conformance.program import Program
from conformance.strategies.facts import Facts
from conformance.strategies.recipes import Recipe, named
from conformance.strategies.simplify import Spent, simplify
from conformance.verdict import Finding, Outcome

LENGTH = 113
"""Bytes that a program is decoded from; the longest recipe reads fewer."""
BYTES = st.binary(min_size=LENGTH, max_size=LENGTH)
Check = Callable[[Program], Finding]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    findings: one for each different program that was drawn, in order. failing: for each cause among
    them the smallest program found that still fails for it. missing: what the engine lacks for the
    strategy, in which case nothing was drawn.
    """

    strategy: str
    findings: tuple[Finding, ...] = ()
    failing: tuple[tuple[Program, Finding], ...] = ()
    missing: frozenset[str] = frozenset()

    @property
    def tried(self) -> int:
        """Return how many programs were drawn and judged, those of shrinking left out."""
        return len(self.findings)


def strategy(name: str) -> Callable[[Facts], st.SearchStrategy[Program]]:
    """Return the strategy of that name: a function of an engine's facts.

    Raises `UsageError` for an unknown name, and `Unsupported` where the engine lacks what every
    program of the strategy needs.
    """
    recipe = named(name)

    def programs(facts: Facts) -> st.SearchStrategy[Program]:
        if missing := recipe.missing(facts):
            raise Unsupported(f"{name} needs {', '.join(sorted(missing))}")
        return BYTES.map(lambda data: recipe.decode(data, facts))

    return programs


def search(
    name: str,
    facts: Facts,
    check: Check,
    *,
    examples: int,
    seed: int,
    shrinking: int = 400,
) -> SearchResult:
    """Draw `examples` programs of a strategy, judge them by `check`, and shrink the failing ones.

    shrinking: how many more programs may be judged to that end. An exception of `check` is a fault
    of the harness and propagates. Raises `UsageError` for an unknown name.
    """
    recipe = named(name)
    if missing := recipe.missing(facts):
        return SearchResult(name, missing=missing)
    judged = _Judged(recipe, facts, check)
    first: dict[str, bytes] = {}
    drawn = _draw(_seed_of(name, seed), examples)
    if recipe.cases is not None:
        drawn = _dealt(drawn, recipe.cases(facts), _seed_of(name, seed))
    for data in drawn:
        finding = judged.finding(data)
        if finding is not None and finding.outcome is Outcome.VIOLATED:
            first.setdefault(finding.cause, data)
    found = tuple(judged.findings.values())
    if not found:
        return SearchResult(name, missing=frozenset({"operations for its programs"}))
    failing = []
    for number, (cause, data) in enumerate(first.items()):
        share = shrinking // (len(first) - number)
        shrinking -= share
        judged.budget = share
        failing.append(judged.shrunk(cause, data, _seed_of(name, seed), examples))
        shrinking += judged.budget
    return SearchResult(name, found, tuple(failing))


def _seed_of(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{name}:{seed}".encode()).digest()[:8], "big")


def _settings(examples: int, *phases: Phase) -> settings:
    return settings(
        max_examples=examples,
        phases=phases,
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )


@lru_cache(maxsize=16)  # the same for every engine
def _draw(seed: int, examples: int) -> tuple[bytes, ...]:
    """Return the byte strings that Hypothesis generates, each once, the simplest one first."""
    drawn: dict[bytes, None] = {}

    @hypothesis_seed(seed)
    @_settings(examples, Phase.generate)
    @given(BYTES)
    def collect(data: bytes) -> None:
        drawn[data] = None

    collect()
    return tuple(drawn)


_PER_EXAMPLE = 2
"""Programs of a recipe of cases for each example of the profile: they are short, and many."""


def _dealt(drawn: tuple[bytes, ...], cases: int, seed: int) -> tuple[bytes, ...]:
    """Return byte strings for different cases, all of them where there are examples enough."""
    order = sorted(
        range(cases), key=lambda case: hashlib.sha256(f"{seed}:{case}".encode()).digest()
    )
    chosen = order[: _PER_EXAMPLE * len(drawn)]
    return tuple(
        case.to_bytes(2, "big") + drawn[number % len(drawn)][2:]
        for number, case in enumerate(chosen)
    )


class _Failing(Exception):
    """Tells Hypothesis that the bytes still show the failure that is being shrunk."""


class _Judged:
    """The programs of one search and their findings; none is judged twice."""

    def __init__(self, recipe: Recipe, facts: Facts, check: Check) -> None:
        self.recipe, self.facts, self.check = recipe, facts, check
        self.findings: dict[Program, Finding] = {}
        self.budget = 0
        self._judging: Program | None = None

    def finding(self, data: bytes) -> Finding | None:
        """Return the finding on the program of the bytes; None where they stand for none."""
        try:
            program = self.recipe.decode(data, self.facts)
        except Unsupported:
            return None
        if program not in self.findings:
            self.findings[program] = self.check(program)
        return self.findings[program]

    def same(self, program: Program, cause: str) -> bool:
        """Whether the program fails for the cause. Raises `Spent` once the budget is spent."""
        found = self.findings.get(program)
        if found is None:
            if self.budget <= 0:
                raise Spent
            self.budget -= 1
            self._judging = program
            found = self.findings[program] = self.check(program)
            self._judging = None
        return found.outcome is Outcome.VIOLATED and found.cause == cause

    def shrunk(self, cause: str, data: bytes, seed: int, examples: int) -> tuple[Program, Finding]:
        """Return the smallest program found that fails for the cause, which `data` does.

        Hypothesis shrinks the bytes, which keeps the program one of its recipe; then steps that do
        not matter are dropped and seeded leaves get short numbers.
        """
        best = self.recipe.decode(data, self.facts)
        failing = {data: best}

        @hypothesis_seed(seed)
        @_settings(examples, Phase.generate, Phase.shrink)
        @given(BYTES)
        def fails(candidate: bytes) -> None:
            nonlocal best
            if self.budget > 0:
                try:
                    program = self.recipe.decode(candidate, self.facts)
                except Unsupported:
                    return
                if not self.same(program, cause):
                    return
                failing[candidate] = program
            if candidate in failing:  # Hypothesis asks again for what it was told before
                best = failing[candidate]
                raise _Failing

        if self.budget > 0:
            with suppress(_Failing):  # Hypothesis ends with the smallest program, which is `best`
                fails()
        if self._judging is not None:
            self.check(self._judging)  # a fault of the harness: raise it outside Hypothesis
        best = simplify(best, lambda program: self.same(program, cause))
        return best, self.findings[best]
