"""Custom Functions: what they may do, with PyTorch's results."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

from tests.reference_engine.misuse_of_functions import function
from tests.reference_engine.outcome import Scenario, Scenarios, assert_as_in_torch

SCENARIOS = Scenarios()


def leaf(lib: Any) -> Any:
    return lib.tensor([1.0, 2.0], dtype=lib.float64, requires_grad=True)


def cube(lib: Any) -> Any:
    """x³, its derivative from what it saved."""

    def forward(ctx: Any, x: Any) -> Any:
        y = x * x
        ctx.save_for_backward(x, None, y)
        return y * x

    return function(lib, forward, lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2)


@SCENARIOS
def saved_inputs_are_differentiated_again(lib: Any) -> Any:
    x = leaf(lib)
    (g,) = lib.autograd.grad(cube(lib).apply(x).sum(), x, create_graph=True)
    (gg,) = lib.autograd.grad(g.sum(), x, create_graph=True)
    return g, gg, lib.autograd.grad(gg.sum(), x)


@SCENARIOS
def saved_outputs_are_differentiated_again(lib: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    x = leaf(lib)
    exp = function(lib, forward, lambda ctx, g: g * ctx.saved_tensors[0])
    (g,) = lib.autograd.grad(exp.apply(x).sum(), x, create_graph=True)
    return g, lib.autograd.grad(g.sum(), x)


@SCENARIOS
def a_saved_input_that_was_modified(lib: Any) -> Any:
    x = leaf(lib) * 1
    y = cube(lib).apply(x)
    x.mul_(2)
    y.sum().backward()


@SCENARIOS
def setup_context_with_a_default_argument(lib: Any) -> Any:
    def forward(x: Any, factor: float = 3.0) -> Any:
        return x * factor

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.factor = inputs
        ctx.save_for_backward(x, output)

    def backward(ctx: Any, g: Any) -> Any:
        assert len(ctx.saved_tensors) == 2
        return g * ctx.factor, None

    x = leaf(lib)
    scaled = function(lib, forward, backward, setup_context=staticmethod(setup))
    scaled.apply(x).sum().backward()
    scaled.apply(x, 5.0).sum().backward()
    return x.grad


@SCENARIOS
def what_it_is_told_and_what_is_told_of_it(lib: Any) -> Any:
    seen: list[Any] = []

    def forward(ctx: Any, x: Any, n: Any, z: Any) -> Any:
        seen.append((ctx.needs_input_grad, lib.is_grad_enabled(), x.requires_grad))
        return x * n, None, x + z

    def backward(ctx: Any, *gs: Any) -> Any:
        seen.append([None if g is None else g.tolist() for g in gs])
        return gs[0] * 2, None, gs[0]

    x = leaf(lib)
    y, none, w = function(lib, forward, backward).apply(x, 2, lib.ones(2))
    y.sum().backward()
    return seen, none, y.grad_fn.name(), w.grad_fn is y.grad_fn, y.output_nr, w.output_nr, x.grad


@SCENARIOS
def undefined_gradients_stay_undefined_when_asked(lib: Any) -> Any:
    seen: list[Any] = []

    def forward(ctx: Any, x: Any) -> Any:
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def backward(ctx: Any, a: Any, b: Any) -> Any:
        seen.append((a is None, b.tolist()))

    x = leaf(lib)
    function(lib, forward, backward).apply(x)[1].sum().backward()
    return seen, x.grad


@SCENARIOS
def a_dirty_input(lib: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(3)
        ctx.mark_dirty(x)
        return x

    x = leaf(lib)
    y = x * 1
    z = function(lib, forward, lambda ctx, g: g * 3).apply(y)
    z.sum().backward()
    return x.grad, z is y, y._version, y.grad_fn.name(), y


@SCENARIOS
def a_dirty_view(lib: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(3)
        ctx.mark_dirty(x)
        return x

    x = leaf(lib)
    base = x * 1
    function(lib, forward, lambda ctx, g: g * 3).apply(base[:1])
    (base * base).sum().backward()
    return x.grad, base, base._version


@SCENARIOS
def an_input_returned_as_it_is(lib: Any) -> Any:
    x = leaf(lib)
    y = function(lib, lambda ctx, x: x).apply(x)
    y.sum().backward()
    return x.grad, y is x, y._is_view(), y.grad_fn.name()


@SCENARIOS
def non_differentiable_outputs(lib: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        order, sign = x.argsort(), x.sign()
        ctx.mark_non_differentiable(sign)
        return x * 2, order, sign

    x = leaf(lib)
    y, order, sign = function(lib, forward, lambda ctx, g, *_: g * 2).apply(x)
    y.sum().backward()
    return x.grad, order.requires_grad, sign.requires_grad, sign.is_leaf


@SCENARIOS
def nothing_is_recorded_without_need(lib: Any) -> Any:
    plain = cube(lib).apply(lib.ones(2))
    with lib.no_grad():
        unrecorded = cube(lib).apply(leaf(lib))
    return plain.requires_grad, unrecorded.requires_grad, unrecorded.is_leaf


@SCENARIOS
def once_differentiable_is_differentiable_once(lib: Any) -> Any:
    once = lib.autograd.function.once_differentiable(lambda ctx, g: g * 2)
    x = leaf(lib)
    return lib.autograd.grad(function(lib, backward=once).apply(x).sum(), x, create_graph=True)


@SCENARIOS
def a_jvp_that_returns_no_tensor_is_refused(lib: Any) -> Any:
    forward_ad, found = lib.autograd.forward_ad, []
    for returned in (2.0, None):
        made = type("Sine", (lib.autograd.Function,), {
            "forward": staticmethod(lambda ctx, x: x.sin()),
            "jvp": staticmethod(lambda ctx, tangent, returned=returned: returned),
        })  # fmt: skip
        with forward_ad.dual_level():
            try:
                made.apply(forward_ad.make_dual(lib.ones(2), lib.ones(2)))
            except RuntimeError:
                found.append("refused")
    return found


@SCENARIOS
def backward_runs_backward(lib: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x.sin()

    def backward(ctx: Any, g: Any) -> Any:
        with lib.enable_grad():
            x = ctx.saved_tensors[0].detach().requires_grad_()
            x.sin().backward(g)
        return x.grad

    x = leaf(lib)
    (function(lib, forward, backward).apply(x * 2) * x).sum().backward()
    return x.grad


@SCENARIOS
def its_gradient_is_cast_and_hooked(lib: Any) -> Any:
    x, seen = leaf(lib), []
    y = function(lib, backward=lambda ctx, g: (g * 2).float()).apply(x)
    y.register_hook(lambda g: g * 10)
    y.grad_fn.register_hook(lambda ins, outs: seen.append((len(ins), len(outs))))
    y.sum().backward()
    return x.grad, str(x.grad.dtype).split(".")[-1], seen


@SCENARIOS
def vjp_is_backward(lib: Any) -> Any:
    x = leaf(lib)
    made = function(lib, backward=None, vjp=staticmethod(lambda ctx, g: g * 5))
    made.apply(x).sum().backward()
    return x.grad


@SCENARIOS
def a_dirty_input_among_two_outputs(lib: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(2)
        ctx.mark_dirty(x)
        return x * 3, x

    x = leaf(lib)
    y = x * 1
    u, v = function(lib, forward, lambda ctx, g, h: 6 * g + 2 * h).apply(y)
    (u + v).sum().backward()
    return v is y, v.output_nr, x.grad


@SCENARIOS
def an_input_returned_twice(lib: Any) -> Any:
    x = leaf(lib) * 1
    a, b = function(lib, lambda ctx, x: (x, x), lambda ctx, g, h: g + 2 * h).apply(x)
    return a is b, lib.autograd.grad((a + b * 3).sum(), x)


@SCENARIOS
def the_context_is_the_node(lib: Any) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.factor = 5
        ctx.save_for_backward(x)
        return x * 2

    node = function(lib, forward).apply(leaf(lib)).grad_fn
    return node.factor, node.saved_tensors, node.needs_input_grad, len(node.next_functions)


@SCENARIOS
def a_gradient_nobody_needs_is_dropped(lib: Any) -> Any:
    x, n = leaf(lib), lib.ones(2, dtype=lib.float64)
    function(lib, lambda ctx, x, n: x * n, lambda ctx, g: (g, g)).apply(x, n).sum().backward()
    return x.grad, n.grad


@SCENARIOS
def a_view_it_made_cannot_follow_its_base(lib: Any) -> Any:
    base = leaf(lib) * 1
    y = function(lib, lambda ctx, x: x[:1]).apply(base)
    base.mul_(2)
    return y.grad_fn


@SCENARIOS.each()
def test_as_in_torch(engine: Any, scenario: Scenario) -> None:
    assert_as_in_torch(scenario, engine)


def test_what_saves_its_own_output_is_freed_without_the_garbage_collector(engine: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y

    gc.disable()
    try:
        y = function(engine, forward).apply(leaf(engine) * 1)
        node = ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()
