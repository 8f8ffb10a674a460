"""Two observations agree up to the rounding of their elements, however few these are."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.compare.agreement import same
from conformance.compare.tolerance import MULTIPLE

ROUNDOFF = 2.0**-53


@pytest.mark.parametrize("size", [1, 4, 16, 17, 64])  # compared by Python, then by NumPy
@pytest.mark.parametrize("scale", [1.0, -3.0e-200, 1.0e300])
def test_arrays_agree_up_to_eight_roundoffs_times_the_root_of_their_size(size, scale) -> None:
    theirs = np.full(size, scale)
    granted = MULTIPLE * np.sqrt(size) * ROUNDOFF
    near, far = theirs.copy(), theirs.copy()
    near[-1] *= 1 + granted * 0.5
    far[-1] *= 1 + granted * 1.2 + 2 * ROUNDOFF
    assert same(near, theirs)
    assert not same(far, theirs)


@pytest.mark.parametrize("size", [4, 32])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_what_is_not_finite_agrees_with_itself_alone(size, value) -> None:
    ones, strange = np.ones(size), np.ones(size)
    strange[0] = value
    assert same(strange, strange.copy())
    with np.errstate(all="ignore"):
        assert not same(ones, strange)
        assert not same(strange, ones)


def test_zeros_of_either_sign_agree_and_dtypes_and_shapes_do_not() -> None:
    zeros = np.zeros(3)
    assert same(zeros, -zeros)
    assert not same(zeros, zeros.astype(np.float32))
    assert not same(zeros, np.zeros((3, 1)))


def test_logs_agree_item_by_item_whatever_an_item_is() -> None:
    ones = np.ones(2)
    assert same((ones, None), (ones.copy(), None))
    assert not same((ones, None), (ones, ones))
    assert not same((ones, ones), (ones, None))
    assert not same((ones,), (ones, None))
