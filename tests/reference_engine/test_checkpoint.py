"""Checkpoints: the behaviours of ``torch.utils.checkpoint``, each on PyTorch and on the engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.checkpoints import Counted, assert_alike, kept, leaf, reentrant
from tests.reference_engine.outcome import Scenarios

scenario = Scenarios()


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
def a_saved_tensor_can_be_looked_at_outside_of_backward(lib: Any) -> Any:
    node = kept(lib, lambda x: x.sin(), leaf(lib)).grad_fn
    return node._saved_self, node._saved_self


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
