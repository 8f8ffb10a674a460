"""Tensors where an operation takes numbers, and ``out=``: as in torch."""

from __future__ import annotations

from typing import Any

from tests.reference_engine.outcome import Scenarios, assert_as_in_torch

scenario = Scenarios()


@scenario
def a_0d_tensor_is_a_number(lib: Any) -> Any:
    x, two = lib.tensor([1.0, 2.0, 3.0]), lib.tensor(2.0)
    return (
        lib.add(x, x, alpha=two),
        lib.nn.functional.leaky_relu(-x, two),
        lib.addcmul(x, x, x, value=two),
        lib.sum(x, dim=lib.tensor(0)),
        lib.full((2,), two),
    )


@scenario
def one_that_requires_grad_is_refused(lib: Any) -> Any:
    x = lib.ones(3)
    lib.add(x, x, alpha=lib.tensor(2.0, requires_grad=True))


@scenario
def one_that_requires_grad_is_refused_by_a_composite(lib: Any) -> Any:
    lib.nn.functional.softplus(lib.ones(3), beta=lib.tensor(2.0, requires_grad=True))


@scenario
def one_with_dimensions_is_refused(lib: Any) -> Any:
    x = lib.ones(3)
    lib.add(x, x, alpha=x)


@scenario
def full_of_a_tensor_that_requires_grad(lib: Any) -> Any:
    lib.full((2,), lib.tensor(2.0, requires_grad=True))


@scenario
def an_input_may_be_a_tensor_that_requires_grad(lib: Any) -> Any:
    low = lib.tensor(2.0, requires_grad=True)
    y = lib.clamp(lib.tensor([1.0, 3.0]), min=low)
    y.sum().backward()
    return y, low.grad


def _into(lib: Any, out: Any, **options: Any) -> Any:
    returned = lib.add(lib.ones(3, **options), lib.ones(3), out=out)
    return returned is out, out, out._version


@scenario
def out_is_written_and_returned(lib: Any) -> Any:
    return _into(lib, lib.zeros(3)), _into(lib, lib.zeros(3, dtype=lib.float64))


@scenario
def out_of_another_shape_is_resized_with_a_warning(lib: Any) -> Any:
    return _into(lib, lib.zeros(2))[:2]


@scenario
def an_empty_out_is_resized(lib: Any) -> Any:
    return _into(lib, lib.zeros(0))[:2]


@scenario
def out_of_a_lesser_dtype(lib: Any) -> Any:
    _into(lib, lib.zeros(3, dtype=lib.int64))


@scenario
def out_that_requires_grad(lib: Any) -> Any:
    _into(lib, lib.zeros(3, requires_grad=True))


@scenario
def out_in_no_grad(lib: Any) -> Any:
    with lib.no_grad():
        return _into(lib, lib.zeros(3), requires_grad=True)


@scenario
def out_of_an_op_with_two_outputs(lib: Any) -> Any:
    out = lib.zeros(()), lib.zeros((), dtype=lib.int64)
    lib.max(lib.tensor([1.0, 3.0]), 0, out=out)
    return out


@scenario
def no_out(lib: Any) -> Any:
    return lib.sin(lib.ones(2), out=None)


@scenario.each()
def test_as_in_torch(scenario: Any, engine: Any) -> None:
    assert_as_in_torch(scenario, engine)
