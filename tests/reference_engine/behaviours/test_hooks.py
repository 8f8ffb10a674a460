"""Hooks of tensors, leaves, nodes and groups of tensors: when, in what order, with what effect."""

from __future__ import annotations

import gc
import weakref
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
    for answer, error in ((lambda g: 3, TypeError), (lambda g: g.sum(), RuntimeError)):
        x = counting(torch, 2)
        y = x * 2
        y.register_hook(answer)
        with pytest.raises(error):
            y.sum().backward()
        assert x.grad is None


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


def test_a_node_prehook_replaces_the_gradients_that_the_node_gets(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    y.grad_fn.register_prehook(lambda grads: (grads[0] * 10,))
    y.sum().backward()
    assert_values(x.grad, [20.0, 20.0])


def test_a_node_hook_sees_both_sides_and_replaces_what_the_node_gives(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    y = x * w
    seen = []

    def hook(grad_inputs: Any, grad_outputs: Any) -> Any:
        seen.append(([g.tolist() for g in grad_inputs], [g.tolist() for g in grad_outputs]))
        return grad_inputs[0] * 100, grad_inputs[1]

    y.grad_fn.register_hook(hook)
    (y * 3).sum().backward()
    assert seen == [([[3.0, 6.0], [3.0, 6.0]], [[3.0, 3.0]])]
    assert_values(x.grad, [300.0, 600.0])
    assert_values(w.grad, [3.0, 6.0])


def test_a_node_hook_gets_none_for_inputs_without_gradient(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * torch.ones(2)
    seen = []
    y.grad_fn.register_hook(lambda gi, go: seen.append([g is None for g in gi]))
    y.sum().backward()
    assert seen == [[False, True]]


def test_what_node_hooks_return_must_match_in_number(torch: Any) -> None:
    for register in ("register_prehook", "register_hook"):
        x = counting(torch, 2)
        y = x * x
        getattr(y.grad_fn, register)(lambda *args: (args[0][0],) * 5)
        with pytest.raises(RuntimeError):
            y.sum().backward()


def test_the_order_at_one_place_is_tensor_prehook_node_posthook(torch: Any) -> None:
    class Noting(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            order.append("node")
            return g * 2

    order: list[str] = []
    x = counting(torch, 2)
    y = Noting.apply(x)
    y.grad_fn.register_hook(lambda gi, go: order.append("post"))
    y.grad_fn.register_prehook(lambda go: order.append("pre"))
    y.register_hook(lambda g: order.append("tensor"))
    x.register_hook(lambda g: order.append("leaf"))
    y.sum().backward()
    assert order == ["tensor", "pre", "node", "post", "leaf"]


def test_retained_gradients_come_after_the_tensor_hooks_whenever_registered(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    y.register_hook(lambda g: g * 2)
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    y.sum().backward()
    assert_values(y.grad, [10.0, 10.0])


def test_removing_the_own_handle_while_running_is_fine(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    calls = []
    handles: list[Any] = []

    def once(g: Any) -> None:
        calls.append("once")
        handles[0].remove()

    handles.append(y.register_hook(once))
    y.register_hook(lambda g: calls.append("always"))
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert calls == ["once", "always", "always"]


def test_a_multi_grad_hook_waits_for_all_gradients(torch: Any) -> None:
    x, y, unused = counting(torch, 2), counting(torch, 2), counting(torch, 2)
    seen = []
    handle = torch.autograd.graph.register_multi_grad_hook(
        [x, unused, y], lambda grads: seen.append([None if g is None else g.tolist() for g in grads])
    )
    (x * 2 + y * 3).sum().backward()
    assert seen == [[[2.0, 2.0], None, [3.0, 3.0]]]
    (x * 5).sum().backward()
    assert seen[1] == [[5.0, 5.0], None, None]
    handle.remove()
    (x * 2).sum().backward()
    assert len(seen) == 2


def test_a_multi_grad_hook_of_any_runs_at_the_first_gradient_of_each_run(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    seen = []
    torch.autograd.graph.register_multi_grad_hook(
        [x, y], lambda g: seen.append(g.tolist()), mode="any"
    )
    z = x * 2
    (z.exp() * 0 + y * 3).sum().backward()
    assert len(seen) == 1
    (x * 7).sum().backward()
    assert seen[1] == [7.0, 7.0]
    with pytest.raises(ValueError, match="mode"):
        torch.autograd.graph.register_multi_grad_hook([x], lambda g: None, mode="some")


def test_a_multi_grad_hook_is_called_when_some_have_come_and_no_more_will(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    a, b = x * 1, y * 1
    calls = []
    torch.autograd.graph.register_multi_grad_hook(
        [a, b], lambda grads: calls.append([g is None for g in grads])
    )
    torch.autograd.grad((a * b).sum(), x)
    assert calls == [[False, True]]


def test_a_multi_grad_hook_of_leaves_in_a_run_of_grad(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    calls = []
    torch.autograd.graph.register_multi_grad_hook([x, y], lambda grads: calls.append(len(grads)))
    z = (x * y).sum()
    if torch.__name__ == "torch":  # which cannot tell there whether a leaf will be visited
        with pytest.raises(RuntimeError):
            torch.autograd.grad(z, x)
    else:
        torch.autograd.grad(z, x)
        assert calls == [2]


def test_an_exception_in_a_hook_stops_the_run_and_passes(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    y = x * 2

    def fail(g: Any) -> None:
        raise KeyError("hook")

    handle = y.register_hook(fail)
    with pytest.raises(KeyError, match="hook"):
        (y * w).sum().backward()
    handle.remove()
    (y * 1).sum().backward()
    assert_values(x.grad, [2.0, 2.0])


def test_a_hook_dies_with_its_graph(torch: Any) -> None:
    class Noting:
        def __call__(self, g: Any) -> None:
            pass

    hook = Noting()
    gone = weakref.ref(hook)
    x = counting(torch, 2)
    y = x * 2
    y.register_hook(hook)
    y.grad_fn.register_hook(lambda gi, go, hook=hook: None)
    del hook
    assert gone() is not None
    del y
    gc.collect()
    assert gone() is None


def test_a_hook_is_not_called_where_the_run_does_not_come(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    y = x * 2
    calls = []
    y.register_hook(lambda g: calls.append("y"))
    torch.autograd.grad((y * w).sum(), w)
    assert calls == []


def test_a_hook_may_assign_the_gradient_of_another_leaf(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)

    def hook(g: Any) -> None:
        w.grad = g.detach() * 9

    y = x * 1
    y.register_hook(hook)
    y.sum().backward()
    assert_values(w.grad, [9.0, 9.0])
