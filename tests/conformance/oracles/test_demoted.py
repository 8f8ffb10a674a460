"""Demoted runs: what rounding does inside of operations is measured, and excuses nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conformance.adapters.load import load_engine
from conformance.adapters.torch_engine import TorchEngine
from conformance.judge import judge
from conformance.notation import parse
from conformance.oracles.demoted import Demoted, pair
from conformance.oracles.differential import Differential
from conformance.verdict import Outcome

REFERENCE = load_engine("reference")
CANCELLING = parse("""
    x = leaf([[-2.75, -0.90625], [-0.78125, -0.640625]], requires_grad=True)
    y = mul(x, x)
    y1 = log_softmax(y, dim=0)
    y2 = atan(y1)
    backward(y2, gradient=[[2.0, 0.5], [0.5, -1.0]])
    grad(x)
""")
"""g - softmax·Σg loses, at [0, 0], all but the last two of its digits."""
GRADIENT = 5


class _Off(TorchEngine):
    """Multiplies the result of the derivative of log_softmax by 1 + `by`."""

    by = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.name = "torch-off"

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "log_softmax":
            operand = tensors[0] * 1
            operand.register_hook(lambda gradient: gradient * (1 + self.by))
            tensors = (operand,)
        return super().apply(op, *tensors, **params)


def test_cancellation_inside_an_operation_is_nobodys_fault() -> None:
    assert judge(load_engine("torch"), CANCELLING).outcome is Outcome.HOLDS


@pytest.mark.parametrize("by", [1e-10, -1e-10, 1e-3])
def test_a_gradient_that_is_wrong_beyond_rounding_is_still_blamed(by: float) -> None:
    engine = _Off()
    engine.by = by
    found = judge(engine, CANCELLING)
    assert (found.outcome, found.step) == (Outcome.VIOLATED, GRADIENT)


class _Fused(TorchEngine):
    """Computes attention as fused kernels do: the gradient of the softmax from the output.

    Dao et al. 2022, "FlashAttention", https://arxiv.org/abs/2205.14135, algorithm 4.
    """

    off = 2.0**-52

    def __init__(self) -> None:
        super().__init__()
        self.name = "torch-fused"

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op != "nn.functional.scaled_dot_product_attention":
            return super().apply(op, *tensors, **params)
        scores = tensors[0] @ tensors[1].mT / tensors[0].shape[-1] ** 0.5
        scores.register_hook(lambda gradient: gradient + self.off)  # what is left of g - g(1 + u)
        return scores.softmax(-1) @ tensors[2]


ATTENTION = parse("""
    q = leaf([[0.5, -1.0]], requires_grad=True)
    k = leaf([[1.0, 2.0]])
    v = leaf([[3.0, -1.0]])
    y = nn.functional.scaled_dot_product_attention(q, k, v)
    backward(y, gradient=[[1.5, 0.5]])
    grad(q)
""")


def test_terms_that_the_oracle_cancels_exactly_may_leave_their_roundings() -> None:
    """A query of one key has a gradient of zero."""
    engine = _Fused()
    assert judge(engine, ATTENTION).outcome is Outcome.HOLDS
    engine.off = 1e-12
    assert judge(engine, ATTENTION).outcome is Outcome.VIOLATED


def test_a_value_that_is_off_by_a_hundred_roundings_is_still_blamed() -> None:
    program = parse("x = leaf([0.5, 0.25])\ny = log_softmax(x, dim=0)\nvalue(y)")
    assert judge(_Scaled(), program).outcome is Outcome.VIOLATED


class _Scaled(TorchEngine):
    def __init__(self) -> None:
        super().__init__()
        self.name = "torch-scaled"

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        return super().apply(op, *tensors, **params) * (1 + 2.0**-46)


def test_it_is_measured_where_it_is_lost_and_nowhere_else() -> None:
    oracle = Differential(REFERENCE, CANCELLING, "float64")
    (between,) = oracle.spread(GRADIENT, 24) or ()
    (inside,) = oracle.inner_rounding(GRADIENT, 24) or ()
    assert inside[0, 0] > 50 * between[0, 0]
    others = np.array([[False, True], [True, True]])
    assert np.all(inside[others] <= 2 * between[others])


def test_it_is_proportional_to_the_unit_roundoff_of_the_run() -> None:
    fine = Differential(REFERENCE, CANCELLING, "float64").inner_rounding(GRADIENT, 4) or ()
    coarse = Differential(REFERENCE, CANCELLING, "float32").inner_rounding(GRADIENT, 4) or ()
    np.testing.assert_allclose(coarse[0], fine[0] * 2.0**29, rtol=1e-12)


def test_both_runs_start_from_numbers_that_float32_holds() -> None:
    engines = [Demoted(REFERENCE, 3, wide) for wide in (False, True)]
    narrow, wide = (REFERENCE.numpy(e.tensor(np.array([0.1, 3.0]))) for e in engines)
    assert (narrow.dtype, wide.dtype) == (np.float32, np.float64)
    assert np.array_equal(narrow.astype(np.float64), wide)
    assert np.all(np.abs(wide / [0.1, 3.0] - 1) < 2.0**-11)
    assert not np.array_equal(wide, [0.1, 3.0])


def test_what_leaves_the_range_of_float32_adds_nothing() -> None:
    program = parse("x = leaf([1.0e30])\ny = mul(x, x)\nvalue(y)")
    assert [not event.skipped for event in pair(REFERENCE, program, "float64", 0)[0]] == [True] * 3
    (inside,) = Differential(REFERENCE, program, "float64").inner_rounding(2, 4) or ()
    assert inside[0] == 0
