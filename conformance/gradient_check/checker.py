"""`gradcheck`: one call, one verdict, and the reason for it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np

from conformance.adapters.base import Engine
from conformance.adapters.load import load_engine
from conformance.errors import UsageError
from conformance.gradient_check.base_point import BACKWARD_ERRORS, BackwardRaised, BasePoint
from conformance.gradient_check.comparison import Comparison, compare
from conformance.gradient_check.directions import Draws
from conformance.gradient_check.examination import Findings, examined, judge_nonfinite
from conformance.gradient_check.full import by_element
from conformance.gradient_check.numerics import taylor_order
from conformance.gradient_check.probes import PROBES, SPENT, Questions, probed
from conformance.gradient_check.probes.context import Context
from conformance.gradient_check.probes.inputs import HUGE, NOT_FINITE
from conformance.gradient_check.probes.precision import native
from conformance.gradient_check.products import finite
from conformance.gradient_check.result import (
    Departure,
    ElementErrors,
    GradientError,
    GradientResult,
    Probe,
    Verdict,
)
from conformance.gradient_check.second_order import gradient_of
from conformance.gradient_check.targets import Spent, Target
from conformance.gradient_check.uneven import presumed_noise, without_uneven

Mode = Literal["directional", "full"]
BUDGET = 1 << 28
"""Numbers of inputs that may pass through the function, forward and backward: gigabytes."""


def gradcheck(
    fn: Callable[..., Any],
    inputs: Sequence[Any] | Any,
    *,
    engine: str | Engine = "torch",
    order: int = 1,
    mode: Mode = "directional",
    seed: int = 0,
    probes: bool = True,
    huge: float = HUGE,
    budget: int | None = BUDGET,
) -> GradientResult:
    """Check the gradients of `fn` at `inputs` against values of `fn`.

    fn: a function of tensors of the engine that returns tensors, an autograd Function, or a module,
    all of whose parameters are checked too. inputs: its arguments; varied are the float and complex
    tensors that require grad, or all of them where none does. order: 2 checks the gradient of the
    gradient as well. mode: `full` also compares every input element by itself, and keeps the errors
    for a picture. seed: of the directions. probes: ask what a backward can get wrong besides the
    formula (layouts of memory, repeated calls, other inputs, forward mode, …). huge: factor on the
    inputs in the question about huge ones; less for what takes a step of a series per unit. budget:
    numbers of inputs that may pass through `fn`, forward and backward, None for no limit; a check
    that needs more is inconclusive, or leaves questions out and says so; `full` has no limit.
    Raises `UsageError` for arguments that are no such thing, and whatever `fn` itself raises.
    """
    adapter = loaded(engine) if isinstance(engine, str) else engine
    if mode not in ("directional", "full"):
        raise UsageError(f"mode is {mode!r}; expected 'directional' or 'full'")
    if order not in (1, 2):
        raise UsageError(f"order is {order!r}; expected 1 or 2")
    arguments = tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,)
    options = Options(order, mode, seed, probes, huge, budget)
    return Check(fn, arguments, adapter, options).result()


@cache
def loaded(name: str) -> Engine:
    """Return the engine of a name, the same for every check."""
    return load_engine(name)


def assert_gradients(
    fn: Callable[..., Any], inputs: Sequence[Any] | Any, **options: Any
) -> GradientResult:
    """Run `gradcheck` and raise `GradientError`, an AssertionError, unless it passes."""
    result = gradcheck(fn, inputs, **options)
    if result.verdict is not Verdict.PASS:
        raise GradientError(result)
    return result


class Options(NamedTuple):
    """What the caller chose."""

    order: int
    mode: Mode
    seed: int
    probes: bool
    huge: float
    budget: int | None


UNFINISHED = f"not everything was asked: {SPENT}"
SETTLED = frozenset({"passed", "skipped"})
"""Outcomes of a probe that random numbers, drawn anew in each call, cannot have caused."""
MOST_REPORTED = 16
"""Wrong elements that a result names; the picture shows all."""


class Check:
    """One run of the checker. asks: tells which probes are to be asked at a point."""

    def __init__(
        self, fn: Callable[..., Any], inputs: tuple[Any, ...], engine: Engine, options: Options,
        asks: Callable[[Context], Questions] | None = None,
    ) -> None:  # fmt: skip
        self.asks = asks
        self.options, self.engine = options, engine
        self.order, self.mode = options.order, options.mode
        self.native = Target(fn, inputs, engine)
        if options.mode != "full" and options.budget is not None:
            self.native.effort.budget = options.budget
        self.target = self.native.widened()
        self.random = Draws(options.seed)
        self.found = Findings()
        self.taylor = math.nan
        self.probes: tuple[Probe, ...] = ()
        self.elements: tuple[ElementErrors, ...] = ()
        self.context: Context | None = None

    def result(self) -> GradientResult:
        """Return the verdict; what engine and function warn of on the way is not shown."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return self._result()

    def _result(self) -> GradientResult:
        try:
            self._judge()
        except Spent as spent:
            if self.context is None:
                self.found.doubts.append(Departure("budget", spent.sentence))
            self.found.notes.append(UNFINISHED)
        return self._summary()

    def _judge(self) -> None:
        try:
            base = self._base()
        except BACKWARD_ERRORS as error:
            if not self.native.takes_originals():
                raise
            sentence = f"the function takes these inputs, but no copies of them: {error}"
            self.found.doubts.append(Departure("memory", sentence))
            return
        try:
            self.context = context = self._formula(base)
            if self.mode == "full" and not self._random and not base.empty():
                self._elements(base)
            if context is not None and not self._random:
                if self.options.probes:
                    self._probe(context)
                if self.order == 2 and not self.found.failures:
                    self._second(base)
        except BackwardRaised as error:
            self.found.failures.append(base.raised(error))

    def _base(self) -> BasePoint:
        """Return the point in double precision, or as it is where the function insists on that."""
        if self.target is not self.native:
            try:
                base = BasePoint(self.target, self.random)
                if base.unit <= 2.0**-50:
                    return base
            except BACKWARD_ERRORS:
                pass
            self.target = self.native
            self.found.notes.append("the function computes in its inputs' dtype only")
        return BasePoint(self.target, self.random)

    def _elements(self, base: BasePoint) -> None:
        """Compare every element; name the wrong ones that are not named yet."""
        departures, self.elements = by_element(base)
        named = {(d.output, d.input) for d in self.found.failures}
        fresh = [d for d in departures if (d.output, d.input) not in named]
        self.found.failures += fresh[:MOST_REPORTED]

    def _probe(self, context: Context) -> None:
        """Ask probes; once more under one generator state where calls turn out to draw from it.

        Random numbers may matter so seldom that value and gradient agree without that.
        """
        notes = list(self.found.notes)
        asked = PROBES if self.asks is None else self.asks(context)
        self._ask(context, asked)
        if SETTLED.issuperset([p.outcome for p in self.probes if p.detail is not NOT_FINITE]):
            return
        base = context.base
        try:
            if not base.holds():
                return
        except BACKWARD_ERRORS:  # state that it keeps may forbid one more call
            return
        self.found, self.probes, self.context = Findings(notes=notes), (), None
        self.context = again = self._formula(base)
        if again is not None and not self._random:
            self._ask(again, asked)

    def _ask(self, context: Context, asked: Questions) -> None:
        context.huge = self.options.huge
        self.probes = probed(context, self.found, asked)
        if asked is not PROBES:
            self.found.notes.append("other questions were asked of another sample like this one")
        if not asked:
            return
        if SPENT in [probe.detail for probe in self.probes]:
            self.found.notes.append(UNFINISHED)
        if self.target is not self.native:
            self._native(context.base)

    def _second(self, base: BasePoint) -> None:
        """Check the gradient of the gradient, by input and cotangent."""
        if self.found.doubts:
            self.found.notes.append("order 2 was not asked: order 1 is in doubt")
            return
        first, self.found = self.found, Findings()
        found = self.found
        try:
            second = BasePoint(gradient_of(base.target, self.random), self.random)
            if second.target.bridge.is_final(second.recording.tensors):
                sentence = "a function of it is marked as differentiable once only"
                found.doubts.append(Departure("no double backward", sentence))
            else:
                self._formula(second)
        except BackwardRaised as raised:
            self._second_raises(raised)
        except BACKWARD_ERRORS as error:
            self._second_raises(BackwardRaised(error))
        for old, new in ((first.failures, found.failures), (first.doubts, found.doubts)):
            for departure in new:
                sentence = departure.sentence.replace("the function", "the gradient")
                cause = f"order 2, {departure.cause}"
                old.append(replace(departure, cause=cause, sentence=sentence))
        first.notes += found.notes
        first.comparison = found.comparison or first.comparison
        self.found = first

    def _second_raises(self, raised: BackwardRaised) -> None:
        """Report a double backward that raises: no error where it says that there is none."""
        if raised.missing:
            self.found.doubts.append(Departure("no double backward", raised.sentence))
        else:
            self.found.failures.append(Departure("double backward raises", raised.sentence))

    @property
    def _random(self) -> bool:
        return self.found.noise is not None and self.found.noise.random

    def _native(self, base: BasePoint) -> None:
        self.native.held = base.target.held
        outcome = native(base, self.native)
        if not isinstance(outcome, Probe):
            name, departure = outcome
            self.found.failures.append(departure)
            outcome = Probe(name, "failed", departure.sentence)
        self.probes += (outcome,)

    def _formula(self, base: BasePoint) -> Context | None:
        """Compare the gradient with the slope along one random direction.

        Returns what probes start from, None where the formula itself is wrong.
        """
        found = self.found
        weights = base.weights()
        gradient = base.pull(weights)
        direction = base.direction(gradient)
        if base.empty():
            found.notes.append("there is nothing to compare: no elements")
            return None
        whole = gradient
        if not finite(gradient):
            if base.holds():
                return self._formula(base)
            judge_nonfinite(base, gradient, found)
            strange = ~np.isfinite(gradient)
            direction = np.where(strange, 0.0, direction)
            gradient = np.where(strange, 0.0, gradient)
        line = base.line(direction)
        found.comparison = compare(line, weights, gradient, aligned=True)
        found.evaluations = self.target.calls
        context = Context(base, line, weights, whole)
        if found.comparison.convinces:
            return context
        if base.holds():
            return self._formula(base)
        if line.long:
            noise = presumed_noise(base)
            found.comparison = without_uneven(base, line, weights, noise, found.comparison)
            found.evaluations = self.target.calls
            if found.comparison.convinces:
                return context
        examined(base, line, weights, gradient, found)
        if found.failures:
            steps = [line.sample(level)[0] for level in range(4, 9)]
            values = np.array([weights @ step for step in steps])
            slope = float(gradient @ direction)
            self.taylor = taylor_order(values, float(weights @ base.outputs), slope, 2.0**-4)
            return None
        return context

    def _summary(self) -> GradientResult:
        found = self.found
        verdict, reason = _verdict(found)
        comparison, noise = found.comparison, found.noise
        error, bound = (comparison.gap, comparison.limit) if comparison else (0.0, 0.0)
        if found.failures:
            error, bound = found.failures[0].error, found.failures[0].bound
        random = noise is not None and noise.random
        scatter = {"forward": noise.forward, "backward": noise.backward} if noise and random else {}
        return GradientResult(
            verdict=verdict,
            reason=reason,
            function=self.target.name,
            engine=self.engine.name,
            order=self.order,
            mode=self.mode,
            seed=self.options.seed,
            dtypes=tuple(dict.fromkeys([v.dtype for v in self.native.variables])),
            computed_in=self.target.variables[0].dtype,
            error=error,
            bound=bound,
            limit=comparison.relative_limit if comparison else 0.0,
            evaluations=found.evaluations,
            calls=self.target.calls,
            elements=self.elements,
            failures=tuple(found.failures),
            doubts=tuple(found.doubts),
            notes=tuple(found.notes),
            taylor_order=self.taylor,
            probes=self.probes,
            randomness=scatter,
        )


def _verdict(found: Findings) -> tuple[Verdict, str]:
    if found.failures:
        return Verdict.FAIL, str(found.failures[0])
    if found.doubts:
        return Verdict.INCONCLUSIVE, str(found.doubts[0])
    return Verdict.PASS, f"gradients are right{_accuracy(found.comparison)}"


def _accuracy(comparison: Comparison | None) -> str:
    if comparison is None or comparison.scale == 0:
        return " wherever they are defined"
    return (
        f": error {comparison.gap / comparison.scale:.1g} along a random direction, where"
        f" {comparison.relative_limit:.1g} would have been seen"
    )
