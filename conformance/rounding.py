"""Rounding: whether what two bare runs of a program observe differs by measured rounding alone.

The bound is the judge's (`conformance.evidence`), from no more perturbed runs than it takes to
explain the difference: the fewer runs, the smaller the bound. What is not explained, or what is
ill-conditioned, is left to the judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from conformance.adapters.base import Engine
from conformance.bulk import Bulk, Seen
from conformance.compare.agreement import same
from conformance.compare.arrays import value_difference
from conformance.compare.tolerance import SAMPLES, allowance, ill_conditioned, is_inexact
from conformance.execute import unless_raised
from conformance.oracles.perturbed import Perturbed
from conformance.program import Step

Place = tuple[int, int]
"""Of an observed array: the observation, and the entry of its log, -1 where it is none."""


def rounding_explains(
    oracle: Engine, dtype: str, steps: Sequence[Step], found: Sequence[Seen], due: Sequence[Seen]
) -> bool:
    """Tell whether `found` differs from `due`, the oracle's, as one rounding an operation might.

    Both are what `Bulk` returns for the steps in `dtype`, which is one that the oracle runs in.
    """
    pairs = list(_pairs(found, due))
    if not all(_comparable(mine, theirs) for _, mine, theirs in pairs):
        return False
    spreads = [np.zeros(theirs.shape) for _, _, theirs in pairs]
    for sample in range(SAMPLES[0]):
        engine = Perturbed(oracle, dtype, sample + 1)
        bulk = Bulk(engine, dtype)
        moved = unless_raised(lambda bulk=bulk: bulk(steps))  # type: ignore[misc]
        others = {} if moved is None else dict(_numbered(moved))
        explained = True
        for number, (place, mine, theirs) in enumerate(pairs):
            other = others.get(place)
            if not isinstance(other, np.ndarray) or other.shape != theirs.shape:
                return False
            with np.errstate(all="ignore"):
                spreads[number] = np.maximum(spreads[number], np.abs(other - theirs))
            if ill_conditioned(spreads[number], engine.largest, dtype):
                return False
            allowed = allowance(theirs, dtype, engine.size, spreads[number])
            explained = explained and value_difference(mine, theirs, allowed) is None
        if explained:
            return True
    return False


def _pairs(found: Sequence[Seen], due: Sequence[Seen]) -> Iterator[tuple[Place, Any, Any]]:
    """Yield what differs: its place, and what the engine and the oracle observe there."""
    for index, (mine, theirs) in enumerate(zip(found, due, strict=True)):
        if same(mine, theirs):
            continue
        if isinstance(mine, tuple) and isinstance(theirs, tuple) and len(mine) == len(theirs):
            for part, (one, other) in enumerate(zip(mine, theirs, strict=True)):
                yield (index, part), one, other
        else:
            yield (index, -1), mine, theirs


def _numbered(seen: Sequence[Seen]) -> Iterator[tuple[Place, object]]:
    for index, value in enumerate(seen):
        yield (index, -1), value
        if isinstance(value, tuple):
            yield from (((index, part), item) for part, item in enumerate(value))


def _comparable(mine: object, theirs: object) -> bool:
    return (
        isinstance(mine, np.ndarray)
        and isinstance(theirs, np.ndarray)
        and (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        and is_inexact(mine.dtype)
    )
