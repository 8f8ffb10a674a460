"""What ``.grad`` is: when it is made, kept or replaced, and its dtype and memory."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, warns


def test_a_second_backward_adds_in_place_to_the_same_object(torch: Any) -> None:
    x = counting(torch, 2)
    (x * 2).sum().backward()
    first, version = x.grad, x.grad._version
    (x * 3).sum().backward()
    assert x.grad is first
    assert first._version == version + 1
    assert_values(first, [5.0, 5.0])


def test_a_gradient_set_to_none_starts_again_from_nothing(torch: Any) -> None:
    x = counting(torch, 2)
    (x * 2).sum().backward()
    first = x.grad
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad is not first
    assert_values(first, [2.0, 2.0])
    assert_values(x.grad, [3.0, 3.0])


def test_create_graph_replaces_dot_grad_instead_of_writing_into_it(torch: Any) -> None:
    x = counting(torch, 2)
    (x**2).sum().backward()
    first = x.grad
    with warns():
        (x**2).sum().backward(create_graph=True)
    assert x.grad is not first
    assert x.grad.requires_grad
    assert_values(first, [2.0, 4.0])
    assert_values(x.grad, [4.0, 8.0])
    x.grad = None


def test_a_gradient_assigned_by_the_user_is_accumulated_into(torch: Any) -> None:
    x = counting(torch, 2)
    mine = torch.full((2,), 10.0)
    x.grad = mine
    (x * 2).sum().backward()
    assert x.grad is mine
    assert_values(mine, [12.0, 12.0])


def test_dot_grad_never_shares_memory_with_what_another_leaf_got(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    v = torch.ones(2)
    (x + y).backward(v)
    x.grad.add_(5)
    assert_values(y.grad, [1.0, 1.0])
    assert_values(v, [1.0, 1.0])


def test_an_expanded_gradient_becomes_memory_of_its_own(torch: Any) -> None:
    x = counting(torch, 3)
    x.sum().backward()
    assert x.grad.stride() == (1,)
    x.grad[0] = 7.0
    assert_values(x.grad, [7.0, 1.0, 1.0])


def test_the_gradient_has_the_leafs_dtype_whatever_came_of_it(torch: Any) -> None:
    x = torch.ones(2, dtype=torch.float32, requires_grad=True)
    half = torch.ones(2, dtype=torch.float16, requires_grad=True)
    (x.double() * 2 + half * 3).sum().backward()
    assert x.grad.dtype is torch.float32
    assert half.grad.dtype is torch.float16
    assert_values(x.grad, [2.0, 2.0])


def test_a_real_leaf_of_a_complex_result_gets_a_real_gradient(torch: Any) -> None:
    x = counting(torch, 2)
    z = x * (2 + 3j)
    z.backward(torch.full((2,), 1 + 1j))
    assert x.grad.dtype is torch.float64
    assert_values(x.grad, [5.0, 5.0])


def test_grad_dtype_decides_what_the_gradient_is_cast_to(torch: Any) -> None:
    x = torch.ones(2, dtype=torch.float32, requires_grad=True)
    assert x.grad_dtype is torch.float32
    x.grad_dtype = torch.float64
    (x * 2).sum().backward()
    assert x.grad.dtype is torch.float64
    (x * 2).sum().backward()
    assert_values(x.grad, [4.0, 4.0])
    with pytest.raises(RuntimeError):
        x.grad_dtype = torch.float32


def test_a_grad_dtype_of_none_takes_gradients_as_they_come(torch: Any) -> None:
    x = torch.ones(2, dtype=torch.float32, requires_grad=True)
    x.grad_dtype = None
    x.grad = torch.ones(2, dtype=torch.float64)
    assert x.grad.dtype is torch.float64
    x.grad = None
    x.backward(torch.ones(2, dtype=torch.float32))
    assert x.grad.dtype is torch.float32


@pytest.mark.parametrize("what", ["dtype", "shape", "itself", "kind"])
def test_an_unfit_dot_grad_is_refused_and_the_old_one_stays(torch: Any, what: str) -> None:
    x = counting(torch, 2)
    old = x.grad = torch.ones(2)
    unfit = {
        "dtype": torch.ones(2, dtype=torch.float32),
        "shape": torch.ones(2, 1),
        "itself": x,
        "kind": 1.0,
    }[what]
    with pytest.raises(TypeError if what == "kind" else RuntimeError):
        x.grad = unfit
    assert x.grad is old
    del x.grad
    assert x.grad is None


def test_undefined_gradients_leave_dot_grad_undefined(torch: Any) -> None:
    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x + y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return None, g

    x, y = counting(torch, 2), counting(torch, 2)
    Nothing.apply(x * 2, y).sum().backward()
    assert x.grad is None
    assert_values(y.grad, [1.0, 1.0])


def test_a_gradient_with_several_elements_in_one_place_cannot_be_added_to(torch: Any) -> None:
    x = counting(torch, 2)
    x.grad = torch.ones(1).expand(2)
    with pytest.raises(RuntimeError):
        (x * x).sum().backward()
    assert_values(x.grad, [1.0, 1.0])


def test_a_tracked_dot_grad_is_written_without_being_recorded(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    x.grad = w * 2
    node = x.grad.grad_fn
    (x * 3).sum().backward()
    assert x.grad.grad_fn is node
    assert_values(x.grad, [5.0, 7.0])


def test_a_first_gradient_has_the_memory_layout_of_its_leaf(torch: Any) -> None:
    dense = [counting(torch, 2, 3).detach().t(), counting(torch, 2, 3, 4).detach().permute(2, 0, 1)]
    for values in dense:
        for cotangent in (
            torch.ones(values.shape),
            torch.ones(values.shape[::-1]).permute(*reversed(range(values.ndim))),
        ):
            x = values.detach().requires_grad_()
            (x * x).backward(cotangent)
            assert x.grad.stride() == x.stride() != torch.ones(x.shape).stride()
            assert_values(x.grad, (x * 2).detach())
            (x * x).backward(cotangent)
            assert x.grad.stride() == x.stride()
            assert_values(x.grad, (x * 4).detach())
    with_gaps = counting(torch, 2, 6).detach()[:, ::2].requires_grad_()
    overlapping = counting(torch, 3).detach().expand(2, 3).requires_grad_()
    for x in (with_gaps, overlapping):
        (x * x).sum().backward()
        assert x.grad.stride() == (3, 1)
