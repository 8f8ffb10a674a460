"""gradcheck and gradgradcheck: what passes, what fails, and how a failure is told."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import counting, warns
from tests.reference_engine.behaviours.test_function import function


def wrong(torch: Any, factor: float = 3.0) -> Any:
    """x² with a gradient that is off by a factor."""

    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    return function(torch, forward, lambda ctx, g: factor * g * ctx.saved_tensors[0]).apply


def test_a_right_gradient_passes_and_returns_true(torch: Any) -> None:
    assert torch.autograd.gradcheck(lambda x: x.sin() * x, (counting(torch, 3),)) is True


def test_inputs_may_be_one_tensor_or_several_and_more(torch: Any) -> None:
    check = torch.autograd.gradcheck
    x, y = counting(torch, 2), counting(torch, 2, 2)
    assert check(torch.exp, x)
    assert check(lambda a, n, b: (a * b) ** n, (x, 3, y))


def test_a_wrong_gradient_raises_an_error_that_is_a_runtime_error(torch: Any) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.autograd.gradcheck(wrong(torch), (counting(torch, 2),))
    assert type(caught.value).__name__ == "GradcheckError"


def test_a_wrong_gradient_is_told_by_false_where_exceptions_are_off(torch: Any) -> None:
    x = counting(torch, 2)
    assert torch.autograd.gradcheck(wrong(torch), (x,), raise_exception=False) is False
    assert torch.autograd.gradcheck(wrong(torch, 2.0), (x,), raise_exception=False) is True


def test_fast_mode_comes_to_the_same(torch: Any) -> None:
    x = counting(torch, 4)
    assert torch.autograd.gradcheck(lambda t: t.exp() * t.flip(0), (x,), fast_mode=True)
    assert not torch.autograd.gradcheck(wrong(torch), (x,), fast_mode=True, raise_exception=False)


def test_something_to_check_is_needed(torch: Any) -> None:
    with pytest.raises(ValueError, match="require"):
        torch.autograd.gradcheck(torch.exp, (torch.ones(2),))


def test_inputs_that_require_no_grad_are_not_checked(torch: Any) -> None:
    x, c = counting(torch, 2), torch.ones(2)

    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(b)
        return a * b

    made = function(torch, forward, lambda ctx, g: (g * ctx.saved_tensors[0], g * 1e9))
    assert torch.autograd.gradcheck(made.apply, (x, c))
    assert not torch.autograd.gradcheck(made.apply, (x, c.requires_grad_()), raise_exception=False)


def test_atol_and_rtol_decide(torch: Any) -> None:
    off = wrong(torch, 2.001)
    x = counting(torch, 2)
    check = torch.autograd.gradcheck
    assert not check(off, (x,), atol=1e-6, rtol=1e-6, raise_exception=False)
    assert check(off, (x,), atol=0.0, rtol=1e-2)
    assert check(off, (x,), atol=1e-2, rtol=0.0)


def test_every_output_is_checked(torch: Any) -> None:
    bad = wrong(torch)
    x = counting(torch, 2)
    assert torch.autograd.gradcheck(lambda t: (t.sin(), t.cos()), (x,))
    assert not torch.autograd.gradcheck(lambda t: (t.sin(), bad(t)), (x,), raise_exception=False)


def test_outputs_outside_the_graph_are_left_out(torch: Any) -> None:
    x = counting(torch, 3)
    assert torch.autograd.gradcheck(lambda t: (t.sin(), t.argmax(), t.detach() * 0 + 1), (x,))


def test_a_function_whose_output_does_not_depend_on_its_input(torch: Any) -> None:
    x = counting(torch, 2)
    assert torch.autograd.gradcheck(lambda t: t * 0 + 5, (x,))
    assert torch.autograd.gradcheck(lambda t: torch.ones(2), (x,), check_undefined_grad=False)


def test_complex_inputs_and_outputs_are_checked(torch: Any) -> None:
    z = torch.tensor([1 + 2j, 0.5 - 1j], requires_grad=True)
    check = torch.autograd.gradcheck
    assert check(lambda t: t * t.conj() * (1 + 2j), (z,))
    assert check(lambda t: t.abs(), (z,))
    assert check(lambda x: x * (2 + 3j), (counting(torch, 2),))


def test_a_missing_conjugate_is_found(torch: Any) -> None:
    def forward(ctx: Any, z: Any) -> Any:
        ctx.save_for_backward(z)
        return z * z

    made = function(torch, forward, lambda ctx, g: 2 * g * ctx.saved_tensors[0]).apply
    z = torch.tensor([1 + 2j], requires_grad=True)
    assert not torch.autograd.gradcheck(made, (z,), raise_exception=False)


def test_a_backward_that_is_not_reproducible_is_refused(torch: Any) -> None:
    state = [0.0]

    def backward(ctx: Any, g: Any) -> Any:
        state[0] += 1e-4
        return g * (2 + state[0])

    made = function(torch, lambda ctx, x: x * 2, backward).apply
    x = counting(torch, 2)
    with pytest.raises(RuntimeError):
        torch.autograd.gradcheck(made, (x,), atol=1.0)
    assert torch.autograd.gradcheck(made, (x,), atol=1.0, nondet_tol=1.0)


def test_a_backward_that_cannot_take_undefined_gradients_is_refused(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    def backward(ctx: Any, g: Any, h: Any) -> Any:
        return g * 2 + h * 3

    made = function(torch, forward, backward).apply
    x = counting(torch, 2)
    with pytest.raises((RuntimeError, TypeError)):
        torch.autograd.gradcheck(made, (x,))


def test_undefined_cotangents_must_come_to_nothing(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.set_materialize_grads(False)
        return x * 2

    x = counting(torch, 2)
    made = function(torch, forward, lambda ctx, g: torch.ones(2) * 2 if g is None else g * 2).apply
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that this check is new
        with pytest.raises(RuntimeError):
            torch.autograd.gradcheck(made, (x,))
    assert torch.autograd.gradcheck(made, (x,), check_undefined_grad=False)
    kind = function(torch, forward, lambda ctx, g: None if g is None else g * 2).apply
    assert torch.autograd.gradcheck(kind, (x,))


def test_a_result_cut_off_from_its_input_is_noticed(torch: Any) -> None:
    x = counting(torch, 2)
    assert not torch.autograd.gradcheck(lambda t: t.detach() * 2, (x,), raise_exception=False)
    assert torch.autograd.gradcheck(lambda t: t.detach() * 0 + 2, (x,))


def test_gradients_of_the_wrong_dtype_or_shape_are_refused(torch: Any) -> None:
    x = counting(torch, 2)
    bad = function(torch, lambda ctx, t: t * 2, lambda ctx, g: torch.ones(7)).apply
    with pytest.raises(RuntimeError):
        torch.autograd.gradcheck(bad, (x,))


def test_inputs_of_low_precision_are_warned_about(torch: Any) -> None:
    x = torch.ones(2, dtype=torch.float32, requires_grad=True)
    with warns():
        torch.autograd.gradcheck(lambda t: t * 2, (x,), eps=1e-2, atol=1e-2)


def test_an_input_with_several_elements_in_one_place_is_refused(torch: Any) -> None:
    x = torch.ones(1).expand(3).requires_grad_()
    with pytest.raises(RuntimeError):
        torch.autograd.gradcheck(lambda t: t * 2, (x,))


def test_inputs_are_left_as_they_were(torch: Any) -> None:
    x = counting(torch, 3)
    before = x.detach().clone()
    torch.autograd.gradcheck(lambda t: t.exp(), (x,))
    assert bool((x == before).all())
    assert x.grad is None


def test_an_error_of_the_function_itself_passes(torch: Any) -> None:
    def fail(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        torch.autograd.gradcheck(fail, (counting(torch, 2),), raise_exception=False)


def test_functions_that_write_in_place_are_checked_on_copies(torch: Any) -> None:
    def write(x: Any) -> Any:
        y = x.clone()
        y[0] = y[1] * 3
        return y.mul_(x)

    assert torch.autograd.gradcheck(write, (counting(torch, 3),))


def test_views_of_the_input_may_be_returned(torch: Any) -> None:
    assert torch.autograd.gradcheck(lambda x: x.t()[1:], (counting(torch, 2, 3),))
    assert torch.autograd.gradcheck(lambda x: x.unbind(), (counting(torch, 2, 3),))


def test_a_second_derivative_is_checked_apart_from_the_first(torch: Any) -> None:
    once = torch.autograd.function.once_differentiable

    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    def frozen(ctx: Any, g: Any) -> Any:
        return 3 * g * ctx.saved_tensors[0].detach() ** 2

    x = counting(torch, 2)
    made = function(torch, forward, frozen).apply
    assert torch.autograd.gradcheck(made, (x,))
    assert torch.autograd.gradgradcheck(lambda t: t**3, (x,))
    assert not torch.autograd.gradgradcheck(made, (x,), raise_exception=False)
    with pytest.raises(RuntimeError):
        torch.autograd.gradgradcheck(function(torch, forward, once(frozen)).apply, (x,))


def test_gradgradcheck_takes_cotangents_and_makes_them_otherwise(torch: Any) -> None:
    x = counting(torch, 2)
    v = torch.tensor([0.5, -2.0], requires_grad=True)
    check = torch.autograd.gradgradcheck
    assert check(lambda t: t.exp(), (x,), (v,))
    assert check(lambda t: (t.exp(), t.sin()), (x,), gen_non_contig_grad_outputs=True)


def test_an_empty_input_or_output_is_fine(torch: Any) -> None:
    assert torch.autograd.gradcheck(lambda x: x * 2, (torch.ones(0, requires_grad=True),))
    assert torch.autograd.gradcheck(lambda x: x[:0], (counting(torch, 2),))


def test_a_check_of_neither_mode_is_refused(torch: Any) -> None:
    x = counting(torch, 2)
    with pytest.raises(AssertionError):
        torch.autograd.gradcheck(
            lambda t: t * 2, (x,), check_backward_ad=False, check_forward_ad=False
        )


def test_batched_gradients_can_be_checked(torch: Any) -> None:
    x = counting(torch, 3)
    assert torch.autograd.gradcheck(lambda t: t * t.sum(), (x,), check_batched_grad=True)


def test_forward_mode_is_checked_when_asked_for(torch: Any) -> None:
    x, z = counting(torch, 3), torch.tensor([1 + 2j], requires_grad=True)
    for options in ({"check_backward_ad": False}, {}, {"fast_mode": True}):
        assert torch.autograd.gradcheck(
            lambda t: t.sin() * t.flip(0), (x,), check_forward_ad=True, **options
        )
        assert torch.autograd.gradcheck(
            lambda t: t * t.conj() * (1 + 2j), (z,), check_forward_ad=True, **options
        )


def test_forward_over_reverse_is_checked_when_asked_for(torch: Any) -> None:
    x = counting(torch, 2)
    assert torch.autograd.gradgradcheck(lambda t: t.exp() * t, (x,), check_fwd_over_rev=True)
