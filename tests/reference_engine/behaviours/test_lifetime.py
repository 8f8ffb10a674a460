"""What keeps what alive, with the garbage collector off; deep graphs; memory of a backward."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import reference_engine
from tests.reference_engine.behaviours.evidence import assert_values, counting
from tests.reference_engine.behaviours.test_function import function


class Mark:
    """Something whose end can be seen."""


@pytest.fixture(autouse=True)
def _without_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def marked(y: Any) -> weakref.ref[Mark]:
    """Hangs a mark on the node of a tensor."""
    mark = Mark()
    y.grad_fn.metadata["mark"] = mark
    return weakref.ref(mark)


def test_a_graph_goes_with_its_result(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.exp()
    gone = marked(y)
    z = (y * 2).sum()
    del y
    assert gone() is not None
    del z
    assert gone() is None


def test_a_graph_that_ran_goes_with_its_result(torch: Any) -> None:
    x = counting(torch, 2)
    for create_graph in (False, True):
        y = x.exp()
        gone = marked(y)
        (g,) = torch.autograd.grad((y * x).sum(), x, create_graph=create_graph)
        del y
        assert (gone() is None) is not create_graph
        del g
        assert gone() is None


def test_a_graph_goes_after_an_error_in_its_run(torch: Any) -> None:
    def fail(g: Any) -> None:
        raise KeyError

    x = counting(torch, 2)
    y = x.exp()
    gone = marked(y)
    z = y * 2
    z.register_hook(fail)
    with pytest.raises(KeyError):
        z.sum().backward()
    del y, z
    assert gone() is None


def test_hooks_views_writes_and_retained_gradients_close_no_cycle(torch: Any) -> None:
    x = counting(torch, 4)
    y = x * 1
    marks = [marked(y)]
    y.retain_grad()
    y.register_hook(lambda g: g)
    v = y[:2]
    v.mul_(2)
    v.retain_grad()
    marks += [marked(y), marked(v)]
    (v.sum() + y.exp().sum()).backward()
    del y, v
    assert [m() for m in marks] == [None] * 3


def test_a_custom_function_that_saves_inputs_and_outputs_closes_no_cycle(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y

    made = function(torch, forward, lambda ctx, g: g * ctx.saved_tensors[1])
    x = counting(torch, 2)
    y = made.apply(x * 1)
    gone = marked(y)
    y.sum().backward(retain_graph=True)
    del y
    assert gone() is None


def test_a_leaf_goes_although_graphs_were_made_of_it(torch: Any) -> None:
    x = counting(torch, 2)
    gone = weakref.ref(x)
    y = (x * x).sum()
    x.register_hook(lambda g: None)
    y.backward()
    del y
    assert gone() is not None
    del x
    assert gone() is None


def test_a_graph_keeps_leaves_but_not_intermediate_tensors(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.sin()
    z = y.exp()
    leaf, middle = weakref.ref(x), weakref.ref(y)
    del x, y
    assert leaf() is not None
    assert middle() is None
    z.sum().backward()
    assert_values(leaf().grad, leaf().detach().cos() * leaf().detach().sin().exp())


def test_the_version_counter_and_history_outlive_the_base_variable(torch: Any) -> None:
    x = counting(torch, 4)
    v = (x * 2)[:2]
    v.mul_(3)
    assert v._version == 1
    v.sum().backward()
    assert_values(x.grad, [6.0, 6.0, 0.0, 0.0])


@pytest.mark.parametrize("run", [False, True])
def test_a_deep_chain_is_built_run_and_freed(torch: Any, run: bool) -> None:
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(150_000):
        y = y + x
    if run:
        y.backward()
        assert_values(x.grad, [150_001.0])
    gone = marked(y)
    del y
    assert gone() is None


def test_a_deep_chain_of_custom_functions_is_freed(torch: Any) -> None:
    made = function(torch, lambda ctx, x: x + 1, lambda ctx, g: g)
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(10_000):
        y = made.apply(y)
    gone = marked(y)
    y.backward()
    del y
    assert gone() is None
    assert_values(x.grad, [1.0])


def test_a_deep_chain_that_branches_is_freed(torch: Any) -> None:
    x = torch.ones(1, requires_grad=True)
    y, z = x * 1, x * 1
    for _ in range(30_000):
        y, z = y + z, y - z
    gone = marked(y)
    del y, z
    assert gone() is None


def test_backward_frees_what_was_saved_while_it_runs(torch: Any) -> None:
    x = counting(torch, 2)
    first = x.exp()
    second = first.exp()
    node = second.grad_fn
    seen = []

    def look(g: Any) -> None:
        try:
            seen.append(node._saved_result is None)
        except RuntimeError:
            seen.append("freed")

    first.register_hook(look)
    second.sum().backward()
    assert seen == ["freed"]


def test_the_peak_of_a_backward_is_a_few_tensors_however_deep_the_graph() -> None:
    x = reference_engine.ones(100_000, requires_grad=True)  # tracemalloc sees NumPy's memory only
    y = x
    for _ in range(30):
        y = y.sin()
    loss = y.sum()
    del y
    tracemalloc.start()
    loss.backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * x.numel() * x.element_size()


def test_a_chain_of_a_million_nodes_goes_forward_and_backward_and_is_freed() -> None:
    x = reference_engine.ones(1, requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = -y
    y.backward()
    assert_values(x.grad, [1.0])
    gone = marked(y)
    del y
    assert gone() is None
