"""The differential oracle: another engine's answers to the same program, in float64.

PyTorch is the other engine, and the reference engine where PyTorch itself is under test.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np

from conformance.adapters.base import Engine
from conformance.adapters.load import load_engine
from conformance.compare.arrays import widened
from conformance.compare.tolerance import unit_roundoff
from conformance.execute import execute
from conformance.observation import Array, Event, Observation
from conformance.oracles.demoted import Events, pair
from conformance.oracles.perturbed import Perturbed
from conformance.oracles.promoted import Promoted
from conformance.program import Program

Spread = tuple[Array, ...]
"""What one rounding does to an event's value: one array, or one for each entry of a log."""


def oracle_for(engine: Engine) -> Engine:
    """Return the engine that judges `engine`: never one of the same kind."""
    return _oracle("reference" if engine.name.startswith("torch") else "torch")


def other_oracle(engine: Engine) -> Engine | None:
    """Return the engine that judges the judge of `engine`, or None: `engine` is one of the two."""
    ours = engine.name.startswith(("torch", "reference"))
    return None if ours else _oracle("reference")


@cache
def _oracle(name: str) -> Engine:
    return load_engine(name)


class Differential:
    """The answers of an oracle to a program run in `dtype`, each computed when first asked for."""

    def __init__(self, oracle: Engine, program: Program, dtype: str) -> None:
        self.oracle, self.program, self.dtype = oracle, program, dtype
        self.name = oracle.name
        self._engine = Promoted(oracle)
        self._samples: list[Observation] = []
        self._pairs: list[tuple[Events, Events]] = []
        self._largest = 0.0

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Return the events of the float64 run."""
        return self._observation.events

    @cached_property
    def unsupported(self) -> str | None:
        """Return why the oracle cannot run the program, or None."""
        refusal = self._observation.unsupported
        return None if refusal is None else refusal.message

    @cached_property
    def native(self) -> tuple[Event, ...]:
        """Return the events of a run in the program's own dtypes: they say which dtype is due."""
        return execute(self.oracle, self.program, self.dtype).events

    @cached_property
    def _observation(self) -> Observation:
        return execute(self._engine, self.program, self.dtype)

    @cached_property
    def coarse(self) -> str:
        """Return the least accurate dtype that results may round to: the run's or a named one."""
        named = {str(step.param("dtype")) for step in self.program.walk() if step.param("dtype")}
        return str(max(sorted({self.dtype, *named}), key=unit_roundoff))

    @property
    def size(self) -> int:
        """Return the most elements of any tensor of the program."""
        assert self.events is not None
        return self._engine.size

    @property
    def largest(self) -> float:
        """Return the largest magnitude met, gradients included once a spread was measured."""
        assert self.events is not None
        return max(self._engine.largest, self._largest)

    def spread(self, step: int, samples: int) -> Spread | None:
        """Return how far the value of a step scatters over so many perturbed runs.

        For a step whose figure names a tensor it is the difference of the two that scatters. None
        where the oracle observed no number at the step. A run that took another course than the
        unperturbed one makes the spread infinite.
        """
        while len(self._samples) < samples and self.unsupported is None:
            engine = Perturbed(self.oracle, self.coarse, len(self._samples) + 1)
            self._samples.append(execute(engine, self.program, self.dtype))
            self._largest = max(self._largest, engine.largest)
        base = _numbers(self.events[step])
        if base is None:
            return None
        worst = [np.zeros(array.shape) for array in base]
        for sample in self._samples[:samples]:
            found = _numbers(sample.events[step])
            if found is None or [a.shape for a in found] != [a.shape for a in base]:
                return tuple(np.full(array.shape, np.inf) for array in base)
            apart = [_scatter(f, b) for f, b in zip(found, base, strict=True)]
            worst = [np.maximum(w, a) for w, a in zip(worst, apart, strict=True)]
        return tuple(worst)

    def inner_rounding(self, step: int, samples: int) -> Spread | None:
        """Return how far roundings of the run's dtype move a step's value, those inside operations.

        Measured as what the oracle's runs in float32 and float64 differ by, from leaves moved a
        little by each sample. None where the oracle observed no number at the step; a sample whose
        runs cannot be compared or leave the range of float32 adds nothing.
        """
        while len(self._pairs) < samples and self.unsupported is None:
            sample = len(self._pairs)
            self._pairs.append(pair(self.oracle, self.program, self.dtype, sample))
        base = _numbers(self.events[step])
        if base is None:
            return None
        scale = unit_roundoff(self.coarse) / unit_roundoff("float32")
        worst = [np.zeros(array.shape) for array in base]
        for narrow, wide in self._pairs[:samples]:
            less, more = _numbers(narrow[step]), _numbers(wide[step])
            if less is None or more is None:
                continue
            for part, (mine, true) in enumerate(zip(less, more, strict=False)):
                if mine.shape == true.shape == worst[part].shape:
                    apart = _scatter(mine, true)
                    worst[part] = np.maximum(worst[part], np.where(np.isfinite(apart), apart, 0.0))
        return tuple(scale * array for array in worst)


def _scatter(found: Array, base: Array) -> Array:
    with np.errstate(all="ignore"):
        apart = np.abs(found - base)
        same = (found == base) | (np.isnan(found) & np.isnan(base))
    scatter: Array = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return scatter


def _numbers(event: Event) -> tuple[Array, ...] | None:
    value = event.value
    if not event.seen or value is None or isinstance(value, (bool, int, str)):
        return None
    if isinstance(value, tuple):
        return tuple(widened(item) for item in value)
    if event.expected is not None and event.expected.shape == value.shape:
        with np.errstate(all="ignore"):
            difference: Array = widened(value) - widened(event.expected)
        return (difference,)
    return (widened(value),)
