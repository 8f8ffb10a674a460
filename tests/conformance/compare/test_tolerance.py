"""Allowances: u, √n, spread and printed decimals; what is ill-conditioned; errors in ulp."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.compare.tolerance import (
    MULTIPLE,
    allowance,
    beyond_rounding,
    complex_name,
    ill_conditioned,
    limits,
    real_name,
    ulp_error,
    unit_roundoff,
)


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [("float64", 53), ("float32", 24), ("float16", 11), ("bfloat16", 8), ("complex64", 24)],
)
def test_unit_roundoff_is_half_an_ulp_of_one(dtype: str, bits: int) -> None:
    assert unit_roundoff(dtype) == 2.0**-bits


def test_integers_are_exact() -> None:
    assert unit_roundoff("int64") == 0.0
    assert not allowance(np.array([3.0]), "int64", 1).any()


def test_limits_of_float16() -> None:
    u, largest, normal, subnormal = limits("float16")
    assert (u, largest, normal, subnormal) == (2.0**-11, 65504.0, 2.0**-14, 2.0**-24)


def test_real_and_complex_names_belong_together() -> None:
    assert real_name("complex128") == "float64"
    assert real_name("float32") == "float32"
    assert complex_name("float32") == "complex64"
    assert complex_name("complex64") == "complex64"


def test_a_result_is_allowed_its_own_rounding_times_the_multiple() -> None:
    allowed = allowance(np.array([1.0, -2.0]), "float32", 1)
    assert allowed == pytest.approx(MULTIPLE * 2.0**-24 * np.array([1.0, 2.0]))


def test_the_allowance_grows_with_the_root_of_the_size() -> None:
    one, hundred = (allowance(np.array([1.0]), "float64", n) for n in (1, 100))
    assert hundred == pytest.approx(10 * one)


def test_a_measured_spread_replaces_a_smaller_bound_only() -> None:
    expected, spread = np.array([1.0, 1.0]), np.array([1e-3, 0.0])
    allowed = allowance(expected, "float64", 1, spread)
    assert allowed[0] == pytest.approx(MULTIPLE * 1e-3)
    assert allowed[1] == pytest.approx(MULTIPLE * 2.0**-53)


def test_printed_decimals_allow_half_a_unit_of_the_last() -> None:
    allowed = allowance(np.array([0.1966]), "float64", 1, decimals=4)
    assert 0.5e-4 < allowed[0] < 0.5001e-4


def test_ulp_error_counts_units_of_the_largest_entry() -> None:
    expected = np.array([1.0, 0.001])
    observed = np.array([1.0, 0.001 + 2.0**-22])
    assert ulp_error(observed, expected, "float32") == pytest.approx(2.0, rel=1e-6)


def test_ulp_error_of_a_result_without_a_right_digit_stays_finite() -> None:
    assert ulp_error(np.array([1e-9]), np.array([0.0]), "float32") < 2.0**25


def test_ulp_error_leaves_out_what_is_not_finite() -> None:
    assert ulp_error(np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), "float64") == 0.0


def test_a_spread_of_more_than_half_the_digits_is_ill_conditioned() -> None:
    assert ill_conditioned(np.array([1e-3]), 1.0, "float32")
    assert not ill_conditioned(np.array([1e-4]), 1.0, "float32")
    assert ill_conditioned(np.array([np.inf]), 1.0, "float64")
    assert not ill_conditioned(np.zeros(0), 1.0, "float64")


def test_an_error_beyond_the_largest_magnitude_needs_no_second_measurement() -> None:
    allowed = np.array([1e-15])
    assert beyond_rounding(np.array([0.1]), allowed, 1.0, "float64")
    assert not beyond_rounding(np.array([1e-14]), allowed, 1.0, "float64")
    assert not beyond_rounding(np.array([0.1]), allowed, 1e20, "float64")


def test_no_unit_is_smaller_than_the_smallest_number() -> None:
    tiny = 2.0**-149
    assert ulp_error(np.array([2 * tiny]), np.array([0.5 * tiny]), "float32") == 1.5
