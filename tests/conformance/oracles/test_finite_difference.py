"""Finite differences: accuracy, bounds that tell kinks, what a program's gradient stands for."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.gradient_check.numerics import Slope
from conformance.notation import parse
from conformance.observation import Array
from conformance.oracles.algebraic import Adjoint
from conformance.oracles.finite_difference import FiniteDifference, contraction, ridders

TORCH = load_engine("torch")


def slopes(text: str, direction: Array | None = None) -> tuple[Slope | None, float]:
    """Return the slope for the last reading of a gradient, and what that gradient predicts."""
    program = parse(text)
    observation = execute(TORCH, program)
    step = max(event.step for event in observation.events if event.verb == "grad")
    gradient = observation.events[step].value
    assert isinstance(gradient, np.ndarray)
    if direction is None:
        direction = np.linspace(1.0, 2.0, gradient.size).reshape(gradient.shape)
        if gradient.dtype.kind == "c":
            direction = direction * (1 + 0.5j)
    slope = FiniteDifference(TORCH, program, observation).slope(step, direction)
    adjoint = Adjoint(TORCH, TORCH, program, observation).slope(step, direction)
    predicted = contraction(gradient, direction)
    if slope is not None:
        assert adjoint is not None
        assert adjoint.value == pytest.approx(predicted, rel=1e-12, abs=1e-12)
    return slope, predicted


@pytest.mark.parametrize(
    ("function", "derivative"),
    [(np.sin, np.cos), (np.exp, np.exp), (np.tanh, lambda t: 1 - np.tanh(t) ** 2)],
)
def test_smooth_functions_are_accurate_and_the_bound_is_honest(function, derivative) -> None:
    for x in (-1.3, 0.0, 0.7, 2.1):
        found = ridders(
            lambda t, x=x: (float(function(x + t)), 2.0**-53 * abs(function(x + t))), np.array(x)
        )
        assert abs(found.value - derivative(x)) <= max(found.error, 1e-15)
        assert found.error < 1e-8


@pytest.mark.parametrize("kink", [0.0, 2.0**-5, 2.0**-9, 2.0**-12])
@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_the_bound_covers_every_subgradient_at_and_near_a_kink(kink: float, size: float) -> None:
    found = ridders(lambda t: (np.sin(t) + size * abs(t - kink), 2.0**-52), np.array(0.0))
    for subgradient in (1 - size, 1 + size) if kink == 0.0 else (1 - size,):
        assert abs(found.value - subgradient) <= 8 * found.error


def test_what_cannot_be_evaluated_has_an_infinite_bound() -> None:
    assert ridders(lambda _: (np.nan, 0.0), np.array(0.0)).error == np.inf


AGREEING = {
    "a chain": "y = sin(x)\nz = exp(y)\nl = sum(z)\nbackward(l)\ngrad(x)",
    "a cotangent": "y = sin(x)\nbackward(y, gradient=[1.0, -2.0, 0.5])\ngrad(x)",
    "two passes add up": "y = mul(x, x)\nl = sum(y)\nbackward(l)\nz = sin(x)\nm = sum(z)\n"
    "backward(m)\ngrad(x)",
    "a reset between": "y = mul(x, x)\nl = sum(y)\nbackward(l)\nset_grad(x, value=None)\n"
    "z = sin(x)\nm = sum(z)\nbackward(m)\ngrad(x)",
    "a detached factor": "d = detach(x)\ny = mul(x, d)\nl = sum(y)\nbackward(l)\ngrad(x)",
    "a factor made in no_grad": "with no_grad():\n    d = sin(x)\ny = mul(x, d)\nl = sum(y)\n"
    "backward(l)\ngrad(x)",
    "enable_grad within no_grad": "with no_grad():\n    with enable_grad():\n        d = sin(x)\n"
    "y = mul(x, d)\nl = sum(y)\nbackward(l)\ngrad(x)",
    "grad mode set": "with set_grad_enabled(enabled=False):\n    d = sin(x)\ny = mul(x, d)\n"
    "l = sum(y)\nbackward(l)\ngrad(x)",
    "a block left by an exception": "with no_grad():\n    d = sin(x)\n    raise\ny = mul(x, d)\n"
    "l = sum(y)\nbackward(l)\ngrad(x)",
    "an intermediate": "y = sin(x)\nretain_grad(y)\nz = mul(y, y)\nl = sum(z)\nbackward(l)\n"
    "grad(y)",
    "a gradient used as a number": "y = mul(x, x)\nl = sum(y)\nbackward(l)\ng = grad(x)\n"
    "z = mul(x, g)\nm = sum(z)\nset_grad(x, value=None)\nbackward(m)\ngrad(x)",
    "several roots": "y = sin(x)\nz = cos(x)\nbackward(y, z, gradient=[[1.0, 2.0, 3.0], "
    "[4.0, 5.0, 6.0]])\ngrad(x)",
    "chosen inputs": "w = leaf([1.0, 1.0, 1.0], requires_grad=True)\ny = mul(x, w)\nl = sum(y)\n"
    "backward(l, inputs=[w], retain_graph=True)\nbackward(l)\ngrad(x)",
    "a write in place": "y = mul(x, other=2.0)\nv = view(y, size=[3, 1])\nsin_(v)\nz = mul(y, x)\n"
    "l = sum(z)\nbackward(l)\ngrad(x)",
    "a hook that only looks": "hook(x, action='record')\ny = sin(x)\nl = sum(y)\nbackward(l)\n"
    "grad(x)",
}


@pytest.mark.parametrize("name", AGREEING)
def test_gradients_of_torch_agree_with_slopes(name: str) -> None:
    slope, predicted = slopes(f"x = leaf([0.5, -0.3, 1.2], requires_grad=True)\n{AGREEING[name]}")
    assert slope is not None
    assert abs(slope.value - predicted) <= 8 * slope.error + 1e-13
    assert slope.error < 1e-7


def test_complex_gradients_follow_the_convention() -> None:
    slope, predicted = slopes("""
        x = leaf([1.0+2.0j, -0.5+0.25j], requires_grad=True)
        y = mul(x, x)
        z = exp(y)
        backward(z, gradient=[1.0+1.0j, 0.5-1.0j])
        grad(x)
    """)
    assert slope is not None
    assert slope.value == pytest.approx(predicted, rel=1e-8)


BEYOND = {
    "a hook that changes": "hook(x, action='double')\ny = sin(x)\nl = sum(y)\nbackward(l)\ngrad(x)",
    "a write through data": "y = mul(x, other=2.0)\nd = data(y)\nzero_(d)\nl = sum(y)\n"
    "backward(l)\ngrad(x)",
    "a write beside a cut": "y = mul(x, other=2.0)\nd = detach(y)\nz = add(y, other=1.0)\n"
    "zero_(d)\nl = sum(z)\nbackward(l)\ngrad(x)",
    "a gradient set to numbers": "set_grad(x, value=[1.0, 1.0, 1.0])\ny = sin(x)\nl = sum(y)\n"
    "backward(l)\ngrad(x)",
    "a derivative of a derivative": "y = sin(x)\nl = sum(y)\nbackward(l, create_graph=True)\n"
    "grad(x)",
}


@pytest.mark.parametrize("name", BEYOND)
def test_no_slope_is_given_where_it_would_mean_something_else(name: str) -> None:
    slope, _ = slopes(f"x = leaf([0.5, -0.3, 1.2], requires_grad=True)\n{BEYOND[name]}")
    assert slope is None


def test_a_program_with_a_refused_step_has_no_slopes() -> None:
    slope, _ = slopes("""
        x = leaf([0.5, 1.0], requires_grad=True)
        y = mul(x, x)
        with raises():
            backward(y)
        l = sum(y)
        backward(l)
        grad(x)
    """)
    assert slope is None


def test_wrong_gradients_do_not_fit_the_slope() -> None:
    slope, predicted = slopes("""
        x = leaf([0.5, -0.3, 1.2], requires_grad=True)
        y = sin(x)
        l = sum(y)
        backward(l)
        grad(x)
    """)
    assert slope is not None
    assert abs(slope.value - predicted * (1 + 1e-6)) > 100 * slope.error
