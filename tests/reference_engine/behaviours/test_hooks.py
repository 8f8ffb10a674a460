"""Hooks of tensors, leaves, nodes and groups of tensors: when, in what order, with what effect."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting


def test_a_tensor_hook_sees_the_whole_gradient_once(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 3 + y * 4).sum().backward()
    assert seen == [[7.0, 7.0]]


def test_what_a_tensor_hook_returns_replaces_the_gradient(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    assert_values(x.grad, [20.0, 20.0])


def test_hooks_of_one_tensor_run_in_the_order_of_registration(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    y.register_hook(lambda g: g + 1)
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: None)
    y.sum().backward()
    assert_values(x.grad, [20.0, 20.0])


def test_a_hook_is_removed_by_its_handle_twice_without_harm(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    calls = []
    handle = y.register_hook(lambda g: calls.append(1))
    y.sum().backward(retain_graph=True)
    handle.remove()
    handle.remove()
    y.sum().backward()
    assert calls == [1]


def test_a_handle_is_a_context_manager(torch: Any) -> None:
    x = counting(torch, 2)
    calls = []
    with x.register_hook(lambda g: calls.append(1)):
        (x * 2).sum().backward()
    (x * 2).sum().backward()
    assert calls == [1]


def test_a_leaf_hook_runs_before_accumulation_and_changes_it(torch: Any) -> None:
    x = counting(torch, 2)
    seen = []

    def hook(g: Any) -> Any:
        seen.append(x.grad)
        return g * 5

    x.register_hook(hook)
    (x * 2).sum().backward()
    assert seen == [None]
    assert_values(x.grad, [10.0, 10.0])


def test_a_leaf_hook_outlives_graphs_and_gets_single_gradients(torch: Any) -> None:
    x = counting(torch, 2)
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert seen == [[2.0, 2.0], [3.0, 3.0]]


def test_a_hook_registered_after_the_graph_was_built_still_runs(torch: Any) -> None:
    x = counting(torch, 2)
    y = (x * 2).sum()
    x.register_hook(lambda g: g * 0)
    y.backward()
    assert_values(x.grad, [0.0, 0.0])


def test_a_hook_that_returns_something_unfit_is_refused(torch: Any) -> None:
    unfit: list[tuple[Any, type[Exception]]] = [
        (lambda g: 3, TypeError),
        (lambda g: g.sum(), RuntimeError),
        (lambda g: g.to(torch.float32), RuntimeError),
        (lambda g: g.to(torch.int64), RuntimeError),
        (lambda g: g * 1j, RuntimeError),
    ]
    for answer, error in unfit:
        x = counting(torch, 2)
        for y in (x * 2, x):  # a leaf's .grad would get that dtype
            handle = y.register_hook(answer)
            with pytest.raises(error):
                (y * 1).sum().backward()
            assert x.grad is None
            handle.remove()


def test_hooks_need_a_tensor_that_requires_grad(torch: Any) -> None:
    c = torch.ones(2)
    with pytest.raises(RuntimeError):
        c.register_hook(lambda g: None)
    with torch.no_grad():
        y = counting(torch, 2) * 2
    with pytest.raises(RuntimeError):
        y.register_hook(lambda g: None)


def test_hooks_run_when_grad_asks_for_the_tensor_itself(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    (b,) = torch.autograd.grad(y.sum(), y, retain_graph=True)
    assert_values(b, [10.0, 10.0])
    a, b = torch.autograd.grad(y.sum(), [x, y])
    assert_values(a, [21.0, 21.0])
    # PyTorch captures before the hooks when the run goes on above the tensor, and after them when
    # it stops there; the engine captures after them always
    expected = 1.0 if torch.__name__ == "torch" else 10.0
    assert_values(b, [expected, expected])


def test_a_hook_before_an_in_place_write_belongs_to_the_value_before_it(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    seen = []
    y.register_hook(lambda g: seen.append(("before", g.tolist())))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("after", g.tolist())))
    y.sum().backward()
    assert seen == [("after", [1.0, 1.0]), ("before", [3.0, 3.0])]


def test_a_hook_on_a_view_sees_the_views_gradient_until_the_base_is_written(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    v = y[:1]
    seen = []
    v.register_hook(lambda g: seen.append(g.tolist()))
    (v * 2).sum().backward(retain_graph=True)
    y.mul_(5)
    (v * 7).sum().backward()
    assert seen == [[2.0]]


def test_hooks_under_create_graph_get_and_give_tracked_gradients(torch: Any) -> None:
    x = counting(torch, 2)
    y = x**2
    y.register_hook(lambda g: g * x)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert_values(g, [2.0, 8.0])
    assert_values(torch.autograd.grad(g.sum(), x)[0], [4.0, 8.0])


def test_a_gradient_that_a_hook_keeps_is_not_changed_by_accumulation(torch: Any) -> None:
    x = counting(torch, 2)
    kept = []
    x.register_hook(kept.append)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert [g.tolist() for g in kept] == [[2.0, 2.0], [3.0, 3.0]]


def test_a_post_accumulate_hook_sees_the_leaf_with_its_new_gradient(torch: Any) -> None:
    x = counting(torch, 2)
    seen = []

    def step(leaf: Any) -> None:
        seen.append((leaf is x, leaf.grad.tolist()))
        with torch.no_grad():
            leaf.sub_(leaf.grad)
        leaf.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * 2).sum().backward()
    assert seen == [(True, [2.0, 2.0])]
    assert x.grad is None
    assert_values(x, [-1.0, 0.0])


def test_post_accumulate_hooks_run_after_tensor_hooks_in_order(torch: Any) -> None:
    x = counting(torch, 2)
    order = []
    x.register_post_accumulate_grad_hook(lambda leaf: order.append("after 1"))
    x.register_hook(lambda g: order.append("before"))
    x.register_post_accumulate_grad_hook(lambda leaf: order.append("after 2"))
    (x * 2).sum().backward()
    assert order == ["before", "after 1", "after 2"]


def test_post_accumulate_hooks_run_only_where_something_is_accumulated(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    calls = []
    x.register_post_accumulate_grad_hook(lambda leaf: calls.append("x"))
    y.register_post_accumulate_grad_hook(lambda leaf: calls.append("y"))
    torch.autograd.grad((x * y).sum(), [x, y])
    assert calls == []
    (x * y).sum().backward(inputs=[y])
    assert calls == ["y"]


def test_post_accumulate_hooks_are_for_leaves_and_return_nothing(torch: Any) -> None:
    x = counting(torch, 2)
    for unfit in (x * 2, torch.ones(2)):
        with pytest.raises(RuntimeError):
            unfit.register_post_accumulate_grad_hook(lambda leaf: None)
    handle = x.register_post_accumulate_grad_hook(lambda leaf: leaf.grad * 2)
    with pytest.raises(RuntimeError):
        (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
