"""Gradient edges, grad_dtype, hooks of leaves and of several tensors, anomaly mode, threads."""

from __future__ import annotations

from threading import Thread
from typing import Any

import numpy as np
import pytest

from tests.reference_engine.outcome import Scenario, Scenarios, assert_as_in_torch
from tests.reference_engine.test_function import leaf

SCENARIOS = Scenarios()


@SCENARIOS
def edges_as_inputs_and_as_roots(lib: Any) -> Any:
    x = leaf(lib)
    y = x * 3
    z = (y * y).sum()
    edge = lib.autograd.graph.get_gradient_edge
    to_y, to_x, from_z = edge(y), edge(x), edge(z)
    del y, z
    grads = lib.autograd.grad(from_z, (to_y, to_x), retain_graph=True)
    lib.autograd.backward(from_z, inputs=[to_x])
    return grads, x.grad, from_z.output_nr, from_z.node.name()


@SCENARIOS
def materialized_gradients_need_tensors(lib: Any) -> Any:
    x, unused = leaf(lib), leaf(lib)
    edge = lib.autograd.graph.get_gradient_edge(unused)
    return lib.autograd.grad(x.sum(), [edge], materialize_grads=True)


@SCENARIOS
def gradients_in_another_dtype(lib: Any) -> Any:
    found = []
    for kind in (lib.float32, None):
        x = leaf(lib)
        x.grad_dtype = kind
        (x * 2).sum().backward()
        (x * 3).sum().backward()
        found.append((x.grad, x.grad.dtype is (kind or lib.float64), x.grad_dtype is kind))
    return found


@SCENARIOS
def post_accumulate_hooks(lib: Any) -> Any:
    x, seen = leaf(lib), []

    def step(p: Any) -> None:
        seen.append(("step", p is x, p.grad.tolist()))
        with lib.no_grad():
            p.sub_(p.grad)
        p.grad = None

    x.register_hook(lambda g: seen.append(("before", g.tolist())))
    x.register_post_accumulate_grad_hook(step)
    last = x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad is None))
    (x * 2).sum().backward()
    last.remove()
    (x * 3).sum().backward()
    return seen, x


@SCENARIOS
def multi_grad_hooks_wait_for_what_a_run_computes(lib: Any) -> Any:
    x, w, seen = leaf(lib), leaf(lib), []
    y = x * 2
    hook = lib.autograd.graph.register_multi_grad_hook
    handle = hook(
        [x, y, w], lambda gs: seen.append([None if g is None else g.tolist() for g in gs])
    )
    (y * w).sum().backward(retain_graph=True)
    y.sum().backward(retain_graph=True)
    lib.autograd.grad(y.sum(), y, retain_graph=True)
    handle.remove()
    (y * w).sum().backward()
    return seen


@SCENARIOS
def multi_grad_hooks_of_any(lib: Any) -> Any:
    x, w, seen = leaf(lib), leaf(lib), []
    y = x * 2
    hook = lib.autograd.graph.register_multi_grad_hook
    with hook([x, y, w], lambda g: seen.append(g.tolist()), mode="any"):
        y.sum().backward(retain_graph=True)
        (w * 5).sum().backward()
    y.sum().backward()
    return seen


@SCENARIOS
def a_hook_runs_backward(lib: Any) -> Any:
    x, w = leaf(lib), leaf(lib)
    y = x * 2
    y.register_hook(lambda g: (w * w).sum().backward())
    (y * w).sum().backward()
    return x.grad, w.grad


@SCENARIOS
def the_nan_check_can_be_left_out(lib: Any) -> Any:
    x = lib.zeros(1, requires_grad=True)
    with lib.autograd.detect_anomaly(check_nan=False):
        (x * 0 / 0).sum().backward()
    return x.grad


@SCENARIOS
def how_a_tangent_is_computed_is_not_checked_for_nan(lib: Any) -> Any:
    fw, x = lib.autograd.forward_ad, lib.eye(2, dtype=lib.float64)
    with fw.dual_level(), lib.autograd.detect_anomaly():
        return fw.unpack_dual(lib.linalg.eigvalsh(fw.make_dual(x, x))).tangent


@SCENARIOS
def an_inference_tensor_keeps_its_shape_outside(lib: Any) -> Any:
    with lib.inference_mode():
        x = lib.ones(2, 3)
    x.t_()


@SCENARIOS
def increment_version_is_seen(lib: Any) -> Any:
    x = leaf(lib)
    y = x.sin()
    lib.autograd.graph.increment_version(x)
    y.sum().backward()


@SCENARIOS.each()
def test_as_in_torch(engine: Any, scenario: Scenario) -> None:
    assert_as_in_torch(scenario, engine)


def test_anomaly_mode_shows_where_the_forward_was_run(engine: Any) -> None:
    x = engine.zeros(1, requires_grad=True)
    with pytest.warns(UserWarning, match="debugging"):
        mode = engine.autograd.detect_anomaly()
    with mode:
        y = (x * 0 / 0).sum()
        with (
            pytest.warns(UserWarning, match="test_edges.py"),
            pytest.raises(RuntimeError, match="MulBackward0 returned NaN"),
        ):
            y.backward()
    y = (x * 0 / 0).sum()
    y.backward()
    assert np.isnan(x.grad.item())


def test_threads_accumulate_into_one_leaf(engine: Any) -> None:
    x = engine.zeros(1000, requires_grad=True)

    def work() -> None:
        for _ in range(50):
            (x * 1).sum().backward()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert x.grad.tolist() == [200.0] * 1000
