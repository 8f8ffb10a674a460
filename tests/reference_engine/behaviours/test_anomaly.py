"""Anomaly mode: NaN is refused and the failing forward is shown."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, warns


def nan_backward(torch: Any) -> Any:
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * float("nan")

    return Broken


def anomaly(torch: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.autograd.detect_anomaly(**options)


def test_entering_warns_of_the_cost_and_leaving_restores(torch: Any) -> None:
    with warns(), torch.autograd.detect_anomaly():
        pass
    x = counting(torch, 2)
    nan_backward(torch).apply(x).sum().backward()
    assert x.grad.isnan().all()


def test_nan_from_a_node_is_refused_and_nothing_accumulates(torch: Any) -> None:
    x = counting(torch, 2)
    with anomaly(torch):
        y = nan_backward(torch).apply(x).sum()
        with warns(), pytest.raises(RuntimeError, match="BrokenBackward"):
            y.backward()
    assert x.grad is None


def test_nan_may_be_let_through_while_tracebacks_are_kept(torch: Any) -> None:
    x = counting(torch, 2)
    with anomaly(torch, check_nan=False):
        nan_backward(torch).apply(x).sum().backward()
    assert x.grad.isnan().all()


def test_the_warning_shows_where_the_forward_ran(torch: Any) -> None:
    def the_place_in_the_forward(x: Any) -> Any:
        return x.sqrt()

    x = torch.zeros(2, requires_grad=True)
    with anomaly(torch):
        y = the_place_in_the_forward(x) * 0
        with (
            warns(match="the_place_in_the_forward"),
            pytest.raises(RuntimeError),
        ):
            y.sum().backward()


def test_an_error_from_a_backward_keeps_its_type_and_gets_a_traceback(torch: Any) -> None:
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            raise KeyError("mine")

    x = counting(torch, 2)
    with anomaly(torch):
        y = Failing.apply(x).sum()
        with warns(match="FailingBackward"), pytest.raises(KeyError):
            y.backward()


def test_a_forward_outside_the_mode_has_no_traceback_to_show(torch: Any) -> None:
    x = counting(torch, 2)
    y = nan_backward(torch).apply(x).sum()
    with anomaly(torch), warns(), pytest.raises(RuntimeError):
        y.backward()


def test_the_mode_can_be_set_by_a_function_and_nested(torch: Any) -> None:
    x = counting(torch, 2)
    y = nan_backward(torch).apply(x).sum()
    with torch.autograd.set_detect_anomaly(True):
        with torch.autograd.set_detect_anomaly(False):
            y.backward(retain_graph=True)
        with warns(), pytest.raises(RuntimeError):
            y.backward(retain_graph=True)
    torch.autograd.set_detect_anomaly(True, check_nan=True)
    torch.autograd.set_detect_anomaly(False)
    y.backward()


def test_a_second_backward_shows_the_first_backwards_forward_too(torch: Any) -> None:
    def the_first_forward(x: Any) -> Any:
        return x**1.5

    x = torch.zeros(1, requires_grad=True)
    with anomaly(torch):
        y = the_first_forward(x)
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        with warns() as shown, pytest.raises(RuntimeError):
            (g * 0).sum().backward()
    assert any("the_first_forward" in str(warning.message) for warning in shown)


def test_finite_gradients_are_the_same_in_the_mode(torch: Any) -> None:
    x = counting(torch, 2)
    with anomaly(torch):
        (x.exp() * x).sum().backward()
    assert_values(x.grad, x.detach().exp() * (1 + x.detach()))
