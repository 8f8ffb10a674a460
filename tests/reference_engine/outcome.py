"""What a scenario does on a library, in a form that can be compared between libraries.

A scenario is a function of a torch-like module. Run on PyTorch, on the NumPy backend and on the
torch backend it must come to the same: the same values, or an exception of the same type.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch as pytorch

Scenario = Callable[[Any], Any]


class Scenarios(list[Scenario]):
    """The scenarios of one test file: used as a decorator, then as a parametrisation."""

    def __call__(self, scenario: Scenario) -> Scenario:
        assert scenario.__name__ not in {s.__name__ for s in self}, scenario.__name__
        self.append(scenario)
        return scenario

    def each(self) -> pytest.MarkDecorator:
        return pytest.mark.parametrize("scenario", self, ids=lambda s: s.__name__)


@dataclass(frozen=True)
class Outcome:
    """The value returned, or the type of exception raised, and the categories of warnings."""

    value: Any
    raised: type[BaseException] | None
    warned: tuple[type[Warning], ...]
    message: str = ""


def outcome(scenario: Scenario, lib: Any) -> Outcome:
    """Runs a scenario. Only the exceptions that users are promised count as an outcome."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value, raised, message = plain(scenario(lib)), None, ""
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
            value, raised, message = None, type(error), str(error)
    # Python's advice to an engine's authors (3.12 deprecates a spelling that torch still uses)
    # is no outcome
    kinds = tuple(w.category for w in caught if not issubclass(w.category, DeprecationWarning))
    return Outcome(value, raised, kinds, message)


def plain(value: Any) -> Any:
    """Tensors as nested lists, sequences as lists."""
    if hasattr(value, "detach"):
        return value.detach().tolist()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value


def assert_same(expected: Outcome, got: Outcome) -> None:
    """The same kind of outcome, and values equal to a few units in the last place of float32."""
    assert got.raised is expected.raised, f"expected {expected}, got {got}"
    assert bool(got.warned) == bool(expected.warned), f"expected {expected}, got {got}"
    assert same(expected.value, got.value), f"expected {expected}, got {got}"


def assert_as_in_torch(scenario: Scenario, engine: Any) -> None:
    assert_same(outcome(scenario, pytorch), outcome(scenario, engine))


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, (float, complex)) and isinstance(b, (float, complex)):
        return bool(np.isclose(a, b, rtol=1e-6, atol=1e-7, equal_nan=True))
    return type(a) is type(b) and bool(a == b)


def node_name(node: Any) -> Any:
    return None if node is None else node.name().removeprefix("torch::autograd::")


def counting_leaf(lib: Any, *shape: int) -> Any:
    """A tracked float64 leaf that counts 1, 2, 3, … in the given shape."""
    n = 1
    for size in shape:
        n *= size
    x = lib.arange(1, n + 1, dtype=lib.float64).reshape(shape)
    return x.requires_grad_()
