"""Evidence: what a step yielded against what was due, by a figure or by the oracles."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from conformance.adapters.base import Engine
from conformance.compare.arrays import (
    dtype_difference,
    expected_dtype,
    saturated,
    shape_difference,
    value_difference,
    widened,
)
from conformance.compare.difference import Answer, Difference, Doubt
from conformance.compare.refusals import Debt, debt
from conformance.compare.structure import structure_difference
from conformance.compare.tolerance import (
    SAMPLES,
    allowance,
    beyond_rounding,
    ill_conditioned,
    is_inexact,
    limits,
    ulp_error,
    unit_roundoff,
)
from conformance.leaves import literal_array
from conformance.observation import Array, Event, Observation, Observed
from conformance.oracles.differential import Differential, Spread
from conformance.program import Expect, Literal, Program, Ref, Step
from conformance.slopes import Slopes

CONVERSIONS = frozenset(
    "to type float double half bfloat16 cfloat cdouble chalf complex polar int long short bool"
    " byte char".split()
)
"""Operations whose result has a dtype of its own, whatever dtype a program runs in."""
Measure = Callable[[int, int], Spread | None]
"""What says how far a step's value scatters, from so many samples."""
_GRADIENTS = ("grad", "hook_log")


@dataclass(frozen=True, slots=True)
class _Pair:
    """An array that an event observed, or one entry of its log, and the array that was due."""

    event: Event
    part: int
    observed: Array
    expected: Array
    decimals: int | None


