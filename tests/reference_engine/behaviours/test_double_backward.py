"""Second and higher derivatives."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting


def test_the_gradient_of_a_gradient_penalty(torch: Any) -> None:
    x, w = counting(torch, 3), torch.full((3,), 2.0, requires_grad=True)
    y = (w * x**2).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (y + (g**2).sum()).backward()
    # d/dw of 4 w² x² and d/dx of it, beside those of y
    assert_values(w.grad, [1.0 + 16.0, 4.0 + 64.0, 9.0 + 144.0])
    assert_values(x.grad, [4.0 + 32.0, 8.0 + 64.0, 12.0 + 96.0])


def test_derivatives_to_the_fifth_order(torch: Any) -> None:
    x = torch.tensor(2.0, requires_grad=True)
    y = x**5
    found = []
    for _ in range(5):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        found.append(y.item())
    assert found == [80.0, 160.0, 240.0, 240.0, 120.0]


def test_a_second_derivative_by_the_cotangent_is_the_jacobian_vector_product(torch: Any) -> None:
    x = counting(torch, 2)
    v = torch.ones(2, requires_grad=True)
    (g,) = torch.autograd.grad(x**3, x, v, create_graph=True)
    (jvp,) = torch.autograd.grad(g, v, torch.tensor([1.0, 10.0]))
    assert_values(jvp, [3.0, 120.0])


def test_a_gradient_that_is_constant_has_no_further_history(torch: Any) -> None:
    x = counting(torch, 2)
    (g,) = torch.autograd.grad((x * 3).sum(), x, create_graph=True)
    assert_values(g, [3.0, 3.0])
    zero = torch.autograd.grad((g * x).sum(), x, create_graph=True)[0]
    assert_values(zero, [3.0, 3.0])


def test_a_hessian_by_rows_is_symmetric(torch: Any) -> None:
    x = counting(torch, 3)
    y = (x.exp() * x.flip(0) ** 2).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    rows = [torch.autograd.grad(g[i], x, retain_graph=True)[0] for i in range(3)]
    hessian = torch.stack(rows)
    assert_values(hessian, hessian.t())
    assert hessian[0, 2].item() != 0


PIECEWISE = {
    "relu": {}, "leaky_relu": {}, "hardtanh": {}, "relu6": {}, "hardshrink": {}, "softshrink": {},
    "threshold": {"threshold": 0.5, "value": 2.0},
}  # fmt: skip


@pytest.mark.parametrize("name", PIECEWISE)
def test_the_gradient_of_a_piecewise_linear_activation_is_a_function_whose_slope_is_zero(
    torch: Any, name: str
) -> None:
    x = counting(torch, 2)
    y = getattr(torch.nn.functional, name)(x, **PIECEWISE[name])
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert g.requires_grad
    g.sum().backward()
    assert_values(x.grad, [0.0, 0.0])
