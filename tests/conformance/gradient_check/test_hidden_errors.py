"""Errors that hide: behind steps and periods, in state, in randomness, and where values fail."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from conformance import gradcheck
from conformance.adapters.load import load_engine
from conformance.gradient_check.base_point import BackwardRaised
from conformance.gradient_check.probes.asking import Ask, together
from conformance.gradient_check.targets import Target
from tests.conformance.gradient_check.test_gradcheck import at, function, normal


def target(fn: Any, *inputs: Tensor) -> Target:
    return Target(fn, inputs, load_engine("torch"))


def test_questions_to_several_graphs_are_answered_as_they_are_alone() -> None:
    sine = target(torch.sin, normal(4))
    graphs = [sine.record(sine.point * factor) for factor in (1.0, 2.0, 1.0)]
    asks = [Ask(graph, graph.outputs) for graph in (*graphs, graphs[0])]
    for ask, answer in zip(asks, together(asks), strict=True):
        assert not isinstance(answer, BackwardRaised)
        assert (answer == ask.recording.pull(ask.cotangent)).all()


def test_a_backward_that_raises_leaves_the_other_answers() -> None:
    def backward(g: Tensor, x: Tensor) -> Tensor:
        if x[0] > 1:
            raise ValueError("too large")
        return g * x.cos()

    sine = target(function(torch.sin, backward).apply, at(0.5, 0.7))
    graphs = [sine.record(sine.point * factor) for factor in (1.0, 4.0)]
    right, wrong = together([Ask(graph, graph.outputs) for graph in graphs])
    assert not isinstance(right, BackwardRaised)
    assert isinstance(wrong, BackwardRaised)
    assert "ValueError: too large" in wrong.sentence


def test_stairs_finer_than_the_usual_steps_have_a_slope_of_zero() -> None:
    def fine(x: Tensor) -> Tensor:
        return (x * 2**20).floor() / 2**20 + 0 * x

    result = gradcheck(fine, (normal(5),), probes=False)
    assert result.verdict == "pass", result


def test_stairs_coarser_than_the_usual_steps_are_no_straight_line() -> None:
    stairs = function(lambda x: (x * 2**4).floor() / 2**4, lambda g, x: g)
    assert gradcheck(stairs, (normal(5),)).verdict == "fail"


def test_a_period_of_the_steps_is_no_straight_line() -> None:
    period = function(lambda x: x + 1e-3 * (x * 2**10 * 2 * torch.pi).sin(), lambda g, x: g)
    assert gradcheck(period, (at(1.0, 0.5),)).verdict == "fail"


def test_a_backward_that_depends_on_the_last_call_keeps_state() -> None:
    last: list[Tensor] = []

    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            last[:] = [x.detach().clone()]
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            return g * last[0].cos() if last[0].shape == g.shape else g

    result = gradcheck(Custom, (normal(6),))
    assert result.verdict == "fail"
    assert result.failures[0].cause in ("state between calls", "formula")


def test_a_backward_that_draws_anew_fails() -> None:
    noisy = function(torch.sin, lambda g, x: g * x.cos() * (1 + 0.1 * torch.randn_like(x)))
    result = gradcheck(noisy, (normal(6),))
    assert (result.verdict, result.failures[0].cause) == ("fail", "random backward")


def test_a_logarithmic_slope_is_told_as_unbounded() -> None:
    result = gradcheck(lambda x: torch.special.xlogy(x, x), (at(0.0, 1.0),))
    assert result.verdict != "fail", result


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_gradient_that_is_not_finite_fails_where_the_slope_is(value: float) -> None:
    wrong = function(torch.sin, lambda g, x: torch.where(x > 0, g * x.cos(), value))
    result = gradcheck(wrong, (at(-0.5, 0.5),))
    assert (result.verdict, result.failures[0].cause) == ("fail", "not finite")
    assert "input 0[0]" in result.reason


def test_inputs_for_which_a_function_reports_failure_are_not_judged() -> None:
    def root(x: Tensor) -> tuple[Tensor, Tensor]:
        failed = (x < 0.1).sum().int()
        return (x.sqrt() if not failed else x.detach() * 3 + x * 0), failed

    result = gradcheck(root, (at(1.0, 2.0),))
    assert result.verdict == "pass", result
    outcome = {probe.name: probe.outcome for probe in result.probes}
    assert outcome["tiny inputs"] == "skipped"


@pytest.mark.parametrize("bits", [24, 28, 32, 36])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_kink_close_by_neither_excuses_a_wrong_sign_nor_makes_a_right_one_wrong(
    bits: int, seed: int
) -> None:
    """Steps of usual size cross the kink; only smaller ones show the side that the point is on."""
    x = normal(5, seed=seed).detach()
    kinks = x * 1.5
    kinks[0] = x[0] * (1 + (2.0**-bits if seed else -(2.0**-bits)))
    sign = torch.ones(5, dtype=torch.float64)
    sign[0] = -1.0

    def wrong(g: Any, x: Any) -> Any:
        return g * (x - kinks).sign() * sign

    bad = gradcheck(function(lambda x: (x - kinks).abs(), wrong), (x,), probes=False)
    assert bad.verdict == "fail"
    assert gradcheck(lambda x: (x - kinks).abs(), (x,), probes=False)
    assert gradcheck(lambda x: (x - kinks).relu(), (x,), probes=False)