class Evidence:
    """Compares the steps of one observation and counts what was compared.

    checks: comparisons made. doubts: why others decided nothing. error_ulp: the worst error met.
    """

    def __init__(
        self,
        engine: Engine,
        program: Program,
        observation: Observation,
        differential: Differential,
        oracles: tuple[str, ...],
    ) -> None:
        self._engine, self._program, self._observation = engine, program, observation
        self._differential, self._oracles, self._dtype = differential, oracles, observation.dtype
        self._slopes = Slopes(engine, program, observation, differential)
        self.checks = 0
        self.doubts: list[str] = []
        self.error_ulp: float | None = None

    def by_figure(self, step: Step, event: Event) -> Answer:
        """Compare with the figure that the clause promises."""
        assert step.expect is not None
        self.checks += 1
        figure, decimals = step.expect, step.expect.decimals
        expected = event.expected if isinstance(figure.value, Ref) else _figure(figure, event.value)
        names = "own_node_names" not in self._engine.conventions
        difference = structure_difference(
            event.value, expected, names=names, conventions=self._conventions(event)
        )
        if difference is not None:
            return difference
        dtype = event.expected.dtype.name if event.expected is not None else self._leaf_dtype(step)
        return self._numbers(event, expected, dtype, decimals)

    def by_oracles(self, event: Event) -> tuple[Answer, str]:
        """Compare with the answers of the oracles; return the answer and whose it is."""
        name, known = self._differential.name, False
        answer: Answer = None
        if "differential" in self._oracles:
            theirs, reason = self._oracle_event(event)
            known = theirs is not None
            answer = Doubt(reason) if theirs is None else self._by_differential(event, theirs)
        judged = known and answer is not None
        if judged or event.verb != "grad" or not isinstance(event.value, np.ndarray):
            return answer, name
        asked = [oracle for oracle in self._oracles if oracle != "differential"]
        if isinstance(answer, Doubt) and "finite_difference" not in asked:
            asked.append("finite_difference")
        for oracle in asked:
            opinion = self._slopes.opinion(oracle, event, event.value)
            if opinion is None:
                continue
            self.checks += 1
            if known and opinion.answer is not None:
                return Doubt(f"{name} agrees with {self._engine.name}, {oracle} does not"), oracle
            answer = opinion.answer
            if answer is not None:
                return answer, oracle
        return answer, name

    def _by_differential(self, event: Event, theirs: Event) -> Answer:
        self.checks += 1
        difference = structure_difference(
            event.value, theirs.value, names=False, conventions=self._conventions(event)
        )
        if difference is not None or theirs.value is None or event.value is None:
            return difference
        return self._numbers(event, theirs.value, self._due_dtype(event, theirs), None)

    def _oracle_event(self, event: Event) -> tuple[Event | None, str]:
        """Return the oracle's event, or why it has none that could be compared."""
        oracle = self._differential
        if oracle.unsupported is not None:
            return None, f"{oracle.name} cannot run the program: {oracle.unsupported}"
        theirs = oracle.events[event.step]
        if not theirs.seen:
            return None, f"{oracle.name} observes nothing at step {event.step}"
        for mine in self._unpromised:
            if mine.step < event.step and (
                event.verb in _GRADIENTS or mine.verb not in ("backward", "grad_of")
            ):
                return None, f"{oracle.name} refuses step {mine.step}, {self._engine.name} does not"
        return theirs, ""

    # numbers

    def _numbers(
        self, event: Event, expected: Observed, dtype: str | None, decimals: int | None
    ) -> Answer:
        if isinstance(event.value, np.ndarray) and isinstance(expected, np.ndarray):
            return self._array(_Pair(event, 0, event.value, expected, decimals), dtype)
        if isinstance(event.value, tuple) and isinstance(expected, tuple):
            for part, (mine, theirs) in enumerate(zip(event.value, expected, strict=True)):
                found = self._array(_Pair(event, part, mine, theirs, decimals), None)
                if found is not None:
                    return found
        return None

    def _array(self, pair: _Pair, due: str | None) -> Answer:
        """Compare shape, dtype (where one is due) and values."""
        observed, expected = pair.observed, pair.expected
        difference = shape_difference(observed, expected)
        if difference is None and due is not None:
            difference = dtype_difference(observed, due)
        if difference is not None:
            return difference
        if not is_inexact(observed.dtype):
            return value_difference(observed, expected, np.zeros(expected.shape))
        dtype = self._coarse(observed)
        pair = replace(pair, expected=saturated(widened(expected), limits(dtype)[1]))
        cheap = allowance(pair.expected, dtype, observed.size, decimals=pair.decimals)
        found = value_difference(observed, pair.expected, cheap)
        if found is None:
            self._note_error(pair, dtype, None)
            return None
        return self._measured(pair, dtype, found)

    def _measured(self, pair: _Pair, dtype: str, found: Difference) -> Answer:
        """Judge by measured conditioning what the bound by its own rounding does not explain."""
        oracle, observed, expected = self._differential, pair.observed, pair.expected
        spread: Array | None = None
        for samples, measure in self._measures:
            found_now = self._spread(pair, samples, measure)
            if found_now is None or unit_roundoff(dtype) == 0:
                return found
            spread = found_now if spread is None else np.maximum(spread, found_now)
            if oracle.largest > limits(dtype)[1]:
                return Doubt(f"the program leaves the range of {dtype}")
            if ill_conditioned(spread, oracle.largest, dtype):
                if self._steps[pair.event.step].expect is not None and _coarse(pair, dtype):
                    return found  # at a kink every spread is large; a figure there is exact
                return Doubt("one rounding changes the result by more than half of its digits")
            allowed = allowance(expected, dtype, oracle.size, spread, pair.decimals)
            worse = value_difference(observed, expected, allowed)
            if worse is None:
                self._note_error(pair, dtype, spread)
                return None
            found = worse
            if beyond_rounding(widened(observed) - expected, allowed, oracle.largest, dtype):
                break
        self._note_error(pair, dtype, spread)
        if self._steps[pair.event.step].expect is not None or pair.event.verb != "grad":
            return found
        return self._slopes.adjudicated(pair.event, observed, found)

    @property
    def _measures(self) -> tuple[tuple[int, Measure], ...]:
        """Return how rounding is measured: what does not explain an error is followed by more.

        Last, before anyone is blamed, what happens inside of operations, where cancellation may
        leave little of terms that no perturbation between operations moves.
        """
        few, many = SAMPLES
        oracle = self._differential
        return (few, oracle.spread), (many, oracle.spread), (many, oracle.inner_rounding)

    def _spread(self, pair: _Pair, samples: int, measure: Measure) -> Array | None:
        part = pair.part
        known = self._differential.unsupported is None
        spreads = measure(pair.event.step, samples) if known else None
        if spreads is None or len(spreads) <= part or spreads[part].shape != pair.expected.shape:
            return None
        return spreads[part]

    def _note_error(self, pair: _Pair, dtype: str, spread: Array | None) -> None:
        """Take note of an error; that of a rounded figure would be the figure's own."""
        if pair.observed.size and unit_roundoff(dtype) > 0 and pair.decimals is None:
            error = ulp_error(widened(pair.observed), pair.expected, dtype, spread)
            self.error_ulp = max(self.error_ulp or 0.0, error)

    # facts of the program

    def _conventions(self, event: Event) -> Collection[str]:
        """Return what the engine documents, of the reading of a gradient."""
        return self._engine.conventions.keys() if event.verb == "grad" else ()

    @cached_property
    def _steps(self) -> tuple[Step, ...]:
        return tuple(self._program.walk())

    @cached_property
    def _mixed(self) -> bool:
        """Whether the program itself names dtypes, so that not all floats have the run's."""
        return any(
            step.param("dtype") is not None or step.op in CONVERSIONS for step in self._steps
        )

    @cached_property
    def _unpromised(self) -> list[Event]:
        """Return the events of steps that the engine ran and the oracle refused."""
        pairs = zip(self._observation.events, self._differential.events, strict=True)
        return [mine for mine, theirs in pairs if debt(mine, theirs) is Debt.UNPROMISED]

    def _due_dtype(self, event: Event, theirs: Event) -> str | None:
        if not isinstance(theirs.value, np.ndarray):
            return None
        if self._mixed:
            native = self._differential.native[event.step].value
            return native.dtype.name if isinstance(native, np.ndarray) else None
        return expected_dtype(theirs.value, self._dtype)

    def _leaf_dtype(self, step: Step) -> str | None:
        """Return the dtype that a leaf and its gradient have; None for other tensors."""
        for earlier in self._steps if step.verb in ("value", "grad") else ():
            if earlier.verb == "leaf" and earlier.out == step.args:
                named = earlier.param("dtype")
                literal = earlier.param("value")
                if named is None and literal is not None:
                    return str(literal_array(literal, self._dtype).dtype.name)
                return self._dtype if named is None else str(named)
        return None

    def _coarse(self, observed: Array) -> str:
        """Return the least accurate dtype that the result may have passed through."""
        named = {observed.dtype.name, self._differential.coarse}
        return str(max(sorted(named), key=unit_roundoff))


def _coarse(pair: _Pair, dtype: str) -> bool:
    """Tell whether an error takes more than half of the digits of a figure."""
    with np.errstate(all="ignore"):
        error = np.max(np.abs(widened(pair.observed) - pair.expected), initial=0.0)
        size = np.max(np.abs(pair.expected), initial=0.0)
    return bool(error > np.sqrt(unit_roundoff(dtype)) * size)


def _figure(expect: Expect, observed: Observed) -> Observed:
    value = expect.value
    assert not isinstance(value, Ref)
    if isinstance(observed, tuple):
        return tuple(_array(item) for item in value) if isinstance(value, tuple) else None
    if isinstance(observed, np.ndarray) and value is not None and not isinstance(value, str):
        return _array(value)
    return _array(value) if isinstance(value, (tuple, float, complex)) else value


def _array(value: Literal) -> Array:
    return literal_array(value)
