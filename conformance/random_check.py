"""The check of random programs: two engines side by side, and a judge where they part.

Nearly all programs agree exactly and cost two bare runs (`conformance.bulk`). The others are run
again step by step and judged: by conditioning where numbers are close, by finite differences where
gradients are not, and by a second oracle where the engine under test is neither of the two.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from conformance.adapters.base import Engine
from conformance.bulk import Bulk, Seen
from conformance.compare.agreement import agreed, same
from conformance.compare.difference import DISAGREEMENT
from conformance.execute import execute, unless_raised
from conformance.judge import judge
from conformance.observation import Event, Observation
from conformance.oracles.differential import oracle_for, other_oracle
from conformance.oracles.kinks import is_valid_at_a_kink
from conformance.oracles.promoted import Promoted
from conformance.program import Program, Step
from conformance.promises import end_of, observed, promised
from conformance.rounding import rounding_explains
from conformance.verdict import Finding, Kind, Outcome

Steps = tuple[Step, ...]
FLOATS_OF_ORACLES = frozenset({"float64", "complex128"})
REAL_FLOATS = frozenset({"float64", "float32", "float16", "bfloat16"})
KINK = "the program meets a kink, and the engine has another of the gradients that are valid there"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a program was judged to show, and the program in the form in which it was judged."""

    program: Program
    finding: Finding


def _answer(event: Event) -> str:
    if event.skipped or event.refusal is not None:
        return "skipped" if event.skipped else "refused"
    return type(event.value).__name__


class RandomCheck:
    """Judges random programs on one engine in one dtype (default: its preferred one).

    judged: how many programs the two bare runs did not settle.
    """

    def __init__(self, engine: Engine, dtype: str | None = None) -> None:
        self.engine, self.dtype = engine, dtype or engine.dtypes[0]
        self.oracle = oracle_for(engine)
        self.judged = 0

    def __call__(self, program: Program) -> Finding:
        """Return what the program shows of the engine."""
        return self.check(program).finding

    def agreeing(self, programs: Sequence[Steps]) -> list[bool]:
        """Tell of which programs both engines observe the same, up to measured rounding.

        False says nothing: the runs may have met what only `slowly` deals with. The steps must be
        those of valid programs. All run on one engine, then all on the other: code that stays in
        the processor's caches is a quarter faster.
        """
        if self._bulk is None:
            return [False] * len(programs)
        mine, theirs = self._bulk
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            due = [unless_raised(partial(theirs, steps)) for steps in programs]
            found = [unless_raised(partial(mine, steps)) for steps in programs]
            return [self._agree(*row) for row in zip(programs, found, due, strict=True)]

    def _agree(self, steps: Steps, mine: list[Seen] | None, theirs: list[Seen] | None) -> bool:
        if mine is None or theirs is None or len(mine) != len(theirs):
            return False
        return all(map(same, mine, theirs)) or rounding_explains(
            self.oracle, self.dtype, steps, mine, theirs
        )

    def check(self, program: Program) -> Checked:
        """Run the program on the engine and on the oracle; judge it where they part."""
        if self.agreeing([program.steps])[0]:
            return Checked(program, Finding(Outcome.HOLDS, self.dtype))
        return self.slowly(program)

    def slowly(self, program: Program) -> Checked:
        """Run the program on both step by step; judge it where they part."""
        mine = execute(self.engine, program, self.dtype)
        theirs = self._answers(program)
        end = min(end_of(program, theirs.events), len(theirs.events))
        if agreed(mine.events[:end], theirs.events[:end]) and mine.unsupported is None:
            return Checked(program, Finding(Outcome.HOLDS, self.dtype, checks=end))
        self.judged += 1
        return self._judged(program, theirs)

    def departure(self, program: Program) -> str:
        """Return how the engine first parts from the oracle, empty where it does not.

        No judge is asked: two programs that part alike most often have one cause.
        """
        if self.agreeing([program.steps])[0]:
            return ""
        mine = execute(self.engine, program, self.dtype)
        for one, other in zip(mine.events, self._answers(program).events, strict=True):
            if not agreed([one], [other]):
                return f"{one.verb} {_answer(one)} {_answer(other)}"
        return ""

    def plainly(self, program: Program) -> Checked:
        """Judge the program as it is, with no more observations than its own."""
        form = promised(program, self._answers(program).events)
        return Checked(form, judge(self.engine, form, dtype=self.dtype))

    def _judged(self, program: Program, theirs: Observation) -> Checked:
        if theirs.unsupported is not None:
            reason = f"{self.oracle.name} cannot run the program: {theirs.unsupported.message}"
            return Checked(program, Finding(Outcome.INCONCLUSIVE, self.dtype, message=reason))
        form = promised(program, theirs.events)
        finding = judge(self.engine, form, dtype=self.dtype)
        if finding.outcome is not Outcome.VIOLATED:
            return Checked(form, finding)
        closer = observed(program)
        closer = promised(closer, self._answers(closer).events)
        earlier = judge(self.engine, closer, dtype=self.dtype)
        if earlier.outcome is Outcome.VIOLATED:
            form, finding = closer, earlier
        return self._confirmed(form, finding)

    def _confirmed(self, form: Program, finding: Finding) -> Checked:
        """Blame an engine only where a second oracle has no quarrel with the first.

        At a kink there is no blame: other gradients than the oracles' are valid there.
        """
        if finding.kind is Kind.SILENTLY_WRONG and self.dtype in REAL_FLOATS:
            seen = execute(self.engine, form, self.dtype).events[finding.step].value
            if is_valid_at_a_kink(self.oracle, form, finding.step, seen):
                return Checked(form, Finding(Outcome.INCONCLUSIVE, self.dtype, message=KINK))
        if self._second is not None:
            doubt = judge(self._second, form, dtype=self._second.dtypes[0])
            if doubt.outcome is Outcome.VIOLATED and doubt.step <= finding.step:
                sides = f"{self._second.name} sides against {self.oracle.name}"
                reason = f"{DISAGREEMENT}: {sides}: {doubt.message}"
                return Checked(form, Finding(Outcome.INCONCLUSIVE, self.dtype, message=reason))
        return Checked(form, finding)

    def _answers(self, program: Program) -> Observation:
        promote = self.dtype not in FLOATS_OF_ORACLES
        return execute(Promoted(self.oracle) if promote else self.oracle, program, self.dtype)

    @cached_property
    def _second(self) -> Engine | None:
        return other_oracle(self.engine)

    @cached_property
    def _bulk(self) -> tuple[Bulk, Bulk] | None:
        """Return the bare runs of the engine and of its oracle, where both can be had."""
        mine, theirs = Bulk(self.engine, self.dtype), Bulk(self.oracle, self.dtype)
        fit = mine.fits and theirs.fits and self.dtype in FLOATS_OF_ORACLES
        return (mine, theirs) if fit else None
