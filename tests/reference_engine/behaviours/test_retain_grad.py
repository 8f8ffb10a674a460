"""retain_grad: gradients of results that stay."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting


def test_a_result_that_retains_its_gradient_holds_it_like_a_leaf(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 3
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad
    (y**2).sum().backward()
    assert_values(y.grad, [6.0, 12.0])
    assert not y.is_leaf


def test_retaining_twice_is_the_same_as_once_and_runs_add_up(torch: Any) -> None:
    y = counting(torch, 2) * 3
    y.retain_grad()
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert_values(y.grad, [2.0, 2.0])


def test_a_leaf_ignores_it_and_an_untracked_tensor_refuses(torch: Any) -> None:
    x = counting(torch, 2)
    x.retain_grad()
    assert not x.retains_grad
    with pytest.raises(RuntimeError):
        torch.ones(2).retain_grad()


def test_it_follows_the_tensor_through_in_place_writes(torch: Any) -> None:
    y = counting(torch, 2) * 1
    y.retain_grad()
    y.mul_(10)
    assert y.retains_grad
    (y * 2).sum().backward()
    assert_values(y.grad, [2.0, 2.0])


def test_it_follows_a_base_whose_view_is_written(torch: Any) -> None:
    y = counting(torch, 3) * 1
    y.retain_grad()
    y[:1].mul_(10)
    (y * 2).sum().backward()
    assert_values(y.grad, [2.0, 2.0, 2.0])


def test_it_follows_a_view_whose_base_is_written(torch: Any) -> None:
    y = counting(torch, 3) * 1
    v = y[1:]
    v.retain_grad()
    y.mul_(10)
    (v * 2).sum().backward()
    assert v.retains_grad
    assert_values(v.grad, [2.0, 2.0])


def test_a_view_written_into_retains_the_gradient_of_its_latest_value_alone(torch: Any) -> None:
    y = counting(torch, 3) * 1
    v = y[1:]
    before = v + v
    v.retain_grad()
    v.add_(2)
    before.sum().backward()
    assert v.grad is None


def test_the_leaf_it_started_as_can_become_a_result_that_retains(torch: Any) -> None:
    a, x = torch.ones(2), counting(torch, 2)
    a.add_(x)
    a.retain_grad()
    (a * 4).sum().backward()
    assert_values(a.grad, [4.0, 4.0])
    assert_values(x.grad, [4.0, 4.0])


def test_detaching_in_place_ends_it(torch: Any) -> None:
    y = counting(torch, 2) * 1
    y.retain_grad()
    y.detach_()
    assert y.grad is None
    (y.requires_grad_() * 2).sum().backward()
    assert_values(y.grad, [2.0, 2.0])
    # PyTorch forgets to take the flag back; nothing follows from it
    assert y.retains_grad is (torch.__name__ == "torch")


def test_it_also_fills_in_a_run_of_grad(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    z = y * 2
    z.retain_grad()
    y.retain_grad()
    torch.autograd.grad(z.sum(), y)
    assert_values(z.grad, [1.0, 1.0])
    assert_values(y.grad, [2.0, 2.0])
    assert x.grad is None
