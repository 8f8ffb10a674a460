"""Custom Functions: context, what is saved, what backward gets and must return, misuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, standing


def function(torch: Any, forward: Any, backward: Any, **more: Any) -> Any:
    """A Function of a forward and a backward."""
    methods = {"forward": forward, "backward": backward, **more}
    return type(
        "Made", (torch.autograd.Function,), {k: staticmethod(v) for k, v in methods.items()}
    )


def times(torch: Any, by: float = 2.0) -> Any:
    return function(torch, lambda ctx, x: x * by, lambda ctx, g: g * by)


def test_forward_runs_unrecorded_and_backward_decides_the_gradient(torch: Any) -> None:
    seen = []

    def forward(ctx: Any, x: Any) -> Any:
        seen.append((torch.is_grad_enabled(), x.requires_grad))
        return x.exp()

    made = function(torch, forward, lambda ctx, g: g * 100)
    x = counting(torch, 2)
    y = made.apply(x)
    assert seen == [(False, True)]
    assert standing(y) == (True, False, True)
    y.sum().backward()
    assert_values(x.grad, [100.0, 100.0])


def test_the_node_is_named_after_the_function(torch: Any) -> None:
    class Doubling(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    y = Doubling.apply(counting(torch, 2))
    assert y.grad_fn.name() == "DoublingBackward"
    assert type(y.grad_fn).__name__ == "DoublingBackward"
    assert repr(y) == "tensor([2., 4.], grad_fn=<DoublingBackward>)"


def test_ctx_is_the_node_and_carries_attributes(torch: Any) -> None:
    contexts = []

    def forward(ctx: Any, x: Any, n: int) -> Any:
        ctx.n = n
        contexts.append(ctx)
        return x**n

    def backward(ctx: Any, g: Any) -> Any:
        contexts.append(ctx)
        return g * ctx.n, None

    x = counting(torch, 2)
    y = function(torch, forward, backward).apply(x, 3)
    y.sum().backward()
    assert contexts[0] is contexts[1] is y.grad_fn
    assert_values(x.grad, [3.0, 3.0])


def test_setup_context_separates_forward_from_what_is_kept(torch: Any) -> None:
    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        x, n = inputs
        ctx.n = n
        ctx.save_for_backward(x, output)

    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        return g * ctx.n * y / x, None

    made = function(torch, lambda x, n: x**n, backward, setup_context=setup)
    x = counting(torch, 2)
    made.apply(x, 3).sum().backward()
    assert_values(x.grad, [3.0, 12.0])


def test_needs_input_grad_has_an_entry_for_every_argument(torch: Any) -> None:
    seen = []

    def backward(ctx: Any, g: Any) -> Any:
        seen.append(tuple(ctx.needs_input_grad))
        return g, None, None, None

    def forward(ctx: Any, x: Any, y: Any, s: Any, n: Any) -> Any:
        seen.append(tuple(ctx.needs_input_grad))
        return x + y

    x = counting(torch, 2)
    function(torch, forward, backward).apply(x, torch.ones(2), "text", 3).sum().backward()
    assert seen == [(True, False, False, False)] * 2


def test_without_tracked_inputs_the_result_is_plain(torch: Any) -> None:
    made = times(torch)
    assert standing(made.apply(torch.ones(2))) == (False, True, False)
    with torch.no_grad():
        assert standing(made.apply(counting(torch, 2))) == (False, True, False)


def test_saved_tensors_are_the_inputs_themselves(torch: Any) -> None:
    saved = []

    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save_for_backward(x, None, y)
        return x * y

    def backward(ctx: Any, g: Any) -> Any:
        saved.extend(ctx.saved_tensors)
        return g * saved[2], g * saved[0]

    x, y = counting(torch, 2), counting(torch, 2)
    function(torch, forward, backward).apply(x, y * 3).sum().backward()
    assert saved[0] is x
    assert saved[1] is None
    assert standing(saved[2]) == (True, False, True)
    assert_values(x.grad, [3.0, 6.0])
    assert_values(y.grad, [3.0, 6.0])


def test_a_saved_output_is_connected_to_its_own_node(torch: Any) -> None:
    found = []

    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        found.append(y.grad_fn is ctx)
        return g * y

    x = counting(torch, 2)
    y = function(torch, forward, backward).apply(x)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    g.sum().backward()
    assert found == [True, True]
    assert_values(x.grad, x.detach().exp())


def test_saving_twice_keeps_the_last_only(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x, x)
        ctx.save_for_backward(x * 5)
        return x * 1

    made = function(torch, forward, lambda ctx, g: g * ctx.saved_tensors[0])
    x = counting(torch, 2)
    y = made.apply(x)
    assert len(y.grad_fn.saved_tensors) == 1
    y.sum().backward()
    assert_values(x.grad, [5.0, 10.0])


def test_saved_tensors_are_version_checked_and_freed(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    made = function(torch, forward, lambda ctx, g: 2 * g * ctx.saved_tensors[0])
    x = counting(torch, 2)
    y = x * 1
    z = made.apply(y)
    z.sum().backward(retain_graph=True)
    y.add_(1)
    with pytest.raises(RuntimeError):
        z.sum().backward()
    w = made.apply(x)
    w.sum().backward()
    with pytest.raises(RuntimeError):
        _ = w.grad_fn.saved_tensors
    with pytest.raises(RuntimeError):
        w.sum().backward()


def test_only_tensors_and_none_can_be_saved(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(3)
        return x * 1

    with pytest.raises(TypeError):
        function(torch, forward, lambda ctx, g: g).apply(counting(torch, 2))


def test_undefined_gradients_arrive_as_zeros_or_as_none_when_asked(torch: Any) -> None:
    seen = []

    def forward(ctx: Any, x: Any, materialize: bool) -> Any:
        ctx.set_materialize_grads(materialize)
        return x * 1, x.view(1, -1) * 2

    def backward(ctx: Any, g: Any, h: Any) -> Any:
        seen.append(h)
        return g, None

    made = function(torch, forward, backward)
    made.apply(counting(torch, 2), True)[0].sum().backward()
    made.apply(counting(torch, 2), False)[0].sum().backward()
    assert_values(seen[0], [[0.0, 0.0]])
    assert seen[1] is None


def test_forward_may_compute_with_numpy(torch: Any) -> None:
    class PlusOne(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            array = x.numpy()
            array += 1
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    leaf = counting(torch, 2)
    x = leaf * 1
    product = x * x
    assert_values(PlusOne.apply(x), [2.0, 3.0])
    with pytest.raises(RuntimeError):
        product.sum().backward()  # it needs the value before
    with pytest.raises(RuntimeError):
        x.numpy()
    with torch.no_grad():
        assert x.numpy().tolist() == np.asarray(x).tolist() == [2.0, 3.0]
