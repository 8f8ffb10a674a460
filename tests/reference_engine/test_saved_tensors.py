"""Hooks that pack saved tensors, and mutation of saved tensors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.outcome import Scenario, Scenarios, assert_as_in_torch
from tests.reference_engine.test_function import cube, leaf

SCENARIOS = Scenarios()


@SCENARIOS
def each_saved_tensor_is_packed_and_unpacked(lib: Any) -> Any:
    x, seen = leaf(lib), []

    def pack(t: Any) -> Any:
        seen.append(("pack", t.tolist()))
        return t * 10

    def unpack(t: Any) -> Any:
        seen.append(("unpack", t.tolist(), lib.is_grad_enabled()))
        return t

    with lib.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = (x * x).exp().sum()
    y.backward()
    return x.grad, seen


@SCENARIOS
def the_innermost_hooks_are_used(lib: Any) -> Any:
    x = leaf(lib)
    hooks = lib.autograd.graph.saved_tensors_hooks
    with hooks(lambda t: t * 3, lambda t: t):
        with hooks(lambda t: t * 5, lambda t: t):
            y = x.sin()
        z = x.sin()
    return lib.autograd.grad(y.sum(), x), lib.autograd.grad(z.sum(), x)


@SCENARIOS
def packed_values_are_differentiated_again(lib: Any) -> Any:
    x = leaf(lib)
    with lib.autograd.graph.save_on_cpu():
        y = (x.exp() * x).sum() + cube(lib).apply(x).sum()
    (g,) = lib.autograd.grad(y, x, create_graph=True)
    return g, lib.autograd.grad(g.sum(), x)


@SCENARIOS
def writes_after_packing_go_unchecked(lib: Any) -> Any:
    x = leaf(lib)
    a = x * 1
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = a.sin()
    a.add_(1)
    y.sum().backward()
    return x.grad


@SCENARIOS
def writes_in_place_are_packed_as_well(lib: Any) -> Any:
    x = leaf(lib)
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t * 2, lambda t: t / 2):
        y = x * 1
        y.exp_()
        y[:1].mul_(y[1:])
    y.sum().backward()
    return x.grad


@SCENARIOS
def a_view_written_under_hooks_keeps_the_write(lib: Any) -> Any:
    x = leaf(lib)
    view = (-x).unsqueeze(0)
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        view.mul_(2.0)
    view.sum().backward()
    return view, x.grad


@SCENARIOS
def freed_all_the_same(lib: Any) -> Any:
    x = leaf(lib)
    with lib.autograd.graph.save_on_cpu():
        y = x.sin().sum()
    y.backward()
    y.backward()


@SCENARIOS
def hooks_cannot_be_disabled_inside_hooks(lib: Any) -> Any:
    off = lib.autograd.graph.disable_saved_tensors_hooks
    with lib.autograd.graph.save_on_cpu(), off("hooks are off in this test of ours"):
        pass


@SCENARIOS
def mutation_of_saved_tensors(lib: Any) -> Any:
    x = leaf(lib)
    with lib.autograd.graph.allow_mutation_on_saved_tensors():
        a = x * 1
        y = a.sin()
        z = y.exp()
        a.mul_(5)
        y[:1].zero_()
        with lib.no_grad():
            x.add_(1)
        (z.sum() + a.sum()).backward()
    return x.grad


@SCENARIOS
def mutation_in_inference_mode(lib: Any) -> Any:
    x = leaf(lib)
    with lib.autograd.graph.allow_mutation_on_saved_tensors():
        a = x * 1
        y = a.sin()
        with lib.inference_mode():
            a.mul_(5)
        y.sum().backward()
    return x.grad


@SCENARIOS
def hooks_see_nothing_of_how_a_tangent_is_computed(lib: Any) -> Any:
    fw, seen = lib.autograd.forward_ad, []
    x = lib.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=lib.float64)
    hooks = lib.autograd.graph.saved_tensors_hooks(lambda t: (seen.append(t), t * 2)[1], abs)
    with fw.dual_level(), hooks:
        y = lib.linalg.cholesky(fw.make_dual(x, lib.eye(2, dtype=lib.float64)))
        return fw.unpack_dual(y).tangent, len(seen)


@SCENARIOS
def writes_without_grad_need_no_history(lib: Any) -> Any:
    x, hooks = leaf(lib), lib.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t)
    found = []
    for mode in (hooks, lib.autograd.forward_ad.dual_level()):
        with mode:
            y = x * 1
            first, *others = y.unbind()
            with lib.no_grad():
                first.mul_(2)
                others[0].mul_(3)
            found.append((y.detach(), y._version))
    return found


@SCENARIOS
def hooks_keep_what_a_view_was_when_it_was_written(lib: Any) -> Any:
    x = leaf(lib)
    with lib.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        y = x * 1
        y[1:].tanh_()
        y[1:].exp_()
    (g,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    return g, lib.autograd.grad(g.sum(), x)


@SCENARIOS
def mutation_contexts_do_not_nest(lib: Any) -> Any:
    allow = lib.autograd.graph.allow_mutation_on_saved_tensors
    with allow(), allow():
        pass


@SCENARIOS.each()
def test_as_in_torch(engine: Any, scenario: Scenario) -> None:
    assert_as_in_torch(scenario, engine)


def test_a_graph_is_run_inside_the_mutation_context_it_was_recorded_in(engine: Any) -> None:
    with engine.autograd.graph.allow_mutation_on_saved_tensors():
        y = leaf(engine).sin().sum()
    with pytest.raises(AssertionError, match="run backward inside it"):
        y.backward()
