"""Examining: a clause on an engine, by its scenarios and by programs generated for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from conformance.adapters.base import Engine
from conformance.compare.difference import is_grave
from conformance.errors import UsageError
from conformance.execute import or_fault
from conformance.graph import graph_behind
from conformance.judge import judge
from conformance.notation import render
from conformance.profiles import PROFILES, Profile
from conformance.program import Program, Step, to_json
from conformance.reproduce import script
from conformance.spec.clause import Clause
from conformance.verdict import ClauseResult, Finding, Kind, Outcome, Status, Violation

Before = Callable[[Program], None]
After = Callable[[Program, Finding], None]


def examine(
    engine: Engine,
    clause: Clause,
    profile: str,
    seed: int,
    *,
    before: Before | None = None,
    after: After | None = None,
) -> ClauseResult:
    """Judge the clause's scenarios, then the programs generated for it, and return the verdict.

    profile: a name of `conformance.profiles.PROFILES`. before: called with every program that is
    about to run, those of shrinking too. after: called with every program that counts and what it
    showed. Violations of one cause are one: the one with the shortest program. A program on which
    the oracles disagree, or the harness fails, leaves the clause inconclusive unless it is
    violated. The same arguments give the same result. Raises `UsageError` for an unknown profile.
    """
    if profile not in PROFILES:
        raise UsageError(f"profile {profile!r} is unknown; choose from {', '.join(PROFILES)}")
    examination = _Examination(engine, clause, PROFILES[profile], before, after)
    for convention in sorted(clause.unless & engine.conventions.keys()):
        examination.departs(convention)
        return examination.result()
    missing = clause.needs - engine.session().capabilities
    if missing:
        examination.lacks(missing)
        return examination.result()
    for program in clause.scenarios:
        examination.scenario(program)
    for name in clause.generated:
        examination.generated(name, seed)
    return examination.result()


class _Examination:
    """The count of a clause's programs by outcome, and the failing ones by cause."""

    def __init__(
        self,
        engine: Engine,
        clause: Clause,
        profile: Profile,
        before: Before | None,
        after: After | None,
    ) -> None:
        self.engine, self.clause, self.profile = engine, clause, profile
        self.before, self.after = before, after
        self.counts = dict.fromkeys(Outcome, 0)
        self.failing: dict[str, tuple[Program, Finding]] = {}
        self.tags: dict[str, list[str]] = {}
        self.notes: dict[Outcome, str] = {}
        self.grave = ""
        self.error_ulp: float | None = None

    def scenario(self, program: Program) -> None:
        """Judge a directed scenario; shorten it where it fails."""
        finding = self._judge(program)
        self._count(program, finding)
        if finding.outcome is Outcome.VIOLATED:
            tags = self.tags.setdefault(finding.cause, [])
            tags.extend(tag for tag in program.tags if tag not in tags)
            self._keep(*self._shortened(program, finding))

    def generated(self, name: str, seed: int) -> None:
        """Judge the programs of one strategy, drawn by the seed of the clause."""
        from conformance.strategies.driver import search  # Hypothesis, only where it is needed
        from conformance.strategies.probe import facts_of

        judged: list[tuple[Program, Finding]] = []

        def check(program: Program) -> Finding:
            finding = self._judge(program)
            judged.append((program, finding))
            return finding

        found = search(
            name,
            facts_of(self.engine),
            check,
            examples=self.profile.examples,
            seed=seed,
            shrinking=self.profile.shrinking,
        )
        if found.missing:
            self.lacks(found.missing, f"for {name}")
        for program, finding in judged[: found.tried]:  # what follows was judged to shrink
            self._count(program, finding)
        for program, finding in found.failing:
            self._keep(program, finding)

    def lacks(self, missing: Iterable[str], what: str = "") -> None:
        """Take note of capabilities without which programs could not be run."""
        needed = ", ".join(sorted(missing))
        self.counts[Outcome.UNSUPPORTED] += 1
        self.notes.setdefault(Outcome.UNSUPPORTED, f"needs {needed} {what}".rstrip())

    def departs(self, convention: str) -> None:
        """Take note of a documented convention under which the clause is not asked."""
        self.counts[Outcome.UNSUPPORTED] += 1
        documented = f"{self.engine.name} documents that {self.engine.conventions[convention]}"
        self.notes[Outcome.UNSUPPORTED] = f"convention {convention}: {documented}"

    def _judge(self, program: Program) -> Finding:
        if self.before is not None:
            self.before(program)
        found = or_fault(lambda: judge(self.engine, program, oracles=self.clause.oracles))
        if isinstance(found, str):
            return Finding(Outcome.INCONCLUSIVE, self.engine.dtypes[0], message=found)
        return found

    def _count(self, program: Program, finding: Finding) -> None:
        self.counts[finding.outcome] += 1
        if finding.message:
            self.notes.setdefault(finding.outcome, finding.message)
        if finding.outcome is Outcome.INCONCLUSIVE and is_grave(finding.message):
            self.grave = self.grave or finding.message
        if finding.error_ulp is not None:
            self.error_ulp = max(self.error_ulp or 0.0, finding.error_ulp)
        if self.after is not None:
            self.after(program, finding)

    def _keep(self, program: Program, finding: Finding) -> None:
        kept = self.failing.get(finding.cause)
        if kept is None or _length(program) < _length(kept[0]):
            self.failing[finding.cause] = program, finding

    def _shortened(self, program: Program, finding: Finding) -> tuple[Program, Finding]:
        """Return the shortest program found that fails for the same cause."""
        from conformance.strategies.simplify import Spent, simplify

        found = {program: finding}
        budget = self.profile.shrinking

        def fails(candidate: Program) -> bool:
            nonlocal budget
            if candidate not in found:
                if budget <= 0:
                    raise Spent
                budget -= 1
                found[candidate] = self._judge(candidate)
            return found[candidate].cause == finding.cause

        shorter = _up_to(program, finding.step)
        best = program
        with suppress(Spent):
            best = simplify(shorter if fails(shorter) else program, fails)
        return best, found[best]

    def result(self) -> ClauseResult:
        """Return the verdict."""
        counts, clause = self.counts, self.clause
        reached = counts[Outcome.HOLDS] + counts[Outcome.VIOLATED]
        status = Status.UNEXERCISED
        if self.failing:
            status = Status.VIOLATED
        elif self.grave:
            status = Status.INCONCLUSIVE
        elif reached:
            status = Status.HOLDS
        elif counts[Outcome.INCONCLUSIVE]:
            status = Status.INCONCLUSIVE
        elif counts[Outcome.UNSUPPORTED]:
            status = Status.UNSUPPORTED
        note = ""
        if status in (Status.INCONCLUSIVE, Status.UNSUPPORTED):
            note = self.grave or self.notes.get(Outcome(status.value), "")
        elif status is Status.UNEXERCISED:
            note = "no program of the clause was run"
        return ClauseResult(
            id=clause.id,
            theme=clause.theme,
            level=clause.level,
            title=clause.title,
            status=status,
            programs=reached,
            inconclusive=counts[Outcome.INCONCLUSIVE],
            unsupported=counts[Outcome.UNSUPPORTED],
            violations=tuple(sorted(map(self._violation, self.failing), key=_severity)),
            max_error_ulp=self.error_ulp,
            note=note,
            source=clause.source,
            why=clause.why,
            tags=tuple(dict.fromkeys(tag for s in clause.scenarios for tag in s.tags)),
        )

    def _violation(self, cause: str) -> Violation:
        program, finding = self.failing[cause]
        assert finding.kind is not None
        tags = tuple(self.tags.get(cause, ()))
        return Violation(
            cause=cause,
            kind=finding.kind,
            operation=finding.operation,
            dtype=finding.dtype,
            program=to_json(replace(program, tags=tags)),
            text=render(program),
            step=finding.step,
            expected=finding.expected,
            observed=finding.observed,
            message=finding.message,
            reproduction=script(self.engine, program, finding.dtype, finding, self.clause.oracles),
            oracle=finding.oracle,
            tags=tags,
            graph=graph_behind(program, finding.step, finding.dtype),
        )


def _severity(violation: Violation) -> tuple[int, str]:
    return list(Kind).index(violation.kind), violation.cause


def _length(program: Program) -> int:
    return sum(map(_size, program.steps))


def _size(step: Step) -> int:
    return 1 + sum(map(_size, step.body))


def _up_to(program: Program, number: int) -> Program:
    """Return the program without the top-level steps after the one that holds step `number`."""
    kept, count = [], 0
    for step in program.steps:
        if count > number:
            break
        kept.append(step)
        count += _size(step)
    return Program(tuple(kept), program.tags)
