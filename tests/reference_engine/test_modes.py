"""Grad modes and inference mode: contexts, decorators, threads, exceptions, as in PyTorch."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.reference_engine.outcome import Scenario, Scenarios, assert_as_in_torch

SCENARIOS = Scenarios()


def state(lib: Any) -> Any:
    return lib.is_grad_enabled(), lib.is_inference_mode_enabled()


@SCENARIOS
def nesting(lib: Any) -> Any:
    seen = [state(lib)]
    with lib.no_grad():
        seen.append(state(lib))
        with lib.enable_grad():
            seen.append(state(lib))
            with lib.set_grad_enabled(False):
                seen.append(state(lib))
            seen.append(state(lib))
        seen.append(state(lib))
    with lib.inference_mode():
        seen.append(state(lib))
        with lib.inference_mode(False):
            seen.append(state(lib))
        with lib.enable_grad():
            seen.append(state(lib))
        seen.append(state(lib))
    return [*seen, state(lib)]


@SCENARIOS
def restored_after_an_exception(lib: Any) -> Any:
    for mode in (lib.no_grad(), lib.inference_mode(), lib.set_grad_enabled(False)):
        try:
            with mode:
                raise KeyError
        except KeyError:
            pass
    return state(lib)


@SCENARIOS
def decorators_with_and_without_parentheses(lib: Any) -> Any:
    @lib.no_grad()
    def a() -> Any:
        return state(lib)

    @lib.no_grad
    def b(*, keyword: int) -> Any:
        return state(lib), keyword

    @lib.inference_mode()
    def c() -> Any:
        return state(lib)

    @lib.set_grad_enabled(False)
    def d() -> Any:
        return state(lib), lib.enable_grad()(lambda: state(lib))()

    return a(), b(keyword=3), c(), d(), state(lib), a.__name__


@SCENARIOS
def set_grad_enabled_as_a_function(lib: Any) -> Any:
    lib.set_grad_enabled(False)
    off = state(lib)
    lib.set_grad_enabled(True)
    return off, state(lib)


@SCENARIOS
def set_grad_enabled_as_a_late_context(lib: Any) -> Any:
    mode = lib.set_grad_enabled(False)
    with mode:
        inside = state(lib)
    return inside, state(lib)


@SCENARIOS
def recursion_of_a_decorated_function(lib: Any) -> Any:
    @lib.no_grad()
    def down(n: int) -> Any:
        return [state(lib), *(down(n - 1) if n else [])]

    return down(3), state(lib)


@SCENARIOS
def generators_hold_the_mode_only_while_they_run(lib: Any) -> Any:
    seen = []

    @lib.no_grad()
    def steps() -> Any:
        got = yield state(lib)
        seen.append(("sent", got, state(lib)))
        try:
            yield state(lib)
        except KeyError:
            seen.append(("thrown", state(lib)))
        try:
            yield state(lib)
        finally:
            seen.append(("closed", state(lib)))
        return 5

    g = steps()
    seen.append(next(g))
    seen.append(state(lib))
    seen.append(g.send(7))
    seen.append(g.throw(KeyError()))
    g.close()
    return seen, state(lib)


@SCENARIOS
def generators_return_their_value(lib: Any) -> Any:
    @lib.no_grad()
    def steps() -> Any:
        yield 1
        return 5

    def outer() -> Any:
        return (yield from steps())

    g = outer()
    next(g)
    try:
        next(g)
    except StopIteration as stop:
        return stop.value


@SCENARIOS
def modes_belong_to_their_thread(lib: Any) -> Any:
    seen = []
    with lib.no_grad():
        thread = threading.Thread(target=lambda: seen.append(state(lib)))
        thread.start()
        thread.join()
    return seen


@SCENARIOS
def results_in_each_mode(lib: Any) -> Any:
    x = lib.ones(2, requires_grad=True)
    with lib.no_grad():
        a, made = x * 2, lib.ones(2, requires_grad=True)
    with lib.inference_mode():
        b, inner = x * 2, lib.ones(2, requires_grad=True)
    c = b * 2
    return [
        (t.requires_grad, t.is_leaf, t.is_inference(), t.grad_fn is None)
        for t in (a, made, b, inner, c, x)
    ]


@SCENARIOS
def enable_grad_does_not_lift_inference_mode(lib: Any) -> Any:
    x = lib.ones(2, requires_grad=True)
    with lib.inference_mode(), lib.enable_grad():
        y, v = x * 2, x[:1]
        x.add_(1)
    return y.requires_grad, y.is_inference(), v.is_leaf, x._version


@SCENARIOS
def inference_tensors_work_as_constants_where_nothing_is_saved(lib: Any) -> Any:
    x = lib.ones(2, requires_grad=True)
    with lib.inference_mode():
        c = lib.ones(2)
    (x + c).sum().backward()
    return x.grad


@SCENARIOS
def a_clone_of_an_inference_tensor_is_ordinary(lib: Any) -> Any:
    x = lib.ones(2, requires_grad=True)
    with lib.inference_mode():
        c = lib.ones(2)
    d = c.clone()
    (x * d).sum().backward()
    return x.grad, d.is_inference()


@SCENARIOS
def in_place_inside_inference_mode(lib: Any) -> Any:
    y = lib.ones(2)
    with lib.inference_mode():
        c = lib.ones(2)
        c.add_(1)
        y.add_(1)
        v = y[:1]
        v.mul_(2)
    return c, y, y._version, v.is_inference()


@SCENARIOS
def views_of_inference_tensors_are_inference(lib: Any) -> Any:
    with lib.inference_mode():
        c = lib.ones(2)
    v = c[:1]
    return v.is_inference(), v._is_view(), c.detach().is_inference()


@SCENARIOS
def in_place_on_an_ordinary_leaf_in_inference_mode(lib: Any) -> Any:
    x = lib.ones(2, requires_grad=True)
    with lib.inference_mode():
        x.add_(1)
    return x, x._version


@SCENARIOS.each()
def test_as_in_torch(engine: Any, scenario: Scenario) -> None:
    assert_as_in_torch(scenario, engine)


def test_a_coroutine_runs_in_its_mode(engine: Any) -> None:
    @engine.no_grad()
    async def work() -> bool:
        await asyncio.sleep(0)
        return bool(engine.is_grad_enabled())

    assert asyncio.run(work()) is False
    assert engine.is_grad_enabled()


def test_a_class_cannot_be_decorated(engine: Any) -> None:
    with pytest.raises(TypeError, match="methods"):
        engine.no_grad()(type("Model", (), {}))


def test_saved_tensor_hooks_decorate_functions_and_generators(engine: Any) -> None:
    packed: list[int] = []
    hooks = engine.autograd.graph.saved_tensors_hooks(
        lambda x: (packed.append(1), x.clone())[1], lambda x: x
    )

    @hooks
    def once(x: Any) -> Any:
        return x.exp()

    @hooks
    def twice(x: Any) -> Any:
        yield x.exp()
        yield x.exp()

    x = engine.ones(2, requires_grad=True)
    y = once(x)
    assert packed == [1]
    for made in twice(x):
        x.exp()  # between the steps the hooks are off
        y = y + made
    assert packed == [1, 1, 1]
    y.sum().backward()
    assert x.grad.tolist() == pytest.approx([3 * 2.718281828] * 2, rel=1e-5)

    @engine.autograd.graph.save_on_cpu()
    def kept(x: Any) -> Any:
        return x.sin()

    b = x * 1
    y = kept(b)
    b.zero_()  # what was saved is a copy
    (g,) = engine.autograd.grad(y.sum(), x)
    assert g.tolist() == pytest.approx([0.5403023] * 2, rel=1e-5)
