"""Custom Functions: what backward must return, several outputs, derivatives of a backward."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import (
    assert_values,
    counting,
    standing,
)
from tests.reference_engine.behaviours.test_function import function, times


def test_returning_none_means_no_gradient(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    made = function(torch, lambda ctx, x, y: x + y, lambda ctx, g: (None, g))
    made.apply(x, y).sum().backward()
    assert x.grad is None
    (gx,) = torch.autograd.grad(made.apply(x, y).sum(), x, allow_unused=True)
    assert gx is None


def test_trailing_nones_too_many_are_ignored(torch: Any) -> None:
    x = counting(torch, 2)
    function(torch, lambda ctx, x: x * 2, lambda ctx, g: (g * 2, None, None)).apply(
        x
    ).sum().backward()
    assert_values(x.grad, [2.0, 2.0])


@pytest.mark.parametrize("returned", ["too few", "too many", "for a number", "a number", "shape"])
def test_what_backward_returns_must_fit_what_forward_took(torch: Any, returned: str) -> None:
    answer = {
        "too few": lambda g: g,
        "too many": lambda g: (g, None, g),
        "for a number": lambda g: (g, g),
        "a number": lambda g: (3.0, None),
        "shape": lambda g: (torch.ones(5), None),
    }[returned]
    made = function(torch, lambda ctx, x, n: x * n, lambda ctx, g: answer(g))
    x = counting(torch, 2)
    with pytest.raises(RuntimeError):
        made.apply(x, 2.0).sum().backward()
    assert x.grad is None


def test_a_gradient_of_a_broadcast_shape_or_other_precision_is_fitted(torch: Any) -> None:
    x = torch.ones(2, dtype=torch.float32, requires_grad=True)
    made = function(
        torch, lambda ctx, x: x * 2, lambda ctx, g: torch.ones(3, 2, dtype=torch.float64)
    )
    made.apply(x).sum().backward()
    assert x.grad.dtype is torch.float32
    assert_values(x.grad, [3.0, 3.0])


def test_gradients_of_inputs_that_need_none_are_dropped(torch: Any) -> None:
    x, c = counting(torch, 2), torch.ones(2)
    function(torch, lambda ctx, x, c: x + c, lambda ctx, g: (g, g)).apply(x, c).sum().backward()
    assert c.grad is None
    assert_values(x.grad, [1.0, 1.0])


def test_the_same_tensor_as_two_arguments_gets_both_gradients(torch: Any) -> None:
    x = counting(torch, 2)
    made = function(torch, lambda ctx, a, b: a * 2 + b, lambda ctx, g: (2 * g, 5 * g))
    made.apply(x, x).sum().backward()
    assert_values(x.grad, [7.0, 7.0])


def test_outputs_that_are_no_tensors_pass_through(torch: Any) -> None:
    def backward(ctx: Any, *grads: Any) -> Any:
        assert [g is None for g in grads] == [True, False, True]
        return grads[1]

    made = function(torch, lambda ctx, x: ("a", x * 2, None), backward)
    x = counting(torch, 2)
    text, y, nothing = made.apply(x)
    assert (text, nothing) == ("a", None)
    y.sum().backward()
    assert_values(x.grad, [1.0, 1.0])


def test_several_outputs_share_one_node_and_arrive_together(torch: Any) -> None:
    calls = []

    def backward(ctx: Any, g: Any, h: Any) -> Any:
        calls.append((g.tolist(), h.tolist()))
        return g + 10 * h

    made = function(torch, lambda ctx, x: (x * 1, x * 2), backward)
    x = counting(torch, 2)
    a, b = made.apply(x)
    assert a.grad_fn is b.grad_fn
    assert (a.output_nr, b.output_nr) == (0, 1)
    (a.sum() + (b * 2).sum()).backward()
    assert calls == [([1.0, 1.0], [2.0, 2.0])]
    assert_values(x.grad, [21.0, 21.0])


def test_non_differentiable_outputs_are_plain(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        y, order = x.sort(descending=True)
        large = x > 1.5
        rounded = x.round()
        ctx.mark_non_differentiable(order, large, rounded)
        return y, order, large, rounded

    def backward(ctx: Any, g: Any, *rest: Any) -> Any:
        return g.flip(0)

    x = counting(torch, 2)
    y, order, large, rounded = function(torch, forward, backward).apply(x)
    assert standing(y) == (True, False, True)
    for constant in (order, large, rounded):
        assert standing(constant) == (False, True, False)
    (y * torch.tensor([1.0, 5.0]) + rounded).sum().backward()
    assert_values(x.grad, [5.0, 1.0])


def test_backward_may_be_differentiated_when_it_is_made_of_operations(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    made = function(torch, forward, lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2)
    x = counting(torch, 2)
    (g,) = torch.autograd.grad(made.apply(x).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    assert_values(h, [6.0, 12.0])
    assert_values(torch.autograd.grad(h.sum(), x)[0], [6.0, 6.0])


def test_once_differentiable_refuses_a_second_time_only_when_asked(torch: Any) -> None:
    once = torch.autograd.function.once_differentiable
    seen = []

    def backward(ctx: Any, g: Any) -> Any:
        seen.append(torch.is_grad_enabled())
        return g * 2

    made = function(torch, lambda ctx, x: x * 2, once(backward))
    x = counting(torch, 2)
    made.apply(x).sum().backward()
    assert_values(x.grad, [2.0, 2.0])
    (g,) = torch.autograd.grad((made.apply(x) ** 2).sum(), x, create_graph=True)
    assert g.requires_grad
    with pytest.raises(RuntimeError):
        g.sum().backward()
    assert seen == [False, False]


def test_vjp_is_another_name_for_backward_but_not_beside_it(torch: Any) -> None:
    methods = {"forward": lambda ctx, x: x * 2, "vjp": lambda ctx, g: g * 7}
    made = type(
        "Named", (torch.autograd.Function,), {k: staticmethod(v) for k, v in methods.items()}
    )
    x = counting(torch, 2)
    made.apply(x).sum().backward()
    assert_values(x.grad, [7.0, 7.0])
    both = function(torch, lambda ctx, x: x * 2, lambda ctx, g: g, vjp=lambda ctx, g: g)
    with pytest.raises(RuntimeError):
        both.apply(x).sum().backward()


def test_missing_methods_are_noticed_when_they_are_needed(torch: Any) -> None:
    only_forward = type(
        "Half", (torch.autograd.Function,), {"forward": staticmethod(lambda ctx, x: x * 2)}
    )
    x = counting(torch, 2)
    y = only_forward.apply(x)
    assert_values(y, [2.0, 4.0])
    with pytest.raises(NotImplementedError):
        y.sum().backward()
    with pytest.raises(NotImplementedError):
        type("Empty", (torch.autograd.Function,), {}).apply(x)


def test_a_function_is_not_instantiated_and_called(torch: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of what it still allows
        instance = times(torch)()
    with pytest.raises(RuntimeError):
        instance(counting(torch, 2))


def test_an_exception_in_backward_reaches_the_caller_as_it_is(torch: Any) -> None:
    class Special(Exception):
        pass

    def backward(ctx: Any, g: Any) -> Any:
        raise Special("here")

    made = function(torch, lambda ctx, x: x * 2, backward)
    x = counting(torch, 2)
    with pytest.raises(Special, match="here"):
        (made.apply(x) * 2).sum().backward()
    assert torch.is_grad_enabled()
    assert x.grad is None


def test_an_exception_in_forward_leaves_recording_on(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        raise KeyError("early")

    with pytest.raises(KeyError):
        function(torch, forward, lambda ctx, g: g).apply(counting(torch, 2))
    assert torch.is_grad_enabled()


def test_functions_called_inside_a_forward_leave_no_trace(torch: Any) -> None:
    inner = times(torch, 100.0)
    outer = function(torch, lambda ctx, x: inner.apply(x), lambda ctx, g: g * 3)
    x = counting(torch, 2)
    y = outer.apply(x)
    assert_values(y, [100.0, 200.0])
    assert y.grad_fn.next_functions[0][0].variable is x
    y.sum().backward()
    assert_values(x.grad, [3.0, 3.0])


def test_a_backward_may_run_a_graph_of_its_own(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**2

    def backward(ctx: Any, g: Any) -> Any:
        with torch.enable_grad():
            x = ctx.saved_tensors[0].detach().requires_grad_()
            (inner,) = torch.autograd.grad(x**2, x, g)
        return inner

    x = counting(torch, 2)
    function(torch, forward, backward).apply(x).sum().backward()
    assert_values(x.grad, [2.0, 4.0])


def test_a_custom_node_sits_between_its_neighbours_in_the_graph(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    z = function(torch, lambda ctx, a, n, b: a + b, lambda ctx, g: (g, None, g)).apply(x * 2, 1, y)
    parents = [node.name().split("::")[-1] for node, _ in z.grad_fn.next_functions if node]
    assert parents == ["MulBackward0", "AccumulateGrad"]


def test_keyword_arguments_bind_as_in_any_call_with_setup_context(torch: Any) -> None:
    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.seen = inputs[1:]

    def forward(x: Any, by: float = 2.0) -> Any:
        return x * by

    made = function(torch, forward, lambda ctx, g: (g * ctx.seen[0], None), setup_context=setup)
    x = counting(torch, 2)
    made.apply(x).sum().backward()
    assert_values(x.grad, [2.0, 2.0])


def test_tensors_inside_lists_are_not_inputs(torch: Any) -> None:
    x = counting(torch, 2)
    made = function(torch, lambda ctx, xs: xs[0] * 2, lambda ctx, g: None)
    y = made.apply([x])
    assert standing(y) == (False, True, False)


def test_complex_inputs_get_conjugate_cotangents_like_any_operation(torch: Any) -> None:
    def forward(ctx: Any, z: Any) -> Any:
        ctx.save_for_backward(z)
        return z * z

    made = function(torch, forward, lambda ctx, g: 2 * g * ctx.saved_tensors[0].conj())
    z = torch.tensor([1 + 2j], requires_grad=True)
    made.apply(z).abs().sum().backward()
    theirs = z.grad
    z.grad = None
    (z * z).abs().sum().backward()
    assert_values(theirs, z.grad)


def test_setup_context_and_ctx_in_forward_do_not_mix_attributes(torch: Any) -> None:
    """With setup_context, forward sees plain arguments and ctx is filled after it has run."""
    order = []

    def forward(x: Any) -> Any:
        order.append("forward")
        return x * 2

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        order.append(("setup", len(inputs), output.requires_grad))

    made = function(torch, forward, lambda ctx, g: g * 2, setup_context=setup)
    made.apply(counting(torch, 2))
    assert order == ["forward", ("setup", 1, False)]


def test_a_list_of_gradients_and_a_complex_gradient_of_a_real_input_are_refused(
    torch: Any,
) -> None:
    for answer in (lambda g: [g], lambda g: g * 1j):

        class Unfit(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                return x * 1

            @staticmethod
            def backward(ctx: Any, g: Any, answer: Any = answer) -> Any:
                return answer(g)

        for x in (counting(torch, 2), counting(torch, 2) * 1):
            with pytest.raises(RuntimeError):
                Unfit.apply(x).sum().backward()


def test_tensors_given_by_name_get_gradients(torch: Any) -> None:
    class Times(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, True)
            return g * w, g * x

    x, w = counting(torch, 2), counting(torch, 2) * 10
    w.retain_grad()
    Times.apply(x, w=w).sum().backward()
    assert_values(x.grad, [10.0, 20.0])
    assert_values(w.grad, [1.0, 2.0])
    x.grad = w.grad = None
    Times.apply(w=w.detach().requires_grad_(), x=x).sum().backward()
    assert_values(x.grad, [10.0, 20.0])
