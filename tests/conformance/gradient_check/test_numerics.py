"""Numeric derivatives: accuracy, and bounds that hold, along smooth functions and at kinks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from conformance.gradient_check.numerics import (
    complex_step,
    derivative,
    extrapolated,
    table,
    taylor_order,
)

SMOOTH: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "exp": (math.exp, math.exp),
    "sin": (math.sin, math.cos),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "atan": (math.atan, lambda x: 1 / (1 + x * x)),
    "cubic": (lambda x: x**3 - 2 * x, lambda x: 3 * x * x - 2),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_bound_holds_and_is_tight_on_smooth_functions(name: str) -> None:
    f, slope = SMOOTH[name]
    for x in np.random.default_rng(0).uniform(-2, 2, 200):
        found = derivative(lambda t, x=x: (f(x + t), 4 * 2.0**-53 * abs(f(x + t))))
        assert abs(found.value - slope(x)) <= found.error
        assert found.error < 1e-8 * max(1.0, abs(slope(x)))


@pytest.mark.parametrize("power", [1, 2])
def test_extrapolation_is_exact_for_polynomials_of_its_order(power: int) -> None:
    steps = 2.0 ** -np.arange(4.0).reshape(-1, 1)
    coefficients = np.array([[3.0, -1.0]])
    differences = coefficients + 5 * steps**power - 2 * steps ** (2 * power)
    value, error = extrapolated(differences, np.zeros(2), power)
    assert np.allclose(value, coefficients[0], rtol=0, atol=1e-14)
    assert (error + 1e-15 >= abs(value - coefficients[0])).all()


def test_rows_of_a_table_sum_to_one() -> None:
    assert np.allclose(table(5, 2).weights.sum(axis=1), 1.0)


def test_complex_step_is_exact_to_rounding() -> None:
    found = complex_step(lambda z: np.exp(1.3 + z) * np.sin(1.3 + z))
    assert found == pytest.approx(math.exp(1.3) * (math.sin(1.3) + math.cos(1.3)), rel=4e-16)


def test_taylor_remainders_are_of_second_order_for_the_right_slope_only() -> None:
    values = np.array([math.exp(2.0**-k) for k in range(4, 9)])
    assert taylor_order(values, 1.0, 1.0, 2.0**-4) == pytest.approx(2.0, abs=0.1)
    assert taylor_order(values, 1.0, 1.1, 2.0**-4) == pytest.approx(1.0, abs=0.3)
