"""Structure: absence, flags, names, versions, logs."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.compare.structure import structure_difference
from conformance.observation import Observed


def aspect(
    observed: Observed, expected: Observed, *conventions: str, names: bool = True
) -> str | None:
    found = structure_difference(observed, expected, names=names, conventions=conventions)
    return None if found is None else found.aspect


@pytest.mark.parametrize("value", [None, True, 3, "AddBackward0", np.ones(2), (np.ones(2),)])
def test_equals_are_equal(value: Observed) -> None:
    assert aspect(value, value) is None


def test_absence_is_not_a_zero_unless_the_engine_says_so() -> None:
    assert aspect(np.zeros(2), None) == "presence"
    assert aspect(None, np.zeros(2)) == "presence"
    assert aspect(np.zeros(2), None, "zeros_for_unused") is None
    assert aspect(np.ones(2), None, "zeros_for_unused") == "presence"
    assert aspect(None, np.zeros(2), "zeros_for_unused") == "presence"
    assert aspect(np.zeros(2), None, "scalars_widen") == "presence"


def test_flags_and_versions_are_compared_by_value() -> None:
    assert aspect(True, False) == "flag"
    assert aspect(2, 3) == "flag"


def test_names_count_only_where_they_are_promised() -> None:
    assert aspect("MulBackward0", "AddBackward0") == "name"
    assert aspect("mul", "MulBackward0", names=False) is None
    assert aspect(None, "MulBackward0", names=False) == "presence"


def test_logs_are_compared_by_length() -> None:
    found = structure_difference((np.ones(1),), (np.ones(1), np.ones(1)), names=True)
    assert found is not None
    assert found.message == "the hooks logged 1 gradients; expected 2"
    assert aspect(np.ones(1), (np.ones(1),)) == "presence"


def test_an_array_is_not_a_flag() -> None:
    assert aspect(True, np.ones(2)) == "presence"
