"""What keeps what alive: no cycles, saved values freed in time, deep graphs, threads."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import reference_engine


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """With the garbage collector off, a reference cycle shows."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def graph(engine: Any) -> tuple[Any, list[Any]]:
    """A loss, and weak references to the nodes of its graph."""
    x = engine.ones(4, requires_grad=True)
    a = x.sin()
    b = a * x
    c = b[:2]
    c.mul_(x[2:])
    d = c.exp() + b.view(2, 2).sum(0)
    loss = d.sum()
    seen, stack = [], [loss.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None:
            seen.append(weakref.ref(node))
            stack += [parent for parent, _ in node.next_functions]
    return loss, seen


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("run", ["nothing", "backward", "create_graph", "failed"])
def test_dropping_the_loss_frees_its_graph_at_once(engine: Any, run: str) -> None:
    loss, nodes = graph(engine)
    assert len(nodes) > 8
    if run == "backward":
        loss.backward()
    elif run == "create_graph":
        x = engine.ones(2, requires_grad=True)
        (g,) = engine.autograd.grad((x.exp() * x).sum(), x, create_graph=True)
        nodes.append(weakref.ref(g.grad_fn))
        del g, x
    elif run == "failed":
        with pytest.raises(RuntimeError):
            loss.backward(engine.ones(3))
    del loss
    assert [node() for node in nodes] == [None] * len(nodes)


@pytest.mark.usefixtures("_no_collector")
def test_views_hooks_and_retained_gradients_make_no_cycle(engine: Any) -> None:
    x = engine.ones(4, requires_grad=True)
    y = x * 2
    v = y[:2]
    v.retain_grad()
    y.retain_grad()
    y.register_hook(lambda g: g * 1)
    (v.sum() + y.sum()).backward()
    gone = [weakref.ref(t) for t in (y, v, x)]
    del x, y, v
    assert [t() for t in gone] == [None] * 3


@pytest.mark.usefixtures("_no_collector")
def test_backward_frees_saved_values_and_keeps_them_when_asked(engine: Any) -> None:
    x = engine.ones(4, requires_grad=True)
    y = x.exp()
    node, saved = y.grad_fn, weakref.ref(y._raw)
    del y
    assert saved() is not None
    z = (x * 1).exp()
    kept = weakref.ref(z._raw)
    loss = z.sum()
    del z
    loss.backward(retain_graph=True)
    assert kept() is not None
    loss.backward()
    assert kept() is None
    assert saved() is not None
    del node
    assert saved() is None


@pytest.mark.usefixtures("_no_collector")
def test_saved_values_go_while_backward_is_still_running(engine: Any) -> None:
    x = engine.ones(4, requires_grad=True)
    first = x.exp()
    second = first.exp()
    late = weakref.ref(second._raw)
    seen = []
    first.register_hook(lambda g: seen.append(late() is None))
    loss = second.sum()
    del first, second
    loss.backward()
    assert seen == [True]


@pytest.mark.usefixtures("_no_collector")
def test_no_grad_keeps_no_intermediate(engine: Any) -> None:
    x = engine.ones(4, requires_grad=True)
    with engine.no_grad():
        a = x.exp()
        gone = weakref.ref(a._raw)
        a = a.sin()
    assert gone() is None


def test_an_intermediate_tensor_object_is_not_kept_by_the_graph(engine: Any) -> None:
    x = engine.ones(4, requires_grad=True)
    y = x.sin()
    gone = weakref.ref(y)
    z = y.exp()
    del y
    assert gone() is None
    z.sum().backward()
    assert x.grad is not None


def test_a_long_chain_is_freed_without_recursion_run_or_not() -> None:
    engine = reference_engine
    x = engine.ones(1, requires_grad=True)
    for run in (False, True):
        y = x
        for _ in range(200_000):
            y = y + x
        if run:
            y.backward()
        del y  # a crash here would be the interpreter's stack
    assert x.grad.item() == 200_001


def test_a_deep_chain_of_views_and_writes_is_freed(engine: Any) -> None:
    x = engine.ones(4, requires_grad=True)
    y = x * 1
    nodes = []
    for i in range(20_000):
        y[:2].mul_(-1)
        if i % 1_000 == 0:
            nodes.append(weakref.ref(y.grad_fn))
    y[1:].mul_(3)
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 3.0, 3.0, 3.0]
    assert y.tolist() == [1.0, 3.0, 3.0, 3.0]
    assert all(node() is not None for node in nodes)
    del y  # a crash here would be the interpreter's stack
    assert [node() for node in nodes] == [None] * 20


def test_threads_share_leaves_and_have_their_own_modes(engine: Any) -> None:
    x = engine.ones(8, dtype=engine.float64, requires_grad=True)
    grads: list[Any] = []
    untracked: list[bool] = []

    def work(k: int) -> None:
        with engine.set_grad_enabled(True):
            y = x
            for _ in range(50):
                y = (y * 1.5).sin()
            grads.append(engine.autograd.grad(y.sum() * k, x)[0].sum().item() / k)
        with engine.no_grad():
            untracked.append((x * 2).requires_grad)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert untracked == [False] * 6
    assert len(grads) == 6
    assert max(grads) - min(grads) < 1e-12 * abs(grads[0])
    assert engine.is_grad_enabled()


def test_backward_inside_backward_of_the_same_graph(engine: Any) -> None:
    x = engine.ones(2, requires_grad=True)
    y = x * 3
    seen = []

    def inner(g: Any) -> None:
        seen.append(engine.autograd.grad(y, x, engine.ones(2), retain_graph=True)[0].tolist())

    z = y * 2
    z.register_hook(inner)
    z.sum().backward()
    assert seen == [[3.0, 3.0]]
    assert x.grad.tolist() == [6.0, 6.0]
