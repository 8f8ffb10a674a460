"""`gradcheck`: what it passes, what it fails and where, and what it leaves open."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import reference_engine
from conformance import Engine, assert_gradients, gradcheck
from conformance.errors import UsageError
from conformance.gradient_check import GradientError, Verdict
from tests.engines.tiny_functional import TinyFunctional, do
from tests.engines.tiny_tape import TinyTape

DOUBLE = {"dtype": torch.float64}


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, **DOUBLE).requires_grad_()


def at(*values: float) -> Tensor:
    return torch.tensor(values, **DOUBLE).requires_grad_()


def function(forward: Any, backward: Any) -> Any:
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Tensor) -> Any:
            ctx.save_for_backward(*tensors)
            return forward(*tensors)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            return backward(*gradients, *ctx.saved_tensors)

    return Custom


def test_a_uniform_error_of_1e8_is_found_within_twelve_evaluations() -> None:
    wrong = function(torch.matmul, lambda g, a, b: (g @ b.mT * (1 + 1e-8), a.mT @ g * (1 + 1e-8)))
    for seed in range(5):
        result = gradcheck(wrong, (normal(30, 30), normal(30, 30, seed=1)), seed=seed)
        assert result.verdict == "fail"
        assert result.evaluations <= 12


def test_one_element_of_a_thousand_is_found_and_named() -> None:
    mask = torch.ones(1000, **DOUBLE)
    mask[517] = 1.01
    wrong = function(torch.sin, lambda g, x: g * x.cos() * mask)
    x = normal(1000)
    slope = float(x.detach()[517].cos())
    result = gradcheck(wrong, (x,), probes=False)
    assert result.verdict is Verdict.FAIL
    assert (result.output.name, result.output.index) == ("output", (517,))
    assert (result.input.name, result.input.index) == ("input 0", (517,))
    assert result.numeric == pytest.approx(slope, rel=1e-10)
    assert result.analytic == pytest.approx(1.01 * slope, rel=1e-12)
    assert "formula" in result.reason


@pytest.mark.parametrize("mode", ["directional", "full"])
@pytest.mark.parametrize("order", [1, 2])
def test_right_functions_pass(mode: Any, order: int) -> None:
    result = gradcheck(
        lambda a, b: torch.tanh(a @ b), (normal(3, 2), normal(2, 3)), mode=mode, order=order
    )
    assert result.verdict == "pass", result
    assert result.limit < 1e-8
    assert all(probe.outcome in ("passed", "skipped") for probe in result.probes)


@pytest.mark.parametrize(
    ("fn", "inputs"),
    [
        (torch.relu, (at(0, 1, -1, 0),)),
        (torch.abs, (at(0, 2),)),
        (torch.amax, (at(1, 2, 2),)),
        (torch.median, (at(1, 1, 1, 2),)),
        (lambda x: torch.relu(x[0]) - torch.relu(x[1]), (at(0, 0),)),
        (torch.linalg.vector_norm, (at(0, 0),)),
    ],
)
def test_valid_subgradients_pass(fn: Any, inputs: tuple[Tensor, ...]) -> None:
    assert gradcheck(fn, inputs).verdict == "pass"


def test_an_invalid_subgradient_fails() -> None:
    wrong = function(torch.relu, lambda g, x: g * torch.where(x == 0, 2.0, (x > 0) * 1.0))
    result = gradcheck(wrong, (at(0, 1, -1),))
    assert (result.verdict, result.first.cause) == ("fail", "kink")


def test_ties_that_both_get_everything_fail() -> None:
    wrong = function(torch.amax, lambda g, x: g * (x == x.max()))
    assert gradcheck(wrong, (at(1, 2, 2),)).verdict == "fail"


def test_an_error_beside_a_kink_is_not_hidden_by_it() -> None:
    wrong = function(torch.relu, lambda g, x: g * (x > 0) * 1.001)
    result = gradcheck(lambda x: wrong.apply(x).sum(), (at(0, 0.7, -1, 1.3),))
    assert (result.verdict, result.first.cause) == ("fail", "formula")


@pytest.mark.parametrize(
    ("fn", "inputs", "reason"),
    [
        (torch.floor, (at(1, 0.5),), "jumps"),
        (torch.sqrt, (at(0, 4),), "without bound"),
        (torch.log, (at(0, 1),), "undefined"),
    ],
)
def test_what_has_no_derivative_is_inconclusive(
    fn: Any, inputs: tuple[Tensor, ...], reason: str
) -> None:
    result = gradcheck(fn, inputs)
    assert result.verdict == "inconclusive"
    assert reason in result.reason


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_low_precision_inputs_pass_and_say_their_limit(dtype: torch.dtype) -> None:
    x = normal(20).detach().to(dtype)
    result = gradcheck(torch.tanh, (x,))
    assert result.verdict == "pass", result
    assert result.computed_in == "float64"
    assert any(probe.name.startswith("computed in") for probe in result.probes)


def test_a_function_in_float32_only_states_its_limit_and_keeps_it() -> None:
    def only(x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return x.sin()

    x = normal(100).detach().float()
    right = gradcheck(only, (x,))
    assert right.verdict == "pass"
    assert right.computed_in == "float32"
    assert right.limit < 1e-3
    factor = 1 + 100 * right.limit
    wrong = function(only, lambda g, x: g * x.cos() * factor)
    assert gradcheck(wrong, (x,)).verdict == "fail"


def test_dropout_is_checked_under_one_generator_state() -> None:
    assert gradcheck(torch.nn.functional.dropout, (normal(40),)).verdict == "pass"


def test_random_numbers_that_seldom_matter_are_held_where_a_probe_meets_them() -> None:
    for seed in range(12):
        torch.manual_seed(seed)
        result = gradcheck(
            lambda x: torch.nn.functional.dropout(x * x, 0.1), (normal(6),), seed=seed
        )
        assert result.verdict == "pass", result.reason


def test_randomness_beyond_the_generator_is_measured() -> None:
    random = np.random.default_rng(0)
    result = gradcheck(lambda x: x * float(1 + 0.1 * random.standard_normal()), (normal(10),))
    assert result.verdict == "inconclusive"
    assert result.randomness["forward"] == pytest.approx(0.1, rel=0.8)


def test_parameters_of_a_module_are_checked_on_a_copy() -> None:
    layer = torch.nn.Linear(3, 4)
    before = layer.weight.detach().clone()
    assert gradcheck(layer, (torch.randn(5, 3),)).verdict == "pass"
    assert torch.equal(layer.weight, before)
    assert layer.weight.grad is None


def test_a_wrong_parameter_is_named() -> None:
    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(normal(3, 3).detach())

        def forward(self, x: Tensor) -> Tensor:
            wrong = function(torch.matmul, lambda g, a, b: (g @ b.mT, 0.9 * (a.mT @ g)))
            return wrong.apply(x, self.weight)

    result = gradcheck(Layer(), (normal(2, 3),))
    assert result.verdict == "fail"
    assert result.input.name == "parameter weight"


def test_a_backward_that_raises_fails() -> None:
    def backward(g: Tensor, x: Tensor) -> Tensor:
        raise ValueError("no")

    result = gradcheck(function(torch.sin, backward), (normal(3),))
    assert result.verdict == "fail"
    assert "ValueError: no" in result.reason


def test_wrong_double_backward_is_found_at_order_2_only() -> None:
    wrong = function(lambda x: x**3, lambda g, x: g * 3 * x.detach() ** 2)
    assert gradcheck(wrong, (normal(4),)).verdict == "pass"
    result = gradcheck(wrong, (normal(4),), order=2)
    assert (result.verdict, result.first.cause) == ("fail", "order 2, formula")


def test_full_mode_keeps_the_error_of_every_element() -> None:
    mask = torch.ones(3, 4, **DOUBLE)
    mask[1, 2] = 1.5
    wrong = function(torch.exp, lambda g, x: g * x.exp() * mask)
    (elements,) = gradcheck(wrong, (normal(3, 4),), mode="full").elements
    assert elements.shape == (3, 4)
    beyond = np.array(elements.error) > np.array(elements.bound)
    assert np.flatnonzero(beyond).tolist() == [6]


@pytest.mark.parametrize("order", [1, 2])
def test_functional_engines_are_checked_through_their_vjp(order: int) -> None:
    point = np.array([1.0, 2.0, 0.5])
    result = gradcheck(
        lambda x: do("sin", do("mul", x, x)), (point,), engine=TinyFunctional(), order=order
    )
    assert result.verdict == "pass", result


def test_tapes_are_checked_through_their_adapter() -> None:
    engine: Engine = TinyTape()
    result = gradcheck(lambda x: engine.apply("mul", x, x), (np.array([1.0, -2.0]),), engine=engine)
    assert result.verdict == "pass", result


@pytest.mark.parametrize("order", [1, 2])
def test_the_reference_engine_is_checked_by_name(order: int) -> None:
    a = reference_engine.tensor(np.random.default_rng(0).standard_normal((3, 3)))
    result = gradcheck(
        lambda a: reference_engine.tanh(a) @ a, (a,), engine="reference", order=order
    )
    assert result.verdict == "pass", result


def test_assert_gradients_raises_with_the_printed_result() -> None:
    wrong = function(torch.sin, lambda g, x: g * x.sin())
    with pytest.raises(AssertionError, match="formula") as caught:
        assert_gradients(wrong, (normal(3),))
    assert isinstance(caught.value, GradientError)
    assert caught.value.result.verdict == "fail"


def test_the_result_is_json() -> None:
    result = gradcheck(torch.sin, normal(3))
    data = json.loads(result.to_json())
    assert (data["schema"], data["verdict"], data["function"]) == (1, "pass", "sin")


def test_the_same_seed_asks_the_same_questions() -> None:
    results = [gradcheck(torch.exp, (normal(5),), seed=3) for _ in range(2)]
    assert results[0].to_json() == results[1].to_json()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((torch.sin, (1.0,)), {}, "no tensor of floats"),
        ((3, (normal(2),)), {}, "not callable"),
        ((torch.sin, (normal(2),)), {"mode": "quick"}, "'directional' or 'full'"),
        ((torch.sin, (normal(2),)), {"order": 3}, "expected 1 or 2"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        gradcheck(*arguments, **options)


def test_inputs_may_be_nested_and_constant() -> None:
    index = torch.tensor([2, 0])
    x, y = normal(3, 2), normal(3, 2, seed=1)
    result = gradcheck(lambda xs, i: torch.stack(xs).index_select(1, i), ([x, y], index))
    assert result.verdict == "pass", result
