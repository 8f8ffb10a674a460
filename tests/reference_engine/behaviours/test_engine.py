"""The run itself: order, re-entrancy, errors, and what one run leaves for the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting
from tests.reference_engine.behaviours.test_function import function


def running(torch: Any, inner: Callable[[Any], Any]) -> Any:
    """A Function whose backward calls ``inner(x)`` on its input, recording, and passes g on."""

    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * 1

    def backward(ctx: Any, g: Any) -> Any:
        with torch.enable_grad():
            result = inner(ctx.saved_tensors[0].detach().requires_grad_())
        return g if result is None else g * result

    return function(torch, forward, backward)


# order ------------------------------------------------------------------------------------------
def test_later_operations_run_before_earlier_ones(torch: Any) -> None:
    x = counting(torch, 2)
    order = []
    a, b, c = x.sin(), x.cos(), x.exp()
    for name, t in (("a", a), ("b", b), ("c", c)):
        t.register_hook(lambda g, name=name: order.append(name))
    (b + (c + a)).sum().backward()
    assert order == ["c", "b", "a"]


def test_a_node_waits_for_every_child(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    long = y
    for _ in range(5):
        long = long * 1
    (long + y * 10 + y.view(1, 2).sum(0)).sum().backward()
    assert seen == [[12.0, 12.0]]


def test_a_leaf_accumulates_as_soon_as_it_is_complete(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    order = []
    w.register_post_accumulate_grad_hook(lambda leaf: order.append("leaf"))
    y = x * 2
    y.register_hook(lambda g: order.append("earlier operation"))
    (y * w).sum().backward()
    assert order[0] in ("leaf", "earlier operation")
    assert sorted(order) == ["earlier operation", "leaf"]


def test_an_output_that_is_no_root_contributes_nothing(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    unused = (y * 1000).sum()
    (y * 3).sum().backward()
    assert_values(x.grad, [6.0, 6.0])
    assert unused.requires_grad


def test_a_part_of_the_graph_can_run_before_the_rest(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    boundary = y.detach().requires_grad_()
    (boundary**2).sum().backward()
    y.backward(boundary.grad)
    assert_values(x.grad, [8.0, 16.0])


def test_two_graphs_over_one_leaf_run_independently(torch: Any) -> None:
    x = counting(torch, 2)
    a, b = x.exp().sum(), x.sin().sum()
    b.backward()
    a.backward()
    assert_values(x.grad, x.detach().exp() + x.detach().cos())


def test_a_graph_can_be_extended_after_part_of_it_ran(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    y.sum().backward(retain_graph=True)
    z = y * y
    z.sum().backward()
    assert_values(x.grad, [10.0, 18.0])


def test_a_graph_freed_at_its_end_fails_only_where_it_is_reached(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.exp()
    y.sum().backward()
    z = y * 2
    boundary = torch.autograd.grad(z.sum(), y)
    assert_values(boundary[0], [2.0, 2.0])
    with pytest.raises(RuntimeError):
        (y * 2).sum().backward()


# re-entrancy ------------------------------------------------------------------------------------
def test_a_backward_may_run_backward_on_another_graph(torch: Any) -> None:
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    x = counting(torch, 2)
    running(torch, lambda t: (w * t).sum().backward()).apply(x).sum().backward()
    assert_values(w.grad, [1.0, 2.0])
    assert_values(x.grad, [1.0, 1.0])


def test_a_backward_may_take_gradients_and_use_them(torch: Any) -> None:
    x = counting(torch, 2)
    inner = running(torch, lambda t: torch.autograd.grad((t**3).sum(), t)[0])
    inner.apply(x).sum().backward()
    assert_values(x.grad, [3.0, 12.0])


def test_backward_nests_deeply(torch: Any) -> None:
    def nested(depth: int) -> Callable[[Any], Any]:
        def inner(t: Any) -> Any:
            if not depth:
                return None
            y = running(torch, nested(depth - 1)).apply(t)
            return torch.autograd.grad(y.sum() * 2, t)[0]

        return inner

    x = counting(torch, 1)
    running(torch, nested(20)).apply(x).sum().backward()
    assert_values(x.grad, [2.0**20])


def test_an_inner_run_into_the_same_leaf_accumulates_first(torch: Any) -> None:
    x = counting(torch, 2)
    seen = []

    def inner(t: Any) -> None:
        (x * 10).sum().backward()
        seen.append(x.grad.tolist())

    running(torch, inner).apply(x).sum().backward()
    assert seen == [[10.0, 10.0]]
    assert_values(x.grad, [11.0, 11.0])


def test_a_hook_may_run_backward(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    y = x * 1

    def hook(g: Any) -> None:
        with torch.enable_grad():
            (w * 3).sum().backward()

    y.register_hook(hook)
    (y * 2).sum().backward()
    assert_values(w.grad, [3.0, 3.0])
    assert_values(x.grad, [2.0, 2.0])


def test_a_hook_may_run_the_graph_that_is_running_when_it_is_retained(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.exp()
    z = y * 2
    seen = []
    v = torch.ones(2)
    z.register_hook(
        lambda g: seen.append(torch.autograd.grad(y, x, v, retain_graph=True)[0].tolist())
    )
    z.sum().backward()
    assert seen == [y.tolist()]
    assert_values(x.grad, 2 * y)


def test_an_error_in_an_inner_run_passes_through_the_outer(torch: Any) -> None:
    def inner(t: Any) -> None:
        t.backward()  # not a scalar

    x = counting(torch, 2)
    y = running(torch, inner).apply(x).sum()
    with pytest.raises(RuntimeError):
        y.backward()
    assert torch.is_grad_enabled()
    assert x.grad is None


def test_an_error_of_an_inner_run_can_be_caught_inside(torch: Any) -> None:
    caught = []

    def inner(t: Any) -> None:
        try:
            t.backward()
        except RuntimeError as error:
            caught.append(error)

    x = counting(torch, 2)
    running(torch, inner).apply(x).sum().backward()
    assert len(caught) == 1
    assert_values(x.grad, [1.0, 1.0])


def test_inner_and_outer_runs_have_their_own_inputs(torch: Any) -> None:
    w = counting(torch, 2)
    x, other = counting(torch, 2), counting(torch, 2)

    def inner(t: Any) -> None:
        (w * other).sum().backward(inputs=[w])

    (running(torch, inner).apply(x) * other).sum().backward(inputs=[x])
    assert_values(w.grad, [1.0, 2.0])
    assert_values(x.grad, [1.0, 2.0])
    assert other.grad is None


def test_the_mode_inside_a_hook_is_that_of_its_run_after_an_inner_one(torch: Any) -> None:
    x = counting(torch, 2)
    seen = []

    def hook(g: Any) -> None:
        with torch.enable_grad():
            z = (x.detach().requires_grad_() ** 2).sum()
            torch.autograd.grad(z, z, create_graph=True)
        seen.append(torch.is_grad_enabled())

    y = x * 1
    y.register_hook(hook)
    y.sum().backward()
    assert seen == [False]


def test_create_graph_outside_does_not_make_inner_runs_create_graphs(torch: Any) -> None:
    seen = []

    def inner(t: Any) -> None:
        seen.append(torch.autograd.grad((t**2).sum(), t)[0].requires_grad)

    x = counting(torch, 2)
    y = running(torch, inner).apply(x).sum()
    torch.autograd.grad(y, x, create_graph=True)
    assert seen == [False]


def test_an_inner_run_creates_graphs_when_it_is_asked_to(torch: Any) -> None:
    x = counting(torch, 2)

    def inner(t: Any) -> Any:
        (g,) = torch.autograd.grad((t**3).sum(), t, create_graph=True)
        return torch.autograd.grad(g.sum(), t)[0]

    running(torch, inner).apply(x).sum().backward()
    assert_values(x.grad, [6.0, 12.0])


def test_an_inner_run_ends_before_the_outer_goes_on(torch: Any) -> None:
    order: list[str] = []
    x, w = counting(torch, 2), counting(torch, 2)
    below = x * 1
    below.register_hook(lambda g: order.append("outer, below"))

    def inner(t: Any) -> None:
        w.register_post_accumulate_grad_hook(lambda leaf: order.append("inner leaf"))
        ((w * 2) * t).sum().backward()
        order.append("inner end")

    running(torch, inner).apply(below).sum().backward()
    assert order == ["inner leaf", "inner end", "outer, below"]


def test_a_hook_that_raises_in_an_inner_run_leaves_the_outer_graph_usable(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    fails = [True]

    def inner(t: Any) -> None:
        y = w * t
        y.register_hook(lambda g: 1 / 0 if fails else None)
        y.sum().backward()

    z = running(torch, inner).apply(x).sum()
    with pytest.raises(ZeroDivisionError):
        z.backward(retain_graph=True)
    fails.clear()
    z.backward()
    assert_values(x.grad, [1.0, 1.0])
    assert_values(w.grad, [1.0, 2.0])


# errors -----------------------------------------------------------------------------------------
def test_leaves_finished_before_an_error_keep_what_they_got(torch: Any) -> None:
    def fail(ctx: Any, g: Any) -> Any:
        raise KeyError("late")

    x, w = counting(torch, 2), counting(torch, 2)
    bad = function(torch, lambda ctx, t: t * 1, fail).apply(x)
    order = []
    w.register_hook(lambda g: order.append("w"))
    with pytest.raises(KeyError, match="late"):
        (bad + w).sum().backward()
    assert x.grad is None
    assert (w.grad is not None) == (order == ["w"])


def test_a_graph_that_failed_for_want_of_a_cotangent_can_still_run(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.exp()
    with pytest.raises(RuntimeError):
        y.backward()
    with pytest.raises(RuntimeError):
        y.backward(torch.ones(3))
    y.backward(torch.ones(2))
    assert_values(x.grad, x.detach().exp())


def test_an_interrupt_is_not_swallowed(torch: Any) -> None:
    def interrupt(g: Any) -> None:
        raise KeyboardInterrupt

    y = counting(torch, 2) * 1
    y.register_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        y.sum().backward()
    assert torch.is_grad_enabled()
