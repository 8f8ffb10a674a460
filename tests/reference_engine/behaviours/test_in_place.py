"""In-place writes: to leaves, to saved values, through views that cannot follow."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import (
    assert_values,
    counting,
    node_names,
    standing,
)


@pytest.mark.parametrize("write", ["add_", "__setitem__", "view", "zero_", "copy_"])
def test_a_leaf_that_requires_grad_cannot_be_written(torch: Any, write: str) -> None:
    x = counting(torch, 2)
    with pytest.raises(RuntimeError):
        {
            "add_": lambda: x.add_(1),
            "__setitem__": lambda: x.__setitem__(0, 1.0),
            "view": lambda: x[:1].mul_(2),
            "zero_": lambda: x.zero_(),
            "copy_": lambda: x.copy_(torch.ones(2)),
        }[write]()
    assert_values(x, [1.0, 2.0])
    assert x._version == 0


def test_a_plain_leaf_becomes_a_result_when_tracked_values_are_added(torch: Any) -> None:
    x, a = counting(torch, 2), torch.ones(2)
    a += x
    assert standing(a) == (True, False, True)
    with pytest.raises(RuntimeError):
        a.requires_grad_(False)
    a.sum().backward()
    assert_values(x.grad, [1.0, 1.0])


def test_a_plain_leaf_that_is_written_before_it_requires_grad_is_fine(torch: Any) -> None:
    x = torch.ones(2)
    v = x[:1]
    v.add_(4)
    x.requires_grad_()
    (x * x).sum().backward()
    assert_values(x.grad, [10.0, 2.0])


def test_a_view_of_a_leaf_that_came_to_require_grad_cannot_be_written(torch: Any) -> None:
    x = torch.ones(2)
    v = x[:1]
    x.requires_grad_()
    with pytest.raises(RuntimeError):
        v.add_(1)
    with torch.no_grad():
        v.add_(1)
    assert_values(x, [2.0, 1.0])


@pytest.mark.parametrize("split", ["unbind", "split", "chunk", "split_with_sizes"])
def test_one_of_several_views_from_one_call_cannot_be_written(torch: Any, split: str) -> None:
    y = counting(torch, 4) * 1
    parts = {
        "unbind": lambda: y.unbind(),
        "split": lambda: y.split(2),
        "chunk": lambda: y.chunk(2),
        "split_with_sizes": lambda: y.split([1, 3]),
    }[split]()
    with pytest.raises(RuntimeError):
        parts[0].mul_(2)
    assert_values(y, [1.0, 2.0, 3.0, 4.0])
    with torch.no_grad():
        parts[0].mul_(2)
    assert y._version == 1


def test_several_views_of_an_untracked_tensor_can_be_written(torch: Any) -> None:
    y = torch.ones(4)
    a, b = y.chunk(2)
    a.add_(1)
    b.mul_(5)
    assert_values(y, [2.0, 2.0, 5.0, 5.0])


def test_the_history_of_one_of_several_views_is_lost_when_the_base_is_written(torch: Any) -> None:
    y = counting(torch, 4) * 1
    a, _ = y.chunk(2)
    y.mul_(2)
    with pytest.raises(RuntimeError):
        _ = a.grad_fn
    with pytest.raises(RuntimeError):
        a.sum()


def test_a_view_made_in_no_grad_cannot_be_written_with_gradients(torch: Any) -> None:
    y = counting(torch, 2) * 1
    with torch.no_grad():
        v = y[:1]
        deep = v.view(1, 1)
    for view in (v, deep, v.view(1)):
        with pytest.raises(RuntimeError):
            view.mul_(2)
    assert y._version == 0


def test_a_view_made_in_no_grad_gets_no_gradient_and_says_so(torch: Any) -> None:
    y = counting(torch, 2) * 1
    with torch.no_grad():
        v = y[:1]
    assert v.requires_grad
    assert v.grad_fn is None
    assert v.is_leaf


def test_a_view_made_in_no_grad_of_a_plain_leaf_can_be_written_with_tracked_values(
    torch: Any,
) -> None:
    y = torch.zeros(2)
    with torch.no_grad():
        v = y[:1]
    with pytest.raises(RuntimeError):
        v.copy_(counting(torch, 1))
    v.add_(1)
    assert_values(y, [1.0, 0.0])


def test_the_saved_input_of_an_operation_must_not_be_written(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    z = y.sin()
    y.add_(1)
    with pytest.raises(RuntimeError):
        z.sum().backward()
    assert x.grad is None


def test_the_saved_output_of_an_operation_must_not_be_written(torch: Any) -> None:
    x = counting(torch, 2)
    for function, fails in ((torch.exp, True), (torch.tanh, True), (torch.sin, False)):
        z = function(x)
        z.mul_(2)
        if fails:
            with pytest.raises(RuntimeError):
                z.sum().backward()
        else:
            z.sum().backward()
    assert_values(x.grad, 2 * x.detach().cos())


def test_a_write_through_a_view_also_invalidates_what_the_base_saved(torch: Any) -> None:
    x = counting(torch, 4)
    y = x * 1
    z = y[:2] ** 2
    y[3] = 0.0
    with pytest.raises(RuntimeError):
        z.sum().backward()


def test_an_in_place_operation_that_saves_its_output_can_follow_another_write(torch: Any) -> None:
    x = counting(torch, 3)
    y = x * 1
    y.mul_(2)
    y[1:].exp_()
    y.sum().backward()
    expected = 2 * (2 * x.detach()).exp()
    expected[0] = 2.0
    assert_values(x.grad, expected)


def test_in_place_results_are_the_tensor_itself_with_a_new_node(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    before = y.grad_fn
    assert y.add_(1) is y
    assert y.grad_fn is not before
    assert node_names(y) == ["AddBackward0", "MulBackward0", "AccumulateGrad"]


def test_in_place_results_must_keep_shape_and_dtype(torch: Any) -> None:
    x = torch.ones(2)
    with pytest.raises(RuntimeError):
        x.add_(torch.ones(3, 2))
    with pytest.raises(RuntimeError):
        torch.ones(2, dtype=torch.int64).add_(1.5)
    with pytest.raises(RuntimeError):
        x.mul_(1j)
    assert x._version == 0


def test_in_place_broadcasts_the_other_operand_and_sums_its_gradient(torch: Any) -> None:
    x, w = counting(torch, 2, 3), counting(torch, 3)
    y = x * 1
    y.mul_(w)
    y.sum().backward()
    assert_values(w.grad, [5.0, 7.0, 9.0])
    assert_values(x.grad, [[1.0, 2.0, 3.0]] * 2)


def test_memory_where_several_elements_are_one_cannot_be_written(torch: Any) -> None:
    for make in (
        lambda: torch.ones(1).expand(3),
        lambda: (counting(torch, 2, 1) * 1).expand(2, 3),
    ):
        y = make()
        with pytest.raises(RuntimeError):
            y.add_(1)
        with pytest.raises(RuntimeError):
            y.copy_(torch.zeros(y.shape))
    z = torch.ones(1)
    z.expand(3).zero_()
    assert_values(z, [0.0])


def test_a_write_under_no_grad_keeps_the_old_history(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 3
    node = y.grad_fn
    with torch.no_grad():
        y.add_(100)
    assert y.grad_fn is node
    assert_values(y, [103.0, 106.0])
    y.sum().backward()
    assert_values(x.grad, [3.0, 3.0])


def test_views_of_complex_tensors_carry_writes_to_their_parts(torch: Any) -> None:
    x = counting(torch, 2)
    z = torch.complex(x * 1, x * 2)
    z.real.mul_(10)
    torch.view_as_real(z)[..., 1].mul_(5)
    assert_values(z, [10 + 10j, 20 + 20j])
    (z.real + z.imag).sum().backward()
    assert_values(x.grad, [20.0, 20.0])


def test_a_view_that_requires_grad_by_itself_is_a_leaf(torch: Any) -> None:
    base = torch.arange(4, dtype=torch.float64)
    v = base[:2]
    v.requires_grad_()
    assert standing(v) == (True, True, False)
    assert not base.requires_grad
    (v * 3).sum().backward()
    assert_values(v.grad, [3.0, 3.0])
    with pytest.raises(RuntimeError):
        v.add_(1)


def test_writing_one_tensor_over_itself_through_views(torch: Any) -> None:
    x = counting(torch, 4)
    y = x * 1
    y[:2].copy_(y[2:] * 2)
    assert_values(y, [6.0, 8.0, 3.0, 4.0])
    y.sum().backward()
    assert_values(x.grad, [0.0, 0.0, 3.0, 3.0])


def test_a_second_derivative_goes_through_a_write_into_a_view(torch: Any) -> None:
    x = counting(torch, 3)
    y = x**2
    y[1:].mul_(x[1:])
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert_values(g, [2.0, 12.0, 27.0])
    (h,) = torch.autograd.grad(g.sum(), x)
    assert_values(h, [2.0, 12.0, 18.0])


def test_increment_version_makes_backward_refuse(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    z = y.exp() * y
    torch.autograd.graph.increment_version(y)
    assert y._version == 1
    with pytest.raises(RuntimeError):
        z.sum().backward()


def test_swapping_views_in_and_out_of_one_buffer_keeps_each_gradient(torch: Any) -> None:
    xs = [torch.tensor(float(i), requires_grad=True) for i in range(3)]
    buffer = torch.zeros(3)
    total = torch.zeros(())
    for i, x in enumerate(xs):
        buffer[i] = x * (i + 1)
        total = total + buffer.sum()
    total.backward()
    assert [x.grad.item() for x in xs] == [3.0, 4.0, 3.0]


def test_a_write_of_what_has_no_derivative_leaves_no_gradient_of_the_value_before(
    torch: Any,
) -> None:
    # PyTorch says so in backward, the reference engine gives the derivative: zero
    x = counting(torch, 2)
    for part in (slice(None), slice(1)):
        y = x * 1
        y[part].floor_divide_(0.3)
        try:
            (g,) = torch.autograd.grad(y.sum(), x)
        except RuntimeError:
            continue
        assert_values(g, [0.0, 0.0 if part == slice(None) else 1.0])
    with torch.autograd.forward_ad.dual_level():
        d = torch.autograd.forward_ad.make_dual(x.detach(), torch.ones(2)) * 1
        try:
            d.floor_divide_(0.3)
        except NotImplementedError:
            return
        assert_values(torch.autograd.forward_ad.unpack_dual(d).tangent, [0.0, 0.0])


def test_views_of_leaves_do_not_take_another_shape_in_place(torch: Any) -> None:
    for reshape in (
        lambda v: v.t_(),
        lambda v: v.squeeze_(0),
        lambda v: v.unsqueeze_(0),
        lambda v: v.transpose_(0, 1),
    ):
        leaf = counting(torch, 2, 2)
        made_leaf = torch.zeros(2, 2)[:1].requires_grad_()
        for view in (leaf[:1], leaf, made_leaf):
            with pytest.raises(RuntimeError):
                reshape(view)
            assert view.shape in ((1, 2), (2, 2))
