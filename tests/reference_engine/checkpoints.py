"""What the tests of checkpoints have in common: both variants, a function that counts its runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch as pytorch

from tests.reference_engine.outcome import assert_same, outcome


def leaf(lib: Any, *values: float) -> Any:
    return lib.tensor(list(values or (0.5, 1.0, 2.0)), dtype=lib.float64, requires_grad=True)


def kept(lib: Any, function: Any, *args: Any, **options: Any) -> Any:
    """A checkpoint that is not re-entrant."""
    return lib.utils.checkpoint.checkpoint(function, *args, use_reentrant=False, **options)


def reentrant(lib: Any, function: Any, *args: Any, **options: Any) -> Any:
    return lib.utils.checkpoint.checkpoint(function, *args, use_reentrant=True, **options)


class Counted:
    """Calls of a function are counted; it computes sin, exp and a product."""

    def __init__(self) -> None:
        self.calls = 0
        self.finished = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        y = x.sin().exp() * x
        self.finished += 1
        return y * 2


def assert_alike(scenario: Any, engine: Any) -> None:
    """As ``assert_as_in_torch``, each library with a CheckpointError of its own."""
    expected, got = outcome(scenario, pytorch), outcome(scenario, engine)
    own = engine.utils.checkpoint.CheckpointError
    if expected.raised is pytorch.utils.checkpoint.CheckpointError and got.raised is own:
        expected = replace(expected, raised=own)  # the same class of error, each library's own
    assert_same(expected, got)
