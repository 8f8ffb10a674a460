"""Differences of arrays: shape, dtype, values, NaN, infinities, complex numbers."""

from __future__ import annotations

import numpy as np

from conformance.compare.arrays import (
    dtype_difference,
    expected_dtype,
    saturated,
    shape_difference,
    value_difference,
)
from conformance.observation import Array

ZERO = np.zeros(())


def values(observed: object, expected: object, allowed: float = 0.0) -> str | None:
    got, want = np.asarray(observed), np.asarray(expected)
    found = value_difference(got, want, np.full(want.shape, allowed))
    return None if found is None else found.message


def test_a_scalar_is_not_an_array_of_one() -> None:
    found = shape_difference(np.zeros(1), ZERO)
    assert found is not None
    assert found.message == "the shape is (1); expected ()"
    assert shape_difference(np.zeros((2, 3)), np.ones((2, 3))) is None


def test_dtypes_are_compared_by_name_integers_by_kind() -> None:
    found = dtype_difference(np.zeros(2, "float32"), "float64")
    assert found is not None
    assert (found.aspect, found.observed, found.expected) == ("dtype", "float32", "float64")
    assert dtype_difference(np.zeros(2, "int32"), "int64") is None
    assert dtype_difference(np.zeros(2, "int64"), "bool") is not None


def test_values_within_the_allowance_are_equal() -> None:
    assert values([1.0, 2.0], [1.0, 2.5], 0.5) is None


def test_the_worst_element_is_named() -> None:
    message = values([[1.0, 2.0], [3.0, 9.0]], [[1.0, 2.5], [3.0, 4.0]], 0.1)
    assert message == "element [1, 1] is 9; expected 4 (error 5, allowed 0.1)"


def test_nan_equals_nan_and_infinities_their_sign() -> None:
    assert values([np.nan, np.inf, -np.inf], [np.nan, np.inf, -np.inf]) is None
    assert values([np.inf], [-np.inf], 1e9) == "element [0] is inf; expected -inf"
    assert values([np.nan], [1.0], 1e9) == "element [0] is nan; expected 1"
    assert values(1.0, np.nan, 1e9) == "the value is 1; expected nan"


def test_complex_numbers_are_compared_by_modulus() -> None:
    assert values([3 + 4j], [0j], 5.0) is None
    assert values([3 + 4j], [0j], 4.9) is not None
    assert values([complex(np.nan, 1)], [complex(np.nan, 1)]) is None
    assert values([complex(np.nan, 1)], [complex(np.nan, np.inf)]) is not None


def test_a_real_result_may_stand_for_a_complex_number_without_imaginary_part() -> None:
    assert values([2.0], [2 + 0j]) is None
    assert values([2.0], [2 + 1j]) is not None


def test_integers_and_flags_are_compared_exactly() -> None:
    assert values([1, 2], [1, 2], 9.0) is None
    assert values([1, 3], [1, 2], 9.0) == "element [1] is 3; expected 2"
    assert values([True], [False], 9.0) is not None


def test_empty_arrays_are_equal() -> None:
    assert value_difference(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3))) is None


def test_the_dtype_due_follows_the_kind_of_the_oracle() -> None:
    assert expected_dtype(np.zeros(1), "float32") == "float32"
    assert expected_dtype(np.zeros(1, "complex128"), "float32") == "complex64"
    assert expected_dtype(np.zeros(1), "complex64") == "float32"
    assert expected_dtype(np.zeros(1, "bool"), "float16") == "bool"


def test_what_overflows_a_dtype_is_expected_to_be_infinite() -> None:
    array: Array = np.array([1e6, -1e6, 3.0])
    assert saturated(array, 65504.0).tolist() == [np.inf, -np.inf, 3.0]


def test_numbers_are_told_apart_by_as_many_digits_as_it_takes() -> None:
    close = np.array([1.435, 2.0]), np.array([1.435 + 9.63e-13, 2.0])
    found = value_difference(*close, np.zeros(2))
    assert found is not None
    assert found.message.startswith("element [0] is 1.435; expected 1.435000000001 (error")
    assert found.expected != found.observed
    far = value_difference(np.array(1.0), np.array(1.25), np.array(0.0))
    assert far is not None
    assert "is 1; expected 1.25 (" in far.message


def test_single_precision_in_place_of_double_is_told_to_the_author_of_an_adapter() -> None:
    found = dtype_difference(np.ones(1, "float32"), "float64")
    assert found is not None
    assert "names it first in `dtypes`" in found.message
    other = dtype_difference(np.ones(1, "float64"), "float32")
    assert other is not None
    assert "`dtypes`" not in other.message
