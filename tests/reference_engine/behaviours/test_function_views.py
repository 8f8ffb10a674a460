"""Custom Functions that modify inputs, return them as they are, or return views of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, standing, warns
from tests.reference_engine.behaviours.test_function import function


def doubling_in_place(torch: Any, *, marks: bool = True) -> Any:
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(2)
        if marks:
            ctx.mark_dirty(x)
        return x

    return function(torch, forward, lambda ctx, g: g * 2)


def test_a_dirty_input_is_returned_as_itself_with_the_new_history(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 3
    z = doubling_in_place(torch).apply(y)
    assert z is y
    assert "Made" in y.grad_fn.name()
    z.sum().backward()
    assert_values(x.grad, [6.0, 6.0])


def test_a_dirty_input_counts_a_version(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    saved = y.sin()
    before = y._version
    doubling_in_place(torch).apply(y)
    assert y._version > before
    with pytest.raises(RuntimeError):
        saved.sum().backward()


def test_a_leaf_that_requires_grad_cannot_be_dirty(torch: Any) -> None:
    x = counting(torch, 2)
    with pytest.raises(RuntimeError):
        doubling_in_place(torch).apply(x)


def test_a_dirty_plain_tensor_becomes_tracked_by_the_other_inputs(torch: Any) -> None:
    def forward(ctx: Any, buffer: Any, x: Any) -> Any:
        buffer.add_(x)
        ctx.mark_dirty(buffer)
        return buffer

    buffer, x = torch.zeros(2), counting(torch, 2)
    made = function(torch, forward, lambda ctx, g: (g, g * 5))
    out = made.apply(buffer, x)
    assert out is buffer
    assert standing(buffer) == (True, False, True)
    buffer.sum().backward()
    assert_values(x.grad, [5.0, 5.0])


def test_a_dirty_input_must_be_returned(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mark_dirty(x)
        return x * 2

    with pytest.raises(RuntimeError):
        function(torch, forward, lambda ctx, g: g).apply(counting(torch, 2) * 1)


def test_marking_what_is_no_input_warns(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        y = x * 2
        ctx.mark_dirty(y)
        return y

    x = counting(torch, 2)
    with warns():
        y = function(torch, forward, lambda ctx, g: g * 2).apply(x)
    y.sum().backward()
    assert_values(x.grad, [2.0, 2.0])


def test_a_dirty_view_passes_the_history_on_to_its_base(torch: Any) -> None:
    x = counting(torch, 3)
    y = x * 1
    v = y[1:]
    doubling_in_place(torch).apply(v)
    assert_values(y, [1.0, 4.0, 6.0])
    y.sum().backward()
    assert_values(x.grad, [1.0, 2.0, 2.0])


def test_a_dirty_view_next_to_another_output_is_refused(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        x.mul_(2)
        ctx.mark_dirty(x)
        return x, x * 1

    made = function(torch, forward, lambda ctx, g, h: g * 2 + h)
    y = counting(torch, 3) * 1
    with pytest.raises(RuntimeError):
        made.apply(y[1:])


def test_an_input_returned_as_it_is_becomes_a_new_tensor_with_the_functions_history(
    torch: Any,
) -> None:
    made = function(torch, lambda ctx, x: x, lambda ctx, g: g * 10)
    x = counting(torch, 2)
    y = made.apply(x)
    assert y is not x
    assert y.data_ptr() == x.data_ptr()
    assert standing(x) == (True, True, False)
    y.sum().backward()
    assert_values(x.grad, [10.0, 10.0])


def test_an_input_returned_as_it_is_cannot_be_written_afterwards(torch: Any) -> None:
    made = function(torch, lambda ctx, x: x, lambda ctx, g: g)
    y = made.apply(counting(torch, 2) * 1)
    with pytest.raises(RuntimeError):
        y.mul_(2)


def test_a_view_of_an_input_cannot_be_written_afterwards(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    v = function(torch, lambda ctx, x: x.view(2, 1), lambda ctx, g: g.view(2) * 3).apply(y)
    assert v._is_view()
    with pytest.raises(RuntimeError):
        v.add_(1)
    v.sum().backward()
    assert_values(x.grad, [3.0, 3.0])


def test_one_of_two_views_of_an_input_cannot_be_written_afterwards(torch: Any) -> None:
    made = function(torch, lambda ctx, x: (x[:1], x[1:]), lambda ctx, g, h: torch.cat([g, h]))
    x = counting(torch, 2)
    a, b = made.apply(x * 1)
    with pytest.raises(RuntimeError):
        a.mul_(2)
    (a * b).sum().backward()
    assert_values(x.grad, [2.0, 1.0])


def test_a_result_that_is_no_view_can_be_written_afterwards(torch: Any) -> None:
    x = counting(torch, 2)
    y = function(torch, lambda ctx, x: x.clone(), lambda ctx, g: g * 3).apply(x)
    y.mul_(2)
    y.sum().backward()
    assert_values(x.grad, [6.0, 6.0])


def test_an_input_returned_unmarked_and_non_differentiable_is_detached(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.mark_non_differentiable(x)
        return x, x * 2

    x = counting(torch, 2)
    same, y = function(torch, forward, lambda ctx, g, h: h * 2).apply(x)
    assert not same.requires_grad
    assert same.data_ptr() == x.data_ptr()
    y.sum().backward()
    assert_values(x.grad, [2.0, 2.0])


def test_what_a_function_saved_can_be_detached_in_place_since(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    x = counting(torch, 2)
    y = x * 3
    z = function(torch, forward, lambda ctx, g: g * 2 * ctx.saved_tensors[0]).apply(y)
    y.detach_()
    z.sum().backward()
    assert_values(x.grad, [18.0, 36.0])
