"""Running a graph: accumulation, retained and created graphs, inputs=, autograd.grad, as in
PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.reference_engine.outcome import Scenario, Scenarios, assert_as_in_torch

SCENARIOS = Scenarios()


def leaf(lib: Any, *numbers: float) -> Any:
    return lib.tensor(list(numbers), dtype=lib.float64, requires_grad=True)


@SCENARIOS
def one_leaf_used_many_times(lib: Any) -> Any:
    x = leaf(lib, 1, 2, 3)
    y = x * x + x.sin() * x - x / (x + 1)
    y.sum().backward()
    return x.grad


@SCENARIOS
def diamond(lib: Any) -> Any:
    x = leaf(lib, 0.5, 2)
    a = x.exp()
    b, c = a * 2, a.sin()
    (b * c).sum().backward()
    return x.grad


@SCENARIOS
def broadcasting_sums_gradients(lib: Any) -> Any:
    x, y, s = leaf(lib, 1, 2, 3), leaf(lib, 4, 5), leaf(lib, 2)
    (x * y.view(2, 1) + s).sum().backward()
    return x.grad, y.grad, s.grad


@SCENARIOS
def several_roots_and_the_same_root_twice(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y, z = (x * x).sum(), x.exp()
    v = lib.tensor([1.0, -1.0], dtype=lib.float64)
    lib.autograd.backward([y, z, y], [None, v, None])
    return x.grad


@SCENARIOS
def a_root_inside_the_graph_of_another(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x * x
    z = (y * y).sum()
    lib.autograd.backward([z, y.sum()])
    return x.grad


@SCENARIOS
def a_leaf_as_root(lib: Any) -> Any:
    x = leaf(lib, 3)
    x.backward()
    x.backward(lib.tensor([2.0], dtype=lib.float64))
    return x.grad


@SCENARIOS
def gradients_of_leaf_with_respect_to_itself(lib: Any) -> Any:
    x = leaf(lib, 3)
    return lib.autograd.grad(x, x)


@SCENARIOS
def inputs_limit_what_is_filled(lib: Any) -> Any:
    a, b = leaf(lib, 1), leaf(lib, 2)
    mid = a * b
    (mid * b).backward(inputs=[a])
    first = (a.grad, b.grad)
    (a * b * b).backward(inputs=b)
    return first, a.grad, b.grad


@SCENARIOS
def inputs_may_be_intermediate(lib: Any) -> Any:
    a, b = leaf(lib, 2), leaf(lib, 3)
    mid = a * b
    (mid * mid).backward(inputs=[mid, b])
    return mid.grad, a.grad, b.grad, mid.retains_grad


@SCENARIOS
def grad_of_intermediates(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x * 3
    z = y.sin()
    return lib.autograd.grad(z.sum(), [y, x, z]), x.grad


@SCENARIOS
def grad_of_an_intermediate_leaves_the_rest_of_the_graph(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x.exp()
    z = (y * y).sum()
    (g,) = lib.autograd.grad(z, y)
    y.sum().backward()
    return g, x.grad


@SCENARIOS
def unused_inputs(lib: Any) -> Any:
    x, y = leaf(lib, 1), leaf(lib, 2)
    first = lib.autograd.grad(x * 2, [x, y], allow_unused=True)
    return first, lib.autograd.grad(x * 2, [x, y], materialize_grads=True)


@SCENARIOS
def batched_gradients(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x * x
    return lib.autograd.grad(
        y, x, lib.eye(2, dtype=lib.float64), is_grads_batched=True, retain_graph=True
    )


@SCENARIOS
def retain_graph_allows_another_backward(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


@SCENARIOS
def freed_only_where_it_ran(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    shared = x.exp()
    a, b = shared.sin().sum(), shared.cos().sum()
    a.backward()
    b.backward()


@SCENARIOS
def freed_part_not_needed_again(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    shared = x + 1
    a, b = shared.sin().sum(), shared.cos().sum()
    a.backward()
    b.backward()
    return x.grad


@SCENARIOS
def create_graph_keeps_the_graph(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = x**3
    (g,) = lib.autograd.grad(y, x, create_graph=True)
    (h,) = lib.autograd.grad(g, x, create_graph=True)
    (k,) = lib.autograd.grad(h, x)
    y.backward()
    return g, h, k, x.grad, g.requires_grad, k.requires_grad


@SCENARIOS
def create_graph_and_not_retained(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = x**3
    lib.autograd.grad(y, x, create_graph=True, retain_graph=False)
    y.backward()


@SCENARIOS
def backward_through_accumulated_grad(lib: Any) -> Any:
    x = leaf(lib, 2)
    (x**3).backward(create_graph=True)
    first, x.grad = x.grad, None
    first.backward()
    return first, x.grad


@SCENARIOS
def grad_of_grad_with_respect_to_the_cotangent(lib: Any) -> Any:
    x, v = leaf(lib, 1, 2), leaf(lib, 1, 1)
    (g,) = lib.autograd.grad(x.sin(), x, v, create_graph=True)
    return lib.autograd.grad(g.sum(), [v, x])


@SCENARIOS
def the_grad_object_is_kept_when_added_to(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    return first is x.grad, first, first._version


@SCENARIOS
def a_created_graph_replaces_the_grad_object(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    (x * x).sum().backward()
    first = x.grad
    (x * x).sum().backward(create_graph=True)
    second, x.grad = x.grad, None
    return first is second, first, second


@SCENARIOS
def grads_of_two_leaves_never_share_memory(lib: Any) -> Any:
    a, b = leaf(lib, 1, 2), leaf(lib, 3, 4)
    v = lib.ones(2, dtype=lib.float64)
    (a + b).backward(v)
    a.grad.add_(1)
    return a.grad, b.grad, v


@SCENARIOS
def grad_can_be_assigned_and_deleted(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    x.grad = lib.ones(2, dtype=lib.float64)
    x.sum().backward()
    before = x.grad
    del x.grad
    return before, x.grad


@SCENARIOS
def mixed_dtypes_give_each_leaf_its_own(lib: Any) -> Any:
    a = lib.ones(2, requires_grad=True)
    b = lib.ones(2, dtype=lib.float64, requires_grad=True)
    (a * b + a).sum().backward()
    return a.grad.dtype == lib.float32, b.grad.dtype == lib.float64, a.grad, b.grad


@SCENARIOS
def a_real_leaf_of_a_complex_function(lib: Any) -> Any:
    a = leaf(lib, 1, 2)
    z = a * lib.tensor([1 + 2j, 3 - 1j], dtype=lib.complex128)
    (z * z.conj()).real.sum().backward()
    return a.grad, a.grad.dtype == lib.float64


@SCENARIOS
def a_complex_leaf(lib: Any) -> Any:
    z = lib.tensor([1 + 2j, 3 - 1j], dtype=lib.complex128, requires_grad=True)
    w = (z * z + z.exp()) / (z + 1)
    w.abs().sum().backward()
    return z.grad


@SCENARIOS
def a_complex_cotangent(lib: Any) -> Any:
    z = lib.tensor([1 + 2j, 3 - 1j], dtype=lib.complex128, requires_grad=True)
    (z * z).backward(lib.tensor([1j, 2 - 1j], dtype=lib.complex128))
    return z.grad


@SCENARIOS
def integers_take_part_without_gradient(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    (x * lib.tensor([3, 4])).sum().backward()
    return x.grad


@SCENARIOS
def empty_tensors(lib: Any) -> Any:
    x = lib.zeros(0, 3, requires_grad=True)
    (x.sin() * 2).sum().backward()
    return list(x.grad.shape), x.sum()


@SCENARIOS
def zero_dimensional_chain(lib: Any) -> Any:
    x = lib.tensor(0.5, dtype=lib.float64, requires_grad=True)
    y = (x.sin() + x * 2) * x
    (g,) = lib.autograd.grad(y, x, create_graph=True)
    g.backward()
    return y, g, x.grad, list(x.grad.shape)


@SCENARIOS
def saved_values_can_be_read(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x.sin()
    z = y.exp()
    w = x * y
    return y.grad_fn._saved_self, z.grad_fn._saved_result, w.grad_fn._saved_other


@SCENARIOS
def next_functions_lead_to_the_leaf(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = (x * 2).sum()
    node = y.grad_fn.next_functions[0][0]
    accumulator, nr = node.next_functions[0]
    return accumulator.variable is x, nr, node.next_functions[1][0] is None, x.grad_fn is None


@SCENARIOS
def node_metadata_is_the_users(lib: Any) -> Any:
    y = leaf(lib, 1) * 2
    y.grad_fn.metadata["note"] = 1
    return y.grad_fn.metadata


@SCENARIOS
def changed_value_not_needed_for_the_gradient(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x * 3
    z = y + 1
    y.mul_(2)
    z.sum().backward()
    return x.grad


@SCENARIOS
def a_leaf_that_stopped_requiring_grad_gets_none(lib: Any) -> Any:
    x, z = leaf(lib, 1, 2), leaf(lib, 3, 4)
    y = (x * z).sum()
    x.requires_grad_(False)
    z.detach_()
    y.backward()
    return x.grad, z.grad


@SCENARIOS
def index_tensors_are_freed_like_saved_values(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x[[0, 0]]
    y.sum().backward()
    y.sum().backward()


@SCENARIOS
def basic_indices_are_not_saved_values(lib: Any) -> Any:
    x = leaf(lib, 1, 2)
    y = x[1:]
    y.sum().backward()
    y.sum().backward()
    return x.grad


@SCENARIOS
def only_what_a_gradient_needs_is_saved(lib: Any) -> Any:
    x, c = leaf(lib, 1, 2), lib.ones(2, dtype=lib.float64)
    y = x * 1
    z = y * c
    y.add_(1)
    z.sum().backward()
    return x.grad


@SCENARIOS.each()
def test_as_in_torch(engine: Any, scenario: Scenario) -> None:
    assert_as_in_torch(scenario, engine)


def test_a_gradient_that_does_not_fit_a_float16_overflows_in_silence(engine: Any) -> None:
    x = engine.tensor([300.0], dtype=engine.float16, requires_grad=True)
    (x * x).backward(engine.tensor([1.0], dtype=engine.float16))
    assert x.grad.tolist() == [600.0]
    assert (x * x).tolist() == [float("inf")]


def test_domain_edges_give_nan_and_inf_in_silence(engine: Any) -> None:
    x = engine.tensor([0.0, -1.0], requires_grad=True)
    y = x.log()
    y.sum().backward()
    assert np.isneginf(y.tolist()[0])
    assert np.isinf(x.grad.tolist()[0])
    assert x.grad.tolist()[1] == -1.0


@pytest.mark.parametrize("nodes", [100_000])
def test_a_deep_chain_goes_forward_backward_and_is_freed(engine: Any, nodes: int) -> None:
    x = engine.ones(1, requires_grad=True)
    y = x
    for _ in range(nodes):
        y = y + 1
    y.backward()
    assert x.grad.tolist() == [1.0]
    del y
