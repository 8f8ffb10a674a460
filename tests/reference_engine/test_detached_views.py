"""In-place operations beside detach, flags, hooks and overlapping memory, as in PyTorch."""

from __future__ import annotations

from typing import Any

from tests.reference_engine.outcome import (
    Scenario,
    Scenarios,
    assert_as_in_torch,
)
from tests.reference_engine.outcome import (
    counting_leaf as leaf,
)

SCENARIOS = Scenarios()


@SCENARIOS
def retain_grad_follows_in_place(lib: Any) -> Any:
    x = leaf(lib, 3)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    (y * y).sum().backward()
    return y.grad, x.grad, y.retains_grad


@SCENARIOS
def requires_grad_on_a_view_of_an_untracked_base(lib: Any) -> Any:
    b = lib.ones(4)
    v = b[:2].requires_grad_()
    (v * 3).sum().backward()
    return v.grad, v.is_leaf, b.requires_grad


@SCENARIOS
def detach_in_place_on_an_intermediate(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = x * 2
    y.detach_()
    z = y * x
    z.sum().backward()
    return x.grad, y.requires_grad, y.is_leaf, y._version


@SCENARIOS
def detach_in_place_of_a_saved_output(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = x.exp()
    z = y + 1
    y.detach_()
    z.sum().backward()
    return x.grad


@SCENARIOS
def saved_again_after_detach_in_place(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = x * 2
    y.detach_()
    z = y * x
    y.requires_grad_()
    w = y * y
    (z + w).sum().backward()
    return x.grad, y.grad, y._version


@SCENARIOS
def detach_in_place_leaves_other_saved_aliases(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = x * 2
    d = y.detach().requires_grad_()
    z = d.sin()
    y.detach_()
    z.sum().backward()
    return d.grad


@SCENARIOS
def views_keep_their_history_when_their_base_is_detached_in_place(lib: Any) -> Any:
    x = leaf(lib, 2, 2)
    y = x * 2
    v = y[0]
    y.detach_()
    v.sum().backward()
    return v.is_leaf, y.is_leaf, x.grad


@SCENARIOS
def modified_after_detach_in_place(lib: Any) -> Any:
    y = leaf(lib, 2) * 2
    y.detach_()
    z = y * leaf(lib, 2)
    y.add_(1)
    z.sum().backward()


@SCENARIOS
def detach_in_place_of_an_output_that_a_second_graph_has_saved(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = x.tanh()
    (d,) = lib.autograd.grad(y, x, lib.ones_like(x), create_graph=True)
    y.detach_()
    return lib.autograd.grad(d.sum(), x)


@SCENARIOS
def detach_in_place_of_an_input_that_a_second_graph_has_saved(lib: Any) -> Any:
    x = leaf(lib, 2)
    y = x * x
    z = y.sin()
    (d,) = lib.autograd.grad(z, x, lib.ones_like(x), create_graph=True)
    y.detach_()
    return lib.autograd.grad(d.sum(), x)


@SCENARIOS
def detach_in_place_of_the_output_that_a_function_has_saved(lib: Any) -> Any:
    class Exp(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0]

    x = leaf(lib, 2)
    y = Exp.apply(x)
    z = y + 1
    y.detach_()
    z.sum().backward()
    return x.grad


@SCENARIOS
def hooks_stay_with_a_tensor_detached_in_place(lib: Any) -> Any:
    x, seen = leaf(lib, 2), []
    y = x * x
    first = y.register_hook(lambda g: seen.append(("first", g.tolist())))
    y.register_hook(lambda g: seen.append(("second", g.tolist())))
    y.detach_()
    y.requires_grad_()
    y.sum().backward()
    first.remove()
    (y * 2).sum().backward()
    return seen, y.grad


@SCENARIOS
def writing_to_the_result_of_logsumexp(lib: Any) -> Any:
    y = lib.logsumexp(leaf(lib, 3), dim=0)
    y.add_(2.0)
    y.backward()


@SCENARIOS
def products_are_no_views(lib: Any) -> Any:
    seen = []
    for shapes in [((3,), (3, 2)), ((2, 3), (3,)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,)),
                   ((2, 2, 3), (3, 2)), ((2, 2, 3), (2, 3, 1))]:  # fmt: skip
        a, b = (lib.ones(*shape, dtype=lib.float64) for shape in shapes)
        with lib.no_grad():
            y = lib.matmul(a, b)
        z = lib.matmul(a.requires_grad_(), b)
        z.detach_()
        y.add_(a.sum())
        seen += [y, z, y._is_view(), z._is_view()]
    return seen


@SCENARIOS
def data_can_be_replaced(lib: Any) -> Any:
    x = leaf(lib, 2)
    x.data = lib.tensor([5.0, 6.0, 7.0], dtype=lib.float64)
    (x * x).sum().backward()
    return x, x.grad, x.requires_grad, x._version


@SCENARIOS
def zero_fill_and_copy(lib: Any) -> Any:
    x = leaf(lib, 3)
    y = x * 1
    y[:1].fill_(4)
    y[1:2].zero_()
    y[2:].copy_(x[:1] * 5)
    y.sum().backward()
    return y, x.grad


@SCENARIOS
def fill_with_a_tracked_scalar(lib: Any) -> Any:
    s, y = leaf(lib, 1), lib.zeros(3, dtype=lib.float64)
    y.fill_(s[0])
    (y * lib.arange(3)).sum().backward()
    return s.grad


@SCENARIOS
def overlapping_views_written_twice(lib: Any) -> Any:
    x = leaf(lib, 4)
    y = x * 1
    y[:3].mul_(2)
    y[1:].mul_(3)
    y[1:3].mul_(y[1:3].detach())
    y.sum().backward()
    return y, x.grad


@SCENARIOS
def copy_between_overlapping_parts(lib: Any) -> Any:
    x = lib.arange(6, dtype=lib.float64)
    x[1:] = x[:-1].clone()
    return x


@SCENARIOS
def hooks_after_in_place(lib: Any) -> Any:
    x, seen = leaf(lib, 2), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("before", g.tolist())))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("after", g.tolist())))
    y.sum().backward()
    return seen


@SCENARIOS.each()
def test_as_in_torch(engine: Any, scenario: Scenario) -> None:
    assert_as_in_torch(scenario, engine)
