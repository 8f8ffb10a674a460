"""Threads: what they share, and what each has for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting
from tests.reference_engine.behaviours.test_engine import running
from tests.reference_engine.behaviours.test_function import function


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Runs ``work`` in as many threads at once; an error in one is an error of the test."""
    start = Barrier(count)

    def begin(i: int) -> None:
        start.wait()
        work(i)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(begin, range(count)))


def test_threads_run_their_own_graphs_over_their_own_leaves(torch: Any) -> None:
    grads: dict[int, Any] = {}

    def work(i: int) -> None:
        x = torch.full((4,), float(i), requires_grad=True, dtype=torch.float64)
        y = x
        for _ in range(20):
            y = y * 1.01 + x * x
        y.sum().backward()
        grads[i] = (x.grad[0].item(), i)

    in_threads(6, work)
    work(1)
    slope = (1.01**20 - 1) / 0.01
    for value, i in grads.values():
        assert value == pytest.approx(1.01**20 + 2 * i * slope)


def test_threads_accumulate_into_a_shared_leaf_without_losing_any(torch: Any) -> None:
    x = counting(torch, 8)

    def work(i: int) -> None:
        for _ in range(20):
            (x * 2).sum().backward()

    in_threads(5, work)
    assert_values(x.grad, [200.0] * 8)


def test_threads_share_one_retained_graph(torch: Any) -> None:
    x = counting(torch, 4)
    y = (x.exp() * x).sum()
    found: list[Any] = []
    in_threads(5, lambda i: found.append(torch.autograd.grad(y, x, retain_graph=True)[0]))
    for g in found:
        assert_values(g, x.detach().exp() * (1 + x.detach()))


def test_threads_share_one_graph_in_backward_with_retain_graph(torch: Any) -> None:
    x = counting(torch, 4)
    y = (x * x).sum()
    in_threads(5, lambda i: y.backward(retain_graph=True))
    assert_values(x.grad, 10 * x.detach())


def test_threads_share_the_lower_part_of_their_graphs(torch: Any) -> None:
    x = counting(torch, 4)
    shared = x.exp()
    found: dict[int, Any] = {}

    def work(i: int) -> None:
        found[i] = torch.autograd.grad((shared * i).sum(), x, retain_graph=True)[0]

    in_threads(5, work)
    for i, g in found.items():
        assert_values(g, i * x.detach().exp())


def test_a_graph_made_in_one_thread_runs_in_another(torch: Any) -> None:
    x = counting(torch, 2)
    made: list[Any] = []
    in_threads(1, lambda i: made.append((x**2).sum()))
    made[0].backward()
    assert_values(x.grad, [2.0, 4.0])
    y = (x**2).sum()
    in_threads(1, lambda i: y.backward())
    assert_values(x.grad, [4.0, 8.0])


def test_modes_of_one_thread_do_not_reach_a_run_in_another(torch: Any) -> None:
    x = counting(torch, 2)
    seen: list[Any] = []
    with torch.no_grad():
        in_threads(1, lambda i: seen.append((x * 2).requires_grad))
        in_threads(1, lambda i: (x * x).sum().backward())
    assert seen == [True]
    assert_values(x.grad, [2.0, 4.0])


def test_a_thread_started_in_a_backward_may_run_backward(torch: Any) -> None:
    w = counting(torch, 2)
    x = counting(torch, 2)

    def inner(t: Any) -> None:
        in_threads(2, lambda i: (w * 2).sum().backward())

    running(torch, inner).apply(x).sum().backward()
    assert_values(w.grad, [4.0, 4.0])


def test_hooks_run_in_the_thread_that_called_backward(torch: Any) -> None:
    x = counting(torch, 2)
    seen: list[Any] = []
    y = x * 2
    y.register_hook(lambda g: seen.append(threading.get_ident()))
    y.sum().backward()
    assert seen == [threading.get_ident()]


def test_an_error_in_one_thread_leaves_the_others_alone(torch: Any) -> None:
    failed: list[int] = []
    grads: list[Any] = []

    def fail(g: Any) -> None:
        raise KeyError

    def work(i: int) -> None:
        x = counting(torch, 2)
        y = x * 2
        if i % 2:
            y.register_hook(fail)
        try:
            y.sum().backward()
            grads.append(x.grad.tolist())
        except KeyError:
            failed.append(i)

    in_threads(6, work)
    assert sorted(failed) == [1, 3, 5]
    assert grads == [[2.0, 2.0]] * 3


def test_threads_write_different_parts_of_one_buffer(torch: Any) -> None:
    x = counting(torch, 4)
    y = torch.zeros(4)
    parts = [y.detach()[i : i + 1] for i in range(4)]
    in_threads(4, lambda i: parts[i].add_(x.detach()[i] * 2))
    assert_values(y, [2.0, 4.0, 6.0, 8.0])


def test_custom_functions_run_in_threads_with_contexts_of_their_own(torch: Any) -> None:
    def forward(ctx: Any, x: Any, n: int) -> Any:
        ctx.n = n
        return x * n

    made = function(torch, forward, lambda ctx, g: (g * ctx.n, None))
    grads: dict[int, Any] = {}

    def work(i: int) -> None:
        x = counting(torch, 2)
        for _ in range(10):
            x.grad = None
            made.apply(x, i).sum().backward()
        grads[i] = x.grad.tolist()

    in_threads(5, work)
    assert grads == {i: [float(i)] * 2 for i in range(5)}
