"""Comparing what is no array: flags, names of nodes, versions, absence, the length of a log."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from conformance.compare.difference import Difference
from conformance.observation import Observed, describe


def structure_difference(
    observed: Observed, expected: Observed, *, names: bool, conventions: Collection[str] = ()
) -> Difference | None:
    """Return how two observations differ before any number of theirs is looked at, or None.

    names: whether the name of a graph's node counts, or only that there is one (engines name their
    nodes as they like). conventions: the engine's: under `zeros_for_unused` zeros may stand for an
    absent gradient.
    """
    if expected is None or observed is None:
        if observed is None and expected is None:
            return None
        zeros = isinstance(observed, np.ndarray) and not observed.any()
        if zeros and "zeros_for_unused" in conventions:
            return None
        return _difference("presence", observed, expected)
    if isinstance(expected, str) or isinstance(observed, str):
        same = type(observed) is type(expected) and (observed == expected or not names)
        return None if same else _difference("name", observed, expected)
    if isinstance(expected, tuple) or isinstance(observed, tuple):
        return _log_difference(observed, expected)
    if isinstance(expected, np.ndarray) or isinstance(observed, np.ndarray):
        both = isinstance(expected, np.ndarray) and isinstance(observed, np.ndarray)
        return None if both else _difference("presence", observed, expected)
    return None if observed == expected else _difference("flag", observed, expected)


def _log_difference(observed: Observed, expected: Observed) -> Difference | None:
    if not (isinstance(observed, tuple) and isinstance(expected, tuple)):
        return _difference("presence", observed, expected)
    if len(observed) == len(expected):
        return None
    return Difference(
        "count",
        f"{len(expected)} entries: {describe(expected)}",
        f"{len(observed)} entries: {describe(observed)}",
        f"the hooks logged {len(observed)} gradients; expected {len(expected)}",
    )


def _difference(aspect: str, observed: Observed, expected: Observed) -> Difference:
    got, want = describe(observed), describe(expected)
    return Difference(aspect, want, got, f"got {got}; expected {want}")
