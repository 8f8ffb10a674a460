"""Tensor hooks and node hooks: when they are called, in which order, with what, as in PyTorch."""

from __future__ import annotations

from typing import Any

from tests.reference_engine.outcome import Scenario, Scenarios, assert_as_in_torch

SCENARIOS = Scenarios()


def leaf(lib: Any) -> Any:
    return lib.tensor([1.0, 2.0], dtype=lib.float64, requires_grad=True)


@SCENARIOS
def a_hook_sees_and_replaces_a_leafs_gradient(lib: Any) -> Any:
    x, seen = leaf(lib), []
    x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 3).sum().backward()
    (x * 5).sum().backward()
    return x.grad, seen


@SCENARIOS
def a_hook_on_an_intermediate_changes_what_flows_on(lib: Any) -> Any:
    x = leaf(lib)
    y = x * 2
    y.register_hook(lambda g: -g)
    y.sum().backward()
    return x.grad


@SCENARIOS
def hooks_run_on_the_sum_of_all_that_arrives(lib: Any) -> Any:
    x, seen = leaf(lib), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y * 3 + y * 4).sum().backward()
    return seen


@SCENARIOS
def removal(lib: Any) -> Any:
    x, seen = leaf(lib), []
    handle = x.register_hook(lambda g: seen.append(1))
    with x.register_hook(lambda g: seen.append(2)):
        x.sum().backward()
    handle.remove()
    handle.remove()
    x.sum().backward()
    return seen


@SCENARIOS
def a_hook_that_removes_itself(lib: Any) -> Any:
    x, seen, handles = leaf(lib), [], []

    def once(g: Any) -> None:
        seen.append(g.tolist())
        handles[0].remove()

    handles.append(x.register_hook(once))
    x.register_hook(lambda g: seen.append("second"))
    x.sum().backward()
    x.sum().backward()
    return seen


@SCENARIOS
def retained_grad_is_what_the_hooks_made_of_it(lib: Any) -> Any:
    x = leaf(lib)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    return y.grad, x.grad


@SCENARIOS
def order_at_a_node(lib: Any) -> Any:
    x, order = leaf(lib), []
    y = x.sin()
    y.grad_fn.register_hook(lambda gi, go: order.append("post"))
    y.grad_fn.register_prehook(lambda go: order.append("pre"))
    y.register_hook(lambda g: order.append("tensor"))
    x.register_hook(lambda g: order.append("leaf"))
    y.sum().backward()
    return order


@SCENARIOS
def node_hooks_replace_gradients(lib: Any) -> Any:
    x = leaf(lib)
    y = x * 2
    y.grad_fn.register_prehook(lambda go: (go[0] * 10,))
    y.grad_fn.register_hook(lambda gi, go: (gi[0] + go[0], None))
    y.sum().backward()
    return x.grad


@SCENARIOS
def node_hooks_are_given_tuples(lib: Any) -> Any:
    x, seen = leaf(lib), []
    y = x * lib.ones(2, dtype=lib.float64)
    y.grad_fn.register_hook(
        lambda gi, go: seen.append((type(gi).__name__, len(gi), gi[1] is None, len(go)))
    )
    y.sum().backward()
    return seen


@SCENARIOS
def hooks_run_without_recording_unless_a_graph_is_created(lib: Any) -> Any:
    x, modes = leaf(lib), []
    x.register_hook(lambda g: modes.append((lib.is_grad_enabled(), g.requires_grad)))
    (x * x).sum().backward()
    lib.autograd.grad((x * x).sum(), x, create_graph=True)
    return modes


@SCENARIOS
def hooks_run_for_autograd_grad_too(lib: Any) -> Any:
    x, y_seen = leaf(lib), []
    y = x * 2
    y.register_hook(lambda g: y_seen.append(g.tolist()))
    x.register_hook(lambda g: g * 100)
    first = lib.autograd.grad(y.sum(), [x, y], retain_graph=True)
    return first, y_seen, x.grad


@SCENARIOS
def a_hook_may_run_backward_itself(lib: Any) -> Any:
    x, z = leaf(lib), leaf(lib)
    x.register_hook(lambda g: (z * 2).sum().backward())
    (x * 3).sum().backward()
    return x.grad, z.grad


@SCENARIOS
def an_error_in_a_hook_passes_through(lib: Any) -> Any:
    x = leaf(lib)

    def fail(g: Any) -> None:
        raise ValueError("from the hook")

    x.register_hook(fail)
    x.sum().backward()


@SCENARIOS
def no_hook_where_nothing_arrives(lib: Any) -> Any:
    x, seen = leaf(lib), []
    a, b = (x * 2).unbind()
    b.register_hook(lambda g: seen.append("b"))
    a.register_hook(lambda g: seen.append("a"))
    a.backward()
    return seen, x.grad


@SCENARIOS
def a_hook_on_a_leaf_survives_its_graph(lib: Any) -> Any:
    x, seen = leaf(lib), []
    y = x * 2
    x.register_hook(lambda g: seen.append(g.tolist()))
    del y
    x.sum().backward()
    return seen


@SCENARIOS
def a_hook_sees_a_created_graph(lib: Any) -> Any:
    x = leaf(lib)
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    return g, lib.autograd.grad(g.sum(), x)


@SCENARIOS
def a_multi_grad_hook_on_two_outputs_of_one_node(lib: Any) -> Any:
    seen = []
    for used in ((0, 1), (0,), (1,)):
        x = leaf(lib)
        parts = (x * 2).unbind(0)
        lib.autograd.graph.register_multi_grad_hook(
            parts, lambda gs: seen.append([None if g is None else g.tolist() for g in gs])
        )
        sum(parts[i] * (i + 3) for i in used).backward()
        seen.append(x.grad)
    return seen


@SCENARIOS.each()
def test_as_in_torch(engine: Any, scenario: Scenario) -> None:
    assert_as_in_torch(scenario, engine)


def test_a_hook_on_a_view_made_in_no_grad_is_never_called(engine: Any) -> None:
    """(Registering one on PyTorch 2.13 can crash the process.)"""
    x = leaf(engine)
    y = x * 2
    seen: list[Any] = []
    with engine.no_grad():
        v = y[:1]
    v.register_hook(seen.append)
    (v * y).sum().backward()
    assert seen == []
    assert x.grad.tolist() == [4.0, 4.0]  # v = 2 is a constant
