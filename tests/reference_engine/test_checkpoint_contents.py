"""What may stand inside of a checkpoint: other checkpoints, modes, hooks, modules, writes."""

from __future__ import annotations

from typing import Any

from tests.reference_engine.checkpoints import Counted, assert_alike, kept, leaf, reentrant
from tests.reference_engine.outcome import Scenarios

scenario = Scenarios()


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


@scenario.each()
def test_what_is_in_a_checkpoint_behaves_as_in_torch(engine: Any, scenario: Any) -> None:
    assert_alike(scenario, engine)
