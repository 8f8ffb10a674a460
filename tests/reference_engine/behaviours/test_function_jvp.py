"""Custom Functions in forward mode: the static method ``jvp``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting
from tests.reference_engine.behaviours.test_forward_mode import dual, level, tangent_of
from tests.reference_engine.behaviours.test_function import function


def test_jvp_gives_the_tangent_of_the_output(torch: Any) -> None:
    def forward(ctx: Any, x: Any, n: int) -> Any:
        ctx.n = n
        return x * n

    made = function(torch, forward, lambda ctx, g: (g, None), jvp=lambda ctx, t, n: t * ctx.n * 100)
    with level(torch):
        y = made.apply(dual(torch, [1.0, 2.0], [1.0, 10.0]), 3)
        assert_values(y, [3.0, 6.0])
        assert_values(tangent_of(torch, y), [300.0, 3000.0])


@pytest.mark.parametrize("materialize", [True, False])
def test_inputs_without_tangents_come_as_zeros_or_none_as_asked(
    torch: Any, materialize: bool
) -> None:
    seen = []

    def forward(ctx: Any, a: Any, b: Any, text: str) -> Any:
        ctx.set_materialize_grads(materialize)
        return a + b

    def jvp(ctx: Any, s: Any, t: Any, text: Any) -> Any:
        seen.append((None if s is None else s.tolist(), text))
        return t * 1

    made = function(torch, forward, lambda ctx, g: (g, g, None), jvp=jvp)
    with level(torch):
        y = made.apply(torch.ones(2), dual(torch, [1.0, 2.0], [1.0, 10.0]), "text")
        assert_values(tangent_of(torch, y), [1.0, 10.0])
    assert seen == [([0.0, 0.0] if materialize else None, None)]


def test_jvp_is_not_called_without_tangents(torch: Any) -> None:
    def fail(ctx: Any, t: Any) -> Any:
        raise AssertionError

    made = function(torch, lambda ctx, x: x * 2, lambda ctx, g: g * 2, jvp=fail)
    with level(torch):
        y = made.apply(torch.ones(2))
        assert tangent_of(torch, y) is None
    made.apply(counting(torch, 2)).sum().backward()


def test_a_function_without_jvp_refuses_a_dual(torch: Any) -> None:
    made = function(torch, lambda ctx, x: x * 2, lambda ctx, g: g * 2)
    with level(torch), pytest.raises(NotImplementedError):
        made.apply(dual(torch, [1.0], [1.0]))


def test_jvp_reads_what_was_saved_for_forward(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(y)
        ctx.save_for_forward(x, y)
        return y

    def jvp(ctx: Any, t: Any) -> Any:
        _, y = ctx.saved_tensors
        return t * y

    made = function(torch, forward, lambda ctx, g: g * ctx.saved_tensors[0], jvp=jvp)
    with level(torch):
        y = made.apply(dual(torch, [1.0, 2.0], [1.0, 10.0]))
        assert_values(tangent_of(torch, y), y.detach() * torch.tensor([1.0, 10.0]))


def test_several_outputs_have_several_tangents(torch: Any) -> None:
    made = function(
        torch,
        lambda ctx, x: (x * 2, x * 3),
        lambda ctx, g, h: 2 * g + 3 * h,
        jvp=lambda ctx, t: (t * 2, t * 3),
    )
    with level(torch):
        a, b = made.apply(dual(torch, [1.0, 2.0], [1.0, 10.0]))
        assert_values(tangent_of(torch, a), [2.0, 20.0])
        assert_values(tangent_of(torch, b), [3.0, 30.0])


def test_non_differentiable_outputs_have_no_tangent(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        order = x.argsort()
        ctx.mark_non_differentiable(order)
        return x * 2, order

    made = function(torch, forward, lambda ctx, g, h: g * 2, jvp=lambda ctx, t: (t * 2, None))
    with level(torch):
        y, order = made.apply(dual(torch, [2.0, 1.0], [1.0, 10.0]))
        assert_values(tangent_of(torch, y), [2.0, 20.0])
        assert tangent_of(torch, order) is None


def test_a_tangent_of_the_wrong_shape_is_refused(torch: Any) -> None:
    made = function(torch, lambda ctx, x: x * 2, lambda ctx, g: g, jvp=lambda ctx, t: t.sum())
    with level(torch), pytest.raises(RuntimeError):
        made.apply(dual(torch, [1.0, 2.0], [1.0, 1.0]))


def test_the_wrong_number_of_tangents_is_refused(torch: Any) -> None:
    made = function(torch, lambda ctx, x: x * 2, lambda ctx, g: g, jvp=lambda ctx, t: (t, t))
    with level(torch), pytest.raises(RuntimeError):
        made.apply(dual(torch, [1.0, 2.0], [1.0, 1.0]))


def test_jvp_beside_a_tracked_input_gives_both_modes(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return x**2

    made = function(
        torch,
        forward,
        lambda ctx, g: 2 * g * ctx.saved_tensors[0],
        jvp=lambda ctx, t: 2 * t * ctx.saved_tensors[0],
    )
    x = counting(torch, 2)
    with level(torch):
        y = made.apply(dual(torch, x, [1.0, 10.0]))
        assert_values(tangent_of(torch, y), [2.0, 40.0])
    (g,) = torch.autograd.grad(y.sum(), x)
    assert_values(g, [2.0, 4.0])


def test_setup_context_fills_what_jvp_reads(torch: Any) -> None:
    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.by = inputs[1]

    made = function(
        torch,
        lambda x, by: x * by,
        lambda ctx, g: (g * ctx.by, None),
        setup_context=setup,
        jvp=lambda ctx, t, _: t * ctx.by,
    )
    with level(torch):
        y = made.apply(dual(torch, [1.0, 2.0], [1.0, 10.0]), 3.0)
        assert_values(tangent_of(torch, y), [3.0, 30.0])


def test_a_wrong_jvp_is_found_beside_a_right_backward(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    made = function(torch, forward, lambda ctx, g: g * 2, jvp=lambda ctx, t: t * 3).apply
    x = counting(torch, 2)
    assert torch.autograd.gradcheck(made, (x,))
    assert not torch.autograd.gradcheck(made, (x,), check_forward_ad=True, raise_exception=False)
