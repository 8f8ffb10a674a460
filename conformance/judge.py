"""Judging: what one program says of one engine, by the clause's own figures first, then by oracles.

A program's figures and the errors that it says are owed are promises of the clause. What a step
yields without a promise is compared with the oracles' answers; a gradient is blamed only where the
differential oracle and finite differences, where they apply, agree with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from conformance.adapters.base import Engine
from conformance.blame import Blame, culprit
from conformance.compare.difference import Difference, Doubt
from conformance.compare.refusals import Answer, Debt, answer, debt
from conformance.errors import UsageError
from conformance.evidence import Evidence
from conformance.execute import execute
from conformance.observation import Event, Observation
from conformance.oracles.differential import Differential, oracle_for
from conformance.program import Program, Step
from conformance.verdict import Finding, Outcome

__all__ = ["ORACLES", "Finding", "judge"]

ORACLES = ("differential", "finite_difference", "adjoint")
"""The oracles that a clause may name. `differential` judges everything, the others gradients."""


def judge(
    engine: Engine,
    program: Program,
    *,
    dtype: str | None = None,
    oracles: Sequence[str] = ("differential",),
) -> Finding:
    """Run `program` on `engine` in `dtype` (default: its preferred one) and judge every step.

    Returns the first divergence, or that the program holds, is unsupported, or decides nothing. The
    same arguments give the same finding. Raises `UsageError` for an unknown oracle and
    `InvalidProgram` for a literal that is no array; never an exception of the engine.
    """
    for name in oracles:
        if name not in ORACLES:
            raise UsageError(f"oracle {name!r} is unknown; choose from {', '.join(ORACLES)}")
    target = engine.dtypes[0] if dtype is None else dtype
    if target not in engine.dtypes:
        reason = f"{engine.name} does not compute in {target}"
        return Finding(Outcome.UNSUPPORTED, target, message=reason)
    observation = execute(engine, program, target)
    unsupported = observation.unsupported
    if unsupported is not None:
        return Finding(Outcome.UNSUPPORTED, target, message=unsupported.message)
    judgement = _Judgement(engine, program, observation, tuple(oracles))
    finding = judgement.finding()
    if "value" in finding.cause.split("/")[2:] and finding.operation is None:
        return _with_culprit(engine, program, finding)
    return finding


def _with_culprit(engine: Engine, program: Program, finding: Finding) -> Finding:
    """Name the operation that is wrong by itself, where there is one."""

    def wrong(single: Program) -> bool:
        observation = execute(engine, single, finding.dtype)
        if observation.unsupported is not None:
            return False
        found = _Judgement(engine, single, observation, ("differential",)).finding()
        return found.outcome is Outcome.VIOLATED

    operation = culprit(oracle_for(engine), program, finding, wrong)
    if operation is None:
        return finding
    return replace(finding, operation=operation, cause=f"{finding.cause}/{operation}")


class _Judgement:
    """The judgement on one observation."""

    def __init__(
        self, engine: Engine, program: Program, observation: Observation, oracles: tuple[str, ...]
    ) -> None:
        self.steps, self.events = tuple(program.walk()), observation.events
        self.dtype, self.oracles = observation.dtype, oracles
        differential = Differential(oracle_for(engine), program, observation.dtype)
        self.evidence = Evidence(engine, program, observation, differential, oracles)
        self.differential = differential
        self.blame = Blame(program, observation, differential.name)

    def finding(self) -> Finding:
        """Return the finding: the first divergence in the order of the steps."""
        for step, event in zip(self.steps, self.events, strict=True):
            found = self._step(step, event)
            if found is not None:
                return replace(
                    found, checks=self.evidence.checks, error_ulp=self.evidence.error_ulp
                )
        return self._clean()

    def _clean(self) -> Finding:
        evidence, outcome, message = self.evidence, Outcome.HOLDS, ""
        if evidence.doubts:
            outcome, message = Outcome.INCONCLUSIVE, evidence.doubts[0]
        elif evidence.checks == 0:
            outcome, message = Outcome.INCONCLUSIVE, "nothing in the program could be compared"
        return Finding(
            outcome,
            self.dtype,
            message=message,
            checks=evidence.checks,
            error_ulp=evidence.error_ulp,
        )

    def _step(self, step: Step, event: Event) -> Finding | None:
        taken = answer(event)
        if step.refused:
            return self._owed(event, taken)
        if taken is Answer.SKIPPED:
            return None if step.expect is None else self._unreached(event)
        if taken is Answer.REFUSED:
            return self._refused(event)
        if step.expect is not None:
            return self._verdict(event, self.evidence.by_figure(step, event), "clause")
        if event.seen:
            return self._verdict(event, *self.evidence.by_oracles(event))
        return None

    def _owed(self, event: Event, taken: Answer) -> Finding | None:
        if taken is Answer.SKIPPED:
            return self._unreached(event)
        self.evidence.checks += 1
        if taken is Answer.REFUSED:
            return None
        return self.blame.not_refused(event)

    def _refused(self, event: Event) -> Finding | None:
        """Judge a refusal that no clause promises: right where the oracle refuses the step too."""
        if self._oracle_answers:
            owed = debt(event, self.differential.events[event.step])
            if owed is Debt.UNKNOWN:
                return None
            self.evidence.checks += 1
            if owed is Debt.SETTLED:
                return None
            return self.blame.refused(event, self.differential.name)
        if any(step.expect is not None or step.refused for step in self.steps[event.step :]):
            self.evidence.checks += 1
            return self.blame.refused(event, "clause")
        self.evidence.doubts.append("the engine refuses a step that no oracle could run")
        return None

    def _unreached(self, event: Event) -> Finding:
        """Blame the step for want of which a promised one was never reached."""
        self.evidence.checks += 1
        return self.blame.unreached(event)

    def _verdict(
        self, event: Event, difference: Difference | Doubt | None, oracle: str
    ) -> Finding | None:
        if isinstance(difference, Doubt):
            self.evidence.doubts.append(difference.reason)
            return None
        return None if difference is None else self.blame.wrong(event, difference, oracle)

    @cached_property
    def _oracle_answers(self) -> bool:
        return "differential" in self.oracles and self.differential.unsupported is None
