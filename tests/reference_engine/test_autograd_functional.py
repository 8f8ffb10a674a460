"""``autograd.functional`` against PyTorch's: values, structures, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch as pytorch

from tests.reference_engine.outcome import assert_same, outcome
from tests.reference_engine.test_func import requires, scalar, vector

CASES: dict[str, Callable[[Any], Any]] = {}


def table(group: str, **cases: Callable[[Any], Any]) -> None:
    """Adds scenarios of one group."""
    for name, scenario in cases.items():
        CASES[f"{group}-{name}"] = scenario


def functional(t: Any) -> Any:
    return t.autograd.functional


def square(x: Any) -> Any:
    return x**2


def two(x: Any, y: Any) -> Any:
    """Two inputs, two outputs."""
    return x.sin() * y, (x * y).sum()


def cubes(x: Any, y: Any) -> Any:
    """A curved scalar of two inputs."""
    return (x**3).sum() * y.sin().sum()


def traced(values: Any) -> Any:
    """The values, and whether each requires grad."""
    if isinstance(values, (tuple, list)):
        return [traced(v) for v in values]
    return requires(values)


def case(name: str, *args: Any, trace: bool = False, **options: Any) -> Callable[[Any], Any]:
    """A call of ``functional.name``; arguments that are functions of the library are called."""

    def scenario(t: Any) -> Any:
        made = [
            a(t) if a in (scalar, vector, tracked, both, both_tracked, ones) else a for a in args
        ]
        result = getattr(functional(t), name)(*made, **options)
        return traced(result) if trace else result

    return scenario


def tracked(t: Any) -> Any:
    return vector(t, True)


def both(t: Any) -> Any:
    return vector(t), scalar(t)


def both_tracked(t: Any) -> Any:
    return vector(t, True), scalar(t, True)


def ones(t: Any) -> Any:
    return t.ones(2, dtype=t.float64)


for product in ("vjp", "jvp"):
    table(
        product,
        vector=case(product, square, vector, vector),
        tuples=case(product, lambda x, y: x * y, both, vector if product == "vjp" else both),
        scalar_without_v=case(product, square, scalar),
        vector_without_v=case(product, square, vector),
        untracked=case(product, square, tracked, vector, trace=True),
        create_graph=case(product, square, tracked, vector, create_graph=True, trace=True),
        create_graph_of_untracked=case(
            product, square, vector, vector, create_graph=True, trace=True
        ),
        v_of_other_shape=case(product, square, vector, ones),
        v_of_other_length=case(product, square, vector, both),
        number_as_input=case(product, square, 2.0, scalar),
        number_as_output=case(product, lambda x: 2.0, scalar, scalar),
        integers=case(product, square, 3),
    )  # fmt: skip
for strict in (False, True):
    table(
        f"strict={strict}",
        vjp=case("vjp", lambda x, y: x**2, both, vector, strict=strict),
        vjp_tracked=case("vjp", square, tracked, vector, strict=strict, create_graph=True),
        jvp_linear=case("jvp", lambda x: x * 2, vector, vector, strict=strict),
        jvp_linear_graph=case(
            "jvp", lambda x: x * 2, tracked, vector, strict=strict, create_graph=True
        ),
        jvp_unused=case("jvp", lambda x, y: x**2, both, both, strict=strict),
        jvp_of_two=case("jvp", two, both, both, strict=strict),
        jacobian=case("jacobian", lambda x, y: x**2, both, strict=strict),
        jacobian_linear=case("jacobian", lambda x: x * 2, vector, strict=strict),
        jacobian_linear_graph=case(
            "jacobian", lambda x: x * 2, tracked, strict=strict, create_graph=True
        ),
        hessian_linear=case("hessian", lambda x: x.sum(), vector, strict=strict),
        hvp_linear=case("hvp", lambda x: x.sum(), vector, vector, strict=strict),
        vhp_linear=case("vhp", lambda x: x.sum(), vector, vector, strict=strict),
        vhp_unused=case("vhp", lambda x, y: (x**3).sum(), both, both, strict=strict),
    )
    for name in ("vjp", "jvp", "jacobian"):
        more = () if name == "jacobian" else ((ones,) if name == "vjp" else (vector,))
        CASES[f"strict={strict}-constant_{name}"] = case(
            name, lambda x: x.detach()[:2], vector, *more, strict=strict
        )

for name in ("hvp", "vhp"):
    table(
        name,
        vector=case(name, lambda x: (x**3).sum(), vector, vector),
        tuples=case(name, cubes, both, both),
        scalar_without_v=case(name, lambda x: x**3, scalar),
        vector_without_v=case(name, lambda x: (x**3).sum(), vector),
        create_graph=case(
            name, lambda x: (x**3).sum(), tracked, vector, create_graph=True, trace=True
        ),
        untracked=case(name, lambda x: (x**3).sum(), tracked, vector, trace=True),
        vector_output=case(name, square, vector, vector),
        tuple_output=case(name, lambda x: (x.sum(), x.sum()), vector, vector),
    )
for how in ({}, {"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}):
    table(
        f"jacobian{how}",
        vector=case("jacobian", square, vector, **how),
        scalar=case("jacobian", square, scalar, **how),
        tuples=case("jacobian", two, both, **how),
        tuple_of_one=case("jacobian", lambda x: (x**2,), vector, **how),
        constant=case("jacobian", lambda x: x.detach()[:2], vector, **how),
        untracked=case("jacobian", square, tracked, trace=True, **how),
        number_as_output=case("jacobian", lambda x: 2.0, vector, **how),
        create_graph=case("jacobian", square, tracked, create_graph=True, trace=True, **how),
        with_strict=case("jacobian", square, vector, strict=True, **how),
        with_strict_and_a_graph=case(
            "jacobian", square, vector, strict=True, create_graph=True, **how
        ),
        lists=case("jacobian", lambda x: [x], vector, **how),
        captured=lambda t, how=how: (
            lambda w: traced(functional(t).jacobian(lambda x: x * w, vector(t), **how))
        )(scalar(t, True)),
    )
table(
    "jacobian",
    complex_output=case("jacobian", lambda x: x * (1 + 2j), vector),
    complex_output_at_once=case("jacobian", lambda x: x * (1 + 2j), vector, vectorize=True),
    of_other_strategies_strictly=case(
        "jacobian", square, vector, strategy="forward-mode", strict=True
    ),
    of_nothing_in_inference_mode=lambda t: t.inference_mode()(functional(t).jacobian)(
        square, vector(t)
    ),
    a_gradient_through_one=lambda t: (
        lambda x: (
            functional(t).jacobian(lambda y: y**3, x, create_graph=True).sum().backward(),
            x.grad,
        )
    )(vector(t, True)),
    forward_without_vectorize=case("jacobian", square, vector, strategy="forward-mode"),
    of_a_jacobian=lambda t: functional(t).jacobian(
        lambda x: functional(t).jacobian(lambda y: y**3, x, create_graph=True), vector(t)
    ),
    in_no_grad=lambda t: t.no_grad()(functional(t).jacobian)(square, vector(t)),
    leaves_grad_alone=lambda t: (lambda x: (functional(t).jacobian(square, x), x.grad is None))(
        vector(t, True)
    ),
)
for how in ({}, {"vectorize": True}):
    table(
        f"hessian{how}",
        vector=case("hessian", lambda x: (x**3).sum(), vector, **how),
        tuples=case("hessian", cubes, both, **how),
        one_element=case("hessian", lambda x: (x**3).sum().reshape(1, 1), vector, **how),
        vector_output=case("hessian", square, vector, **how),
        tuple_output=case("hessian", lambda x: (x.sum(), x.sum()), vector, **how),
        number_output=case("hessian", lambda x: 2.0, vector, **how),
        constant=case("hessian", lambda x: x.detach().sum(), vector, **how),
        untracked=case("hessian", lambda x: (x**3).sum(), tracked, trace=True, **how),
        create_graph=case(
            "hessian", lambda x: (x**3).sum(), tracked, create_graph=True, trace=True, **how
        ),
    )
CASES["hessian-forward_outside"] = case(
    "hessian", cubes, both, vectorize=True, outer_jacobian_strategy="forward-mode"
)


def cautious(t: Any) -> Any:
    """A square whose backward looks at the numbers that it is given."""

    class Square(t.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2 * ctx.saved_tensors[0] if float(g.sum()) else g * 0

    return Square.apply


table(
    "a_backward_that_looks_at_numbers",
    one_by_one=lambda t: functional(t).jacobian(cautious(t), vector(t)),
    at_once=lambda t: functional(t).jacobian(cautious(t), vector(t), vectorize=True),
)


@pytest.mark.parametrize("name", CASES)
def test_a_product_comes_to_what_it_does_in_torch(engine: Any, name: str) -> None:
    # torch's forward mode warns of its own compiler
    expected = replace(outcome(CASES[name], pytorch), warned=())
    assert_same(expected, outcome(CASES[name], engine))


def test_a_strategy_that_is_none_is_refused(engine: Any) -> None:
    with pytest.raises(AssertionError, match="sideways"):
        engine.autograd.functional.jacobian(square, vector(engine), strategy="sideways")
