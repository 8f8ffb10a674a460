"""Blame: the finding that names a divergence, its step, its cause, and the operation behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from conformance.adapters.base import Engine
from conformance.compare.difference import Difference
from conformance.execute import execute
from conformance.notation import parse, step_lines
from conformance.observation import Array, Event, Observation
from conformance.oracles.promoted import Promoted
from conformance.program import Literal, Program, Ref, Step
from conformance.verdict import Finding, Kind, Outcome

_IDENTITY = parse("""
    x = leaf([1.0, -2.0], requires_grad=True)
    backward(x, gradient=[3.0, 0.5])
    grad(x)
""")
"""A program of no operation: where it is wrong already, no operation is to blame."""


class Blame:
    """Makes the findings on one observation."""

    def __init__(self, program: Program, observation: Observation, oracle: str) -> None:
        self._program, self._observation, self._oracle = program, observation, oracle
        self._steps = tuple(program.walk())

    def not_refused(self, event: Event) -> Finding:
        """Return the finding that an error was owed and none came."""
        return self._finding(
            Kind.NOT_REFUSED,
            event,
            "clause",
            "an error",
            event.describe(),
            "no error was raised, and one is owed",
        )

    def refused(self, event: Event, oracle: str) -> Finding:
        """Return the finding that a step was refused which should run."""
        assert event.refusal is not None
        return self._finding(
            Kind.REFUSED_LOUDLY,
            event,
            oracle,
            "no error",
            event.describe(),
            f"{event.describe()}; expected no error",
            event.refusal.type,
        )

    def wrong(self, event: Event, difference: Difference, oracle: str) -> Finding:
        """Return the finding that an observation is silently wrong."""
        return self._finding(
            Kind.SILENTLY_WRONG,
            event,
            oracle,
            difference.expected,
            difference.observed,
            difference.message,
            difference.aspect,
        )

    def unreached(self, event: Event) -> Finding:
        """Return the finding on the step for want of which the promised `event` was not reached.

        That is the first refusal that nobody promised; without one, the reading of a gradient that
        was absent, whose name later steps read.
        """
        for step, earlier in zip(self._steps, self._observation.events, strict=True):
            if earlier.refusal is not None and not step.refused:
                return self.refused(earlier, "clause")
        wanted = self._wanted(event.step)
        for step, earlier in zip(self._steps, self._observation.events, strict=True):
            if wanted & set(step.out) and not earlier.skipped:
                return self._finding(
                    Kind.SILENTLY_WRONG,
                    earlier,
                    "clause",
                    "a tensor",
                    earlier.describe(),
                    f"{earlier.describe()}, so that step {event.step} could not run",
                    "presence",
                )
        return self._finding(
            Kind.SILENTLY_WRONG, event, "clause", "it runs", event.describe(), event.describe(), ""
        )

    def _wanted(self, number: int) -> set[str]:
        """Return every name on which a step depends, through any number of steps."""
        wanted = set(self._steps[number].reads())
        for step in reversed(self._steps[:number]):
            if wanted & set(step.out):
                wanted |= set(step.reads())
        return wanted

    def _finding(
        self,
        kind: Kind,
        event: Event,
        oracle: str,
        expected: str,
        observed: str,
        message: str,
        aspect: str = "",
    ) -> Finding:
        step = self._steps[event.step]
        operation = step.op
        source = "" if oracle == "clause" else f" (by {oracle})"
        if oracle == self._oracle:
            source = f" (by {oracle} in float64)"
        cause = [kind.value, step.verb, operation or "", aspect]
        return Finding(
            Outcome.VIOLATED,
            self._observation.dtype,
            kind=kind,
            step=event.step,
            operation=operation,
            expected=expected,
            observed=observed,
            message=f"step {event.step}, `{spoken(step)}`: {message}{source}",
            oracle=oracle,
            cause="/".join(part for part in cause if part),
        )


def spoken(step: Step) -> str:
    """Return the step without its expectation and without its body, on one line."""
    plain = Step(step.verb, step.out, step.args, step.op, step.params)
    return step_lines(plain)[0].rstrip(":")


def culprit(
    oracle: Engine, program: Program, finding: Finding, wrong: Callable[[Program], bool]
) -> str | None:
    """Return the first operation of `program` that is wrong by itself, or None.

    Each operation is put alone into a program, on the values that it meets in a float64 run of
    `oracle`, its result and its gradients observed; `wrong` judges that program on the engine.
    Where none is wrong alone, what is wrong is the engine's behaviour between operations.
    """
    if wrong(_IDENTITY):
        return None
    values = _values(oracle, program, finding.dtype)
    for step in program.walk():
        if step.verb != "apply" or step.op is None:
            continue
        single = _alone(step, values)
        if single is not None and wrong(single):
            return step.op
    return None


def _values(oracle: Engine, program: Program, dtype: str) -> dict[str, Array]:
    """Return the values that tensors had when an operation first read them."""
    watched = Program(tuple(_watched(program.steps)))
    found: dict[str, Array] = {}
    events = execute(Promoted(oracle), watched, dtype).events
    for step, event in zip(watched.walk(), events, strict=True):
        if step.verb == "value" and isinstance(event.value, np.ndarray):
            found.setdefault(step.args[0], event.value)
    return found


def _watched(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        plain = Step(step.verb, step.out, step.args, step.op, step.params)
        if step.verb == "apply":
            yield from (Step("value", (), (name,)) for name in dict.fromkeys(step.reads()))
            yield plain
            yield from (Step("value", (), (name,)) for name in step.out)
            continue
        if step.body:
            inner = tuple(_watched(step.body))
            plain = Step(step.verb, (), (), None, step.params, inner)
        yield plain


def _alone(step: Step, values: dict[str, Array]) -> Program | None:
    """Return a program that applies one operation to leaves and observes result and gradients."""
    reads = tuple(dict.fromkeys(step.reads()))
    if any(name not in values or values[name].size == 0 for name in reads):
        return None
    steps = [_leaf(name, values[name]) for name in reads]
    steps.append(Step("apply", step.out, step.args, step.op, step.params))
    steps += [Step("value", (), (name,)) for name in step.out]
    tracked = [name for name in step.args if values[name].dtype.kind in "fc"]
    if not tracked or step.out[0] not in values:
        return Program(tuple(steps))
    shape = tuple(values[step.out[0]].shape)
    weights = (("shape", shape), ("seed", 1), ("low", 0.5), ("high", 2.0))
    steps.append(Step("leaf", ("weights_",), (), None, weights))
    steps.append(Step("backward", (), (step.out[0],), None, (("gradient", Ref("weights_")),)))
    steps += [Step("grad", (), (name,)) for name in dict.fromkeys(tracked)]
    return Program(tuple(steps))


def _leaf(name: str, array: Array) -> Step:
    params: list[tuple[str, Literal]] = [("value", _literal(array))]
    if array.dtype.kind in "fc":
        params.append(("requires_grad", True))
    else:
        params.append(("dtype", array.dtype.name))
    return Step("leaf", (name,), (), None, tuple(params))


def _literal(array: Array) -> Literal:
    def nested(item: object) -> Literal:
        if isinstance(item, list):
            return tuple(nested(inner) for inner in item)
        assert isinstance(item, (bool, int, float, complex))
        return item

    return nested(array.tolist())
