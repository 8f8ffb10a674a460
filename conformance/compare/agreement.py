"""Agreement: whether two engines yielded the same at a step, by the cheapest test that is exact.

What agrees here needs no judge. What does not may still be right: rounding is judged by measured
conditioning (`conformance.evidence`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from conformance.compare.tolerance import MULTIPLE, unit_roundoff
from conformance.observation import Array, Event


def agreed(mine: Sequence[Event], theirs: Sequence[Event]) -> bool:
    """Tell whether all steps were taken alike and yielded the same, up to their own rounding.

    The error granted is MULTIPLE · √n unit roundoffs of each element, n being the elements of the
    array: it never exceeds what the judge grants without measuring, `allowance` with no spread,
    where n is the most elements of any tensor of the program. So nothing agrees here that the judge
    would not let pass.
    """
    for one, other in zip(mine, theirs, strict=True):
        if one.skipped is not other.skipped or (one.refusal is None) is not (other.refusal is None):
            return False
        if one.seen and not same(one.value, other.value):
            return False
    return True


def same(mine: object, theirs: object) -> bool:
    """Whether two observations are the same: arrays within rounding, all else equal."""
    if isinstance(mine, np.ndarray):
        return isinstance(theirs, np.ndarray) and _close(mine, theirs)
    if isinstance(mine, tuple):
        return (
            isinstance(theirs, tuple) and len(mine) == len(theirs) and all(map(same, mine, theirs))
        )
    if isinstance(mine, str):
        return isinstance(theirs, str)  # engines name their nodes as they like
    if mine is None or theirs is None or isinstance(theirs, (np.ndarray, tuple)):
        return mine is theirs
    return mine == theirs


def _close(mine: Array, theirs: Array) -> bool:
    if mine.dtype != theirs.dtype or mine.shape != theirs.shape:
        return False
    if mine.tobytes() == theirs.tobytes():
        return True
    if mine.dtype.kind not in "fc":
        return False
    granted = MULTIPLE * math.sqrt(theirs.size) * _unit_roundoff(mine.dtype)
    # what is not finite is not close: the judge looks closer
    if theirs.size <= _FEW and theirs.dtype == _FLOAT64:  # in half the time of what follows
        for a, b in zip(mine.ravel().tolist(), theirs.ravel().tolist(), strict=True):
            if not abs(a - b) <= granted * abs(b) < math.inf:
                return False
        return True
    apart, bound = np.abs(mine - theirs), granted * np.abs(theirs)
    return bool(((apart <= bound) & (bound < math.inf)).all())


_FEW = 16
"""Elements up to which Python compares faster than NumPy."""
_FLOAT64 = np.dtype(np.float64)


@cache
def _unit_roundoff(dtype: np.dtype[np.generic]) -> float:
    return unit_roundoff(dtype.name)
