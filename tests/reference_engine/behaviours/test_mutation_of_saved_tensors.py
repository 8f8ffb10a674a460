"""allow_mutation_on_saved_tensors: values saved are copied when they are about to be written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting
from tests.reference_engine.behaviours.test_function import function


def allowed(torch: Any) -> Any:
    return torch.autograd.graph.allow_mutation_on_saved_tensors()


def test_a_saved_value_may_be_written_and_backward_sees_the_old_one(torch: Any) -> None:
    x = counting(torch, 2)
    with allowed(torch):
        y = x * 1
        z = y.sin()
        y.zero_()
        z.sum().backward()
    assert_values(x.grad, x.detach().cos())


def test_a_saved_output_may_be_written(torch: Any) -> None:
    x = counting(torch, 2)
    with allowed(torch):
        y = x.exp()
        y.mul_(3)
        y.sum().backward()
    assert_values(x.grad, 3 * x.detach().exp())


def test_a_value_saved_twice_may_be_written_between(torch: Any) -> None:
    x = counting(torch, 2)
    with allowed(torch):
        y = x * 1
        a = y**2
        y.mul_(10)
        b = y**2
        y.zero_()
        (a + b).sum().backward()
    assert_values(x.grad, [2.0 + 200.0, 4.0 + 400.0])


def test_a_write_through_a_view_or_a_base_counts(torch: Any) -> None:
    x = counting(torch, 4)
    with allowed(torch):
        y = x * 1
        whole, part = y**2, y[:2] ** 3
        y[:3].zero_()
        y.mul_(5)
        (whole.sum() + part.sum()).backward()
    assert_values(x.grad, [5.0, 16.0, 6.0, 8.0])


def test_a_write_through_a_view_that_starts_further_on_counts(torch: Any) -> None:
    x = counting(torch, 3)
    with allowed(torch):
        y = x * 1
        z = y**2
        y[1:].zero_()
        z.sum().backward()
    # PyTorch finds what was saved by the address of its first element, and misses this one
    rest = [0.0, 0.0] if torch.__name__ == "torch" else [4.0, 6.0]
    assert_values(x.grad, [2.0, *rest])


def test_writes_of_leaves_in_no_grad_count(torch: Any) -> None:
    x = counting(torch, 2)
    with allowed(torch):
        y = (x**2).sum()
        with torch.no_grad():
            x.zero_()
        y.backward()
    assert_values(x.grad, [2.0, 4.0])


def test_item_assignment_counts(torch: Any) -> None:
    x = counting(torch, 2)
    with allowed(torch):
        y = x * 1
        z = y.exp() * y
        y[0] = 100.0
        z.sum().backward()
    assert_values(x.grad, x.detach().exp() * (1 + x.detach()))


def test_backward_has_to_run_inside(torch: Any) -> None:
    x = counting(torch, 2)
    with allowed(torch):
        y = x.sin().sum()
    with pytest.raises(AssertionError):
        y.backward()


def test_it_cannot_be_nested(torch: Any) -> None:
    with allowed(torch), pytest.raises(RuntimeError), allowed(torch):
        pass
    with allowed(torch):
        pass


def test_checks_are_back_after_it(torch: Any) -> None:
    x = counting(torch, 2)
    with allowed(torch):
        pass
    y = x * 1
    z = y.sin().sum()
    y.zero_()
    with pytest.raises(RuntimeError):
        z.backward()


def test_a_graph_of_before_keeps_its_own_checks(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    z = y.sin().sum()
    with allowed(torch):
        y.zero_()
        with pytest.raises(RuntimeError):
            z.backward()


def test_second_derivatives_see_the_old_values(torch: Any) -> None:
    x = counting(torch, 2)
    with allowed(torch):
        y = x * 1
        z = y**3
        (g,) = torch.autograd.grad(z.sum(), y, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), x)
    assert_values(h, [6.0, 12.0])


def test_what_a_custom_function_saved_may_be_written(torch: Any) -> None:
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x.sin()

    made = function(torch, forward, lambda ctx, g: g * ctx.saved_tensors[0].cos())
    x = counting(torch, 2)
    with allowed(torch):
        y = x * 1
        z = made.apply(y)
        y.zero_()
        z.sum().backward()
    assert_values(x.grad, x.detach().cos())


def test_copies_are_made_only_where_something_is_written(torch: Any) -> None:
    x = counting(torch, 2)
    with allowed(torch):
        y, w = x * 1, x * 1
        a, b = y.sin(), w.sin()
        y.zero_()
        written, kept = a.grad_fn._saved_self, b.grad_fn._saved_self
        assert written.data_ptr() != y.data_ptr()
        assert kept.data_ptr() == w.data_ptr()
    assert_values(written, [1.0, 2.0])
