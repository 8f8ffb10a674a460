"""Checkpoints: the behaviours of ``torch.utils.checkpoint``, each on PyTorch and on the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch as pytorch

from tests.reference_engine.outcome import Scenarios, assert_same, outcome

scenario = Scenarios()


def leaf(lib: Any, *values: float) -> Any:
    return lib.tensor(list(values or (0.5, 1.0, 2.0)), dtype=lib.float64, requires_grad=True)


def kept(lib: Any, function: Any, *args: Any, **options: Any) -> Any:
    """A checkpoint that is not re-entrant."""
    return lib.utils.checkpoint.checkpoint(function, *args, use_reentrant=False, **options)


def reentrant(lib: Any, function: Any, *args: Any, **options: Any) -> Any:
    return lib.utils.checkpoint.checkpoint(function, *args, use_reentrant=True, **options)


class Counted:
    """Calls of a function are counted; it computes sin, exp and a product."""

    def __init__(self) -> None:
        self.calls = 0
        self.finished = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        y = x.sin().exp() * x
        self.finished += 1
        return y * 2


@scenario
def gradients_are_the_function_s(lib: Any) -> Any:
    found = []
    for way in (kept, reentrant):
        x = leaf(lib)
        way(lib, Counted(), x).sum().backward()
        found.append(x.grad)
    return found


@scenario
def the_function_runs_again_in_backward_and_once_only(lib: Any) -> Any:
    found = []
    for way in (kept, reentrant):
        f, x = Counted(), leaf(lib)
        y = way(lib, f, x)
        before = f.calls
        y.sum().backward()
        found.append((before, f.calls))
    return found


@scenario
def a_recomputation_stops_when_it_has_all(lib: Any) -> Any:
    found = []
    for stops in (True, False):
        f, x = Counted(), leaf(lib)
        kept(lib, f, x, early_stop=stops).sum().backward()
        found.append((f.calls, f.finished, x.grad))
    return found


@scenario
def the_context_manager_decides_about_stopping_first(lib: Any) -> Any:
    f, x = Counted(), leaf(lib)
    with lib.utils.checkpoint.set_checkpoint_early_stop(False):
        y = kept(lib, f, x, early_stop=True)
    y.sum().backward()
    return f.finished


@scenario
def several_arguments_and_keywords(lib: Any) -> Any:
    x, y = leaf(lib), leaf(lib)
    made = kept(lib, lambda a, b, scale, flip=False: (a * b * scale).flip(0), x, y, 3.0, flip=True)
    made.sum().backward()
    return made, x.grad, y.grad


@scenario
def several_outputs(lib: Any) -> Any:
    found = []
    for way in (kept, reentrant):
        x = leaf(lib)
        a, b = way(lib, lambda x: (x.sin(), x.exp() * 2), x)
        (a * b).sum().backward()
        found.append(x.grad)
    return found


@scenario
def outputs_that_are_no_tensors(lib: Any) -> Any:
    found = []
    for way in (kept, reentrant):
        x = leaf(lib)
        y, word, nothing = way(lib, lambda x: (x.sin(), "word", None), x)
        y.sum().backward()
        found.append((word, nothing, x.grad))
    return found


@scenario
def captured_tensors_get_gradients(lib: Any) -> Any:
    found = []
    for way in (kept, reentrant):
        x, w = leaf(lib), leaf(lib)
        way(lib, lambda x: x.sin() * w, x).sum().backward()  # noqa: B023
        found.append((x.grad, w.grad))
    return found


@scenario
def structures_as_arguments_are_followed_unless_reentrant(lib: Any) -> Any:
    x = leaf(lib)
    kept(lib, lambda d: d["x"][0].sin(), {"x": [x]}).sum().backward()
    y = leaf(lib)
    made = reentrant(lib, lambda d: d["x"][0].sin(), {"x": [y]})
    return x.grad, made.requires_grad


@scenario
def gradients_through_a_chain_of_checkpoints(lib: Any) -> Any:
    found = []
    for way in (kept, reentrant):
        x = leaf(lib)
        y = x
        for _ in range(3):
            y = way(lib, lambda y: y.sin() * y, y)
        y.sum().backward()
        found.append(x.grad)
    return found


@scenario
def a_checkpoint_in_a_checkpoint(lib: Any) -> Any:
    found = []
    for way in (kept, reentrant):
        inner, x = Counted(), leaf(lib)
        y = way(lib, lambda x: way(lib, inner, x.exp()).cos(), x)  # noqa: B023
        y.sum().backward()
        found.append(x.grad)
    return found


@scenario
def an_inner_checkpoint_runs_three_times_in_all(lib: Any) -> Any:
    inner, x = Counted(), leaf(lib)
    kept(lib, lambda x: kept(lib, inner, x.exp()).cos().exp(), x).sum().backward()
    return inner.calls


@scenario
def checkpoints_three_deep(lib: Any) -> Any:
    x = leaf(lib)

    def nest(x: Any, depth: int) -> Any:
        return x.sin() * x if depth == 0 else kept(lib, nest, x.exp(), depth - 1).cos()

    kept(lib, nest, x, 3).sum().backward()
    return x.grad


@scenario
def double_backward_through_a_checkpoint(lib: Any) -> Any:
    x = leaf(lib)
    y = kept(lib, lambda x: x**3 * x.sin(), x)
    (g,) = lib.autograd.grad(y.sum(), x, create_graph=True)
    g.pow(2).sum().backward()
    return x.grad


@scenario
def retain_graph_computes_again_for_each_backward(lib: Any) -> Any:
    f, x = Counted(), leaf(lib)
    y = kept(lib, f, x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return f.calls, x.grad


@scenario
def a_second_backward_is_refused(lib: Any) -> Any:
    x = leaf(lib)
    y = kept(lib, Counted(), x).sum()
    y.backward()
    y.backward()


@scenario
def autograd_grad_works(lib: Any) -> Any:
    x = leaf(lib)
    return lib.autograd.grad(kept(lib, Counted(), x).sum(), x)


@scenario
def backward_with_inputs_works(lib: Any) -> Any:
    x, w = leaf(lib), leaf(lib)
    kept(lib, lambda x: x.sin() * w, x).sum().backward(inputs=[w])
    return x.grad, w.grad


@scenario
def in_no_grad_nothing_is_kept(lib: Any) -> Any:
    f = Counted()
    with lib.no_grad():
        y = kept(lib, f, leaf(lib))
    return y, y.requires_grad, f.calls


@scenario
def a_part_in_no_grad_stays_so(lib: Any) -> Any:
    def f(x: Any) -> Any:
        with lib.no_grad():
            c = x.sin()
        return (x * c).exp()

    x = leaf(lib)
    kept(lib, f, x).sum().backward()
    return x.grad


@scenario
def a_custom_function_inside(lib: Any) -> Any:
    class Cube(lib.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * 3 * x**2

    x = leaf(lib)
    kept(lib, lambda x: Cube.apply(x.sin()), x).sum().backward()
    return x.grad


@scenario
def a_saved_tensor_can_be_looked_at_outside_of_backward(lib: Any) -> Any:
    node = kept(lib, lambda x: x.sin(), leaf(lib)).grad_fn
    return node._saved_self, node._saved_self


@scenario
def in_place_inside(lib: Any) -> Any:
    x = leaf(lib)
    kept(lib, lambda x: (x * 1).mul_(x).sin_().exp(), x).sum().backward()
    return x.grad


@scenario
def views_inside(lib: Any) -> Any:
    x = leaf(lib)
    kept(lib, lambda x: (x[1:] * x[:-1]).exp(), x).sum().backward()
    return x.grad


@scenario
def hooks_inside_run_in_backward(lib: Any) -> Any:
    seen = []

    def f(x: Any) -> Any:
        y = x.sin()
        y.register_hook(lambda g: seen.append(g) or g * 2)
        return y.exp()

    x = leaf(lib)
    kept(lib, f, x).sum().backward()
    return len(seen), x.grad


@scenario
def user_hooks_of_saved_tensors_inside(lib: Any) -> Any:
    packed = []

    def pack(x: Any) -> Any:
        packed.append(1)
        return x * 1

    def f(x: Any) -> Any:
        with lib.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            return x.sin()

    x = leaf(lib)
    kept(lib, lambda x: f(x.exp()), x).sum().backward()
    return x.grad


@scenario
def a_module_in_a_checkpoint(lib: Any) -> Any:
    layer = lib.nn.Linear(3, 1).double()
    with lib.no_grad():
        layer.weight.fill_(0.5)
        layer.bias.fill_(-1.0)
    x = leaf(lib)
    kept(lib, lambda x: layer(x).tanh(), x).sum().backward()
    return x.grad, layer.weight.grad, layer.bias.grad


@scenario
def a_result_that_is_not_used_costs_no_second_run(lib: Any) -> Any:
    f, x = Counted(), leaf(lib)
    y = kept(lib, f, x)
    (x * x).sum().backward()
    del y
    return f.calls


@scenario
def a_part_of_the_results_used(lib: Any) -> Any:
    x = leaf(lib)
    a, _ = kept(lib, lambda x: (x.sin(), x.exp()), x)
    a.sum().backward()
    return x.grad


@scenario
def a_sequence_in_segments(lib: Any) -> Any:
    found = []
    for segments in (1, 2, 3):
        for again in (True, False):
            x = leaf(lib)
            steps = [lib.sin, lib.exp, lib.cos, lib.exp]
            y = lib.utils.checkpoint.checkpoint_sequential(steps, segments, x, use_reentrant=again)
            y.sum().backward()
            found.append((y, x.grad))
    return found


@scenario
def a_sequential_module_in_segments(lib: Any) -> Any:
    layers = lib.nn.Sequential(lib.nn.Tanh(), lib.nn.Sigmoid(), lib.nn.Tanh())
    x = leaf(lib)
    sequential = lib.utils.checkpoint.checkpoint_sequential
    sequential(layers, 2, x, use_reentrant=False).sum().backward()
    return x.grad


def assert_alike(scenario: Any, engine: Any) -> None:
    """As ``assert_as_in_torch``, each library with a CheckpointError of its own."""
    expected, got = outcome(scenario, pytorch), outcome(scenario, engine)
    own = engine.utils.checkpoint.CheckpointError
    if expected.raised is pytorch.utils.checkpoint.CheckpointError and got.raised is own:
        expected = replace(expected, raised=own)  # the same class of error, each library's own
    assert_same(expected, got)


@scenario.each()
def test_a_checkpoint_behaves_as_in_torch(engine: Any, scenario: Any) -> None:
    assert_alike(scenario, engine)


def test_values_are_not_kept_between_the_runs(engine: Any) -> None:
    """What a checkpoint is for: the intermediate arrays are gone once the forward has run."""
    from weakref import ref

    alive: list[Any] = []

    def f(x: Any) -> Any:
        y = x.sin()
        alive.append(ref(y._storage))
        return y.exp() * 2

    y = kept(engine, f, leaf(engine))
    assert alive[0]() is None
    y.sum().backward()


def test_a_checkpoint_works_in_a_transform(engine: Any) -> None:
    """PyTorch's transforms refuse saved-tensor hooks for now; there is no reason to."""
    x = engine.tensor([0.5, 1.0], dtype=engine.float64)
    gradient = engine.func.grad(lambda x: kept(engine, lambda x: x.sin() * x, x).sum())
    assert engine.allclose(gradient(x), x.cos() * x + x.sin())


@pytest.mark.parametrize("deep", [1, 4])
def test_a_retained_graph_keeps_no_recomputed_values(engine: Any, deep: int) -> None:
    x = leaf(engine)
    y = x
    for _ in range(deep):
        y = kept(engine, lambda y: y.sin() * y, y)
    y.sum().backward(retain_graph=True)
    first = x.grad.clone()
    x.grad = None
    y.sum().backward()
    assert (x.grad == first).all()
