"""Hooks of nodes and of groups of tensors."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import (
    assert_values,
    counting,
)


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


def test_what_node_hooks_return_is_a_tuple_of_gradients_that_fit(torch: Any) -> None:
    answers: list[tuple[Any, type[Exception]]] = [
        (lambda g: g, TypeError),
        (lambda g: [g], TypeError),
        (lambda g: (g.sum(),), RuntimeError),
        (lambda g: (g.to(torch.float32),), RuntimeError),
    ]
    for answer, error in answers:
        for register in ("register_prehook", "register_hook"):
            x = counting(torch, 2)
            y = x.exp()
            getattr(y.grad_fn, register)(lambda *args, answer=answer: answer(args[0][0]))
            with pytest.raises(error):
                y.sum().backward()
            assert x.grad is None


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
        [x, unused, y],
        lambda grads: seen.append([None if g is None else g.tolist() for g in grads]),
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


def test_hooks_do_not_define_a_gradient_that_is_undefined(torch: Any) -> None:
    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return None

    x = counting(torch, 2)
    ones = torch.ones(2)
    for attach in (
        lambda y, z: y.register_hook(lambda g: ones),
        lambda y, z: y.grad_fn.register_prehook(lambda g: (ones,)),
        lambda y, z: z.grad_fn.register_hook(lambda gi, go: (ones,)),
    ):
        y = x * 2
        z = Nothing.apply(y)
        attach(y, z)
        with pytest.raises(RuntimeError):
            z.sum().backward()
        assert x.grad is None
