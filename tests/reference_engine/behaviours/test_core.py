"""Running backward: roots, inputs, cotangents, what is computed and what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, standing, warns


def test_backward_adds_the_vector_jacobian_product_to_every_leaf(torch: Any) -> None:
    x, y = counting(torch, 3), counting(torch, 2, 3)
    (x * y + y.sin()).backward(torch.full((2, 3), 2.0))
    assert_values(x.grad, (2 * y.detach()).sum(0))
    assert_values(y.grad, 2 * (x.detach() + y.detach().cos()))
    assert standing(x.grad) == (False, True, False)


def test_grad_returns_a_tuple_and_leaves_dot_grad_alone(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    found = torch.autograd.grad((x * y).sum(), [y, x])
    assert isinstance(found, tuple)
    assert_values(found[0], [1.0, 2.0])
    assert_values(found[1], [1.0, 2.0])
    assert x.grad is None
    assert y.grad is None


def test_grad_by_an_intermediate_stops_there(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 3
    ran: list[str] = []
    y.grad_fn.register_hook(lambda *_: ran.append("above"))
    (g,) = torch.autograd.grad((y**2).sum(), y)
    assert_values(g, [6.0, 12.0])
    assert ran == []


def test_a_root_asked_for_gives_its_own_cotangent(torch: Any) -> None:
    y = counting(torch, 2) * 3
    v = torch.tensor([5.0, 7.0])
    (g,) = torch.autograd.grad(y, y, v)
    assert_values(g, [5.0, 7.0])


def test_a_leaf_may_be_a_root(torch: Any) -> None:
    x = torch.tensor(2.0, requires_grad=True)
    x.backward()
    x.backward()
    assert_values(x.grad, 2.0)


def test_several_roots_add_up(torch: Any) -> None:
    x = counting(torch, 2)
    a, b = (x * 2).sum(), x**2
    torch.autograd.backward([a, b], [None, torch.ones(2)])
    assert_values(x.grad, [4.0, 6.0])


def test_the_same_root_given_twice_counts_twice(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 3
    torch.autograd.backward([y, y], [torch.ones(2), torch.full((2,), 10.0)])
    assert_values(x.grad, [33.0, 33.0])


def test_a_root_above_another_root_receives_from_both(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    z = y * 5
    g = torch.autograd.grad([y, z], [x, y], [torch.ones(2), torch.ones(2)])
    assert_values(g[0], [12.0, 12.0])
    assert_values(g[1], [6.0, 6.0])


def test_the_same_input_asked_for_twice_is_answered_twice(torch: Any) -> None:
    x = counting(torch, 2)
    a, b = torch.autograd.grad((x * 3).sum(), [x, x])
    assert_values(a, [3.0, 3.0])
    assert_values(b, [3.0, 3.0])


def test_an_unused_input_is_refused_unless_allowed(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    with pytest.raises(RuntimeError):
        torch.autograd.grad((x * 2).sum(), [x, y])
    a, b = torch.autograd.grad((x * 2).sum(), [x, y], allow_unused=True)
    assert_values(a, [2.0, 2.0])
    assert b is None


def test_materialize_grads_gives_zeros_of_the_inputs_shape_and_dtype(torch: Any) -> None:
    x = counting(torch, 2)
    y = torch.ones(3, 1, dtype=torch.float32, requires_grad=True)
    g = torch.autograd.grad(x.sum(), [x, y], materialize_grads=True)[1]
    assert_values(g, [[0.0]] * 3)
    assert g.dtype is torch.float32
    assert not g.requires_grad
    with pytest.raises(ValueError, match="allow_unused"):
        torch.autograd.grad(x.sum(), [x, y], materialize_grads=True, allow_unused=False)


def test_inputs_limits_which_leaves_are_filled(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    (x * y).sum().backward(inputs=[x])
    assert_values(x.grad, [1.0, 2.0])
    assert y.grad is None
    (x * y).sum().backward(inputs=y)
    assert_values(y.grad, [1.0, 2.0])
    assert_values(x.grad, [1.0, 2.0])


def test_inputs_may_be_intermediates_which_then_hold_a_grad(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 3
    (y**2).sum().backward(inputs=[x, y], retain_graph=True)
    assert_values(y.grad, [6.0, 12.0])
    assert_values(x.grad, [18.0, 36.0])


def test_inputs_that_nothing_leads_to_are_left_without_a_word(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    (x * 2).sum().backward(inputs=[x, y])
    assert_values(x.grad, [2.0, 2.0])
    assert y.grad is None


def test_no_inputs_at_all_is_refused(torch: Any) -> None:
    x = counting(torch, 2)
    for call in (
        lambda: x.sum().backward(inputs=[]),
        lambda: torch.autograd.grad(x.sum(), []),
    ):
        with pytest.raises(RuntimeError):
            call()
    assert x.grad is None


def test_backward_of_no_roots_does_nothing(torch: Any) -> None:
    x = counting(torch, 2)
    loss = (x * x).sum()
    torch.autograd.backward([])
    assert x.grad is None
    loss.backward()  # its graph has not been freed
    assert_values(x.grad, [2.0, 4.0])
    torch.autograd.backward([])
    assert_values(x.grad, [2.0, 4.0])


def test_nodes_that_lead_to_no_input_do_not_run(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    a, b = x.sin(), y.exp()
    ran = []
    a.grad_fn.register_hook(lambda *_: ran.append("a"))
    b.grad_fn.register_hook(lambda *_: ran.append("b"))
    torch.autograd.grad((a * b).sum(), y)
    assert ran == ["b"]


def test_a_node_of_a_diamond_runs_once_with_the_sum(torch: Any) -> None:
    x = counting(torch, 2)
    shared = x * 1
    seen = []
    shared.grad_fn.register_prehook(lambda grads: seen.append(grads[0].tolist()))
    (shared * 2 + (shared * 3 + shared * shared)).sum().backward()
    assert seen == [[7.0, 9.0]]
    assert_values(x.grad, [7.0, 9.0])


def test_a_second_run_needs_retain_graph_where_values_were_saved(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    assert_values(x.grad, 2 * x.detach().exp())
    with pytest.raises(RuntimeError):
        y.backward()
    assert_values(x.grad, 2 * x.detach().exp())


def test_a_graph_that_saves_nothing_runs_as_often_as_asked(torch: Any) -> None:
    x = counting(torch, 2)
    y = (x + 1 - x.view(2)).sum() + x.sum()
    for _ in range(3):
        y.backward()
    assert_values(x.grad, [3.0, 3.0])


def test_grad_frees_only_the_nodes_that_it_ran(torch: Any) -> None:
    x, y = counting(torch, 2), counting(torch, 2)
    a, b = x.exp(), y.exp()
    torch.autograd.grad((a + b).sum(), x)
    with pytest.raises(RuntimeError):
        a.sum().backward()
    b.sum().backward()
    assert_values(y.grad, y.detach().exp())


def test_create_graph_makes_gradients_that_can_be_differentiated(torch: Any) -> None:
    x = counting(torch, 2)
    y = (x**3).sum()
    (plain,) = torch.autograd.grad(y, x, retain_graph=True)
    assert standing(plain) == (False, True, False)
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    assert standing(g) == (True, False, True)
    assert_values(torch.autograd.grad(g.sum(), x)[0], [6.0, 12.0])


def test_create_graph_keeps_the_graph_unless_told_otherwise(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.exp().sum()
    torch.autograd.grad(y, x, create_graph=True)
    torch.autograd.grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(y, x)


def test_backward_with_create_graph_warns_and_gives_a_tracked_dot_grad(torch: Any) -> None:
    x = counting(torch, 2)
    with warns():
        (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    (second,) = torch.autograd.grad(x.grad.sum(), x)
    assert_values(second, [6.0, 12.0])
    x.grad = None


def test_only_real_scalars_need_no_cotangent(torch: Any) -> None:
    x = counting(torch, 2)
    with pytest.raises(RuntimeError):
        (x * 2).backward()
    with pytest.raises(RuntimeError):
        (x.sum() * 1j).backward()
    (x[:1] * 2).backward()
    assert_values(x.grad, [2.0, 0.0])


def test_a_cotangent_must_have_the_shape_of_its_root(torch: Any) -> None:
    x = counting(torch, 2)
    for shape in ((3,), (1,), (1, 2), ()):
        with pytest.raises(RuntimeError):
            (x * 2).backward(torch.ones(shape))
    with pytest.raises(RuntimeError):
        torch.autograd.backward([x * 2, x * 3], [torch.ones(2)])
    with pytest.raises(TypeError):
        torch.autograd.backward([x * 2], [2.0])
    assert x.grad is None


def test_a_cotangent_of_another_precision_is_cast(torch: Any) -> None:
    x = torch.ones(2, dtype=torch.float32, requires_grad=True)
    (x * 2).backward(torch.full((2,), 3.0, dtype=torch.float64))
    assert x.grad.dtype is torch.float32
    assert_values(x.grad, [6.0, 6.0])
    with pytest.raises(RuntimeError):
        (x * 2).backward(torch.ones(2, dtype=torch.complex128))


def test_the_cotangent_given_is_neither_kept_nor_changed(torch: Any) -> None:
    x = counting(torch, 2)
    v = torch.ones(2)
    x.backward(v)
    (x + 1).backward(v)
    assert_values(v, [1.0, 1.0])
    v.zero_()
    assert_values(x.grad, [2.0, 2.0])


def test_a_tensor_outside_the_graph_is_no_root_and_no_input(torch: Any) -> None:
    x, c = counting(torch, 2), torch.ones(())
    with pytest.raises(RuntimeError):
        c.backward()
    with pytest.raises(RuntimeError):
        torch.autograd.grad(x.sum(), c)
    with torch.no_grad():
        y = x.sum()
    with pytest.raises(RuntimeError):
        y.backward()


def test_an_unused_output_of_an_operation_counts_as_zeros(torch: Any) -> None:
    x = counting(torch, 4)
    first, _, third, _ = x.unbind()
    (first * 2 + third * 5).backward()
    assert_values(x.grad, [2.0, 0.0, 5.0, 0.0])


def test_batched_cotangents_give_stacked_gradients(torch: Any) -> None:
    x, y = counting(torch, 3), counting(torch, 3)
    rows = torch.eye(3)
    a, b = torch.autograd.grad(x * y, [x, y], rows, is_grads_batched=True, retain_graph=True)
    assert_values(a, [[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]])
    assert_values(b, a)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(x * y, x, torch.ones(3), is_grads_batched=True)


def test_batched_cotangents_may_be_differentiated_through(torch: Any) -> None:
    x = counting(torch, 2)
    (rows,) = torch.autograd.grad(x**3, x, torch.eye(2), is_grads_batched=True, create_graph=True)
    assert_values(torch.autograd.grad(rows.sum(), x)[0], [6.0, 12.0])


def test_recording_is_off_during_backward_unless_a_graph_is_made(torch: Any) -> None:
    x = counting(torch, 2)
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append((torch.is_grad_enabled(), g.requires_grad)))
    torch.autograd.grad(y.sum(), x, retain_graph=True)
    v = torch.ones((), requires_grad=True)
    with torch.no_grad():
        torch.autograd.grad(y, x, torch.ones(2), create_graph=True)
    torch.autograd.grad(y.sum(), x, v, create_graph=True)
    assert seen == [(False, False), (True, False), (True, True)]


def test_a_failed_run_leaves_modes_as_they_were(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.exp()

    def fail(_: Any) -> None:
        raise KeyError("from a hook")

    handle = y.register_hook(fail)
    with pytest.raises(KeyError):
        y.sum().backward()
    assert torch.is_grad_enabled()
    handle.remove()
    z = x * 2
    z.sum().backward()
    assert_values(x.grad, [2.0, 2.0])


def test_zeros_that_stand_for_unused_gradients_can_be_differentiated(torch: Any) -> None:
    x = counting(torch, 2)
    other = counting(torch, 2)
    (zeros,) = torch.autograd.grad(x.sum(), other, create_graph=True, materialize_grads=True)
    assert zeros.requires_grad
    (again,) = torch.autograd.grad(zeros.sum(), other, materialize_grads=True)
    assert_values(again, [0.0, 0.0])


def test_places_that_are_no_tensors_are_refused(torch: Any) -> None:
    x = counting(torch, 2)
    y = (x * 2).sum()
    for unfit in ("x", None, (y.grad_fn, 0)):
        with pytest.raises(RuntimeError):
            torch.autograd.grad(y, [unfit], retain_graph=True)
        with pytest.raises(RuntimeError):
            y.backward(inputs=[unfit], retain_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad((), x)
    with pytest.raises(TypeError):
        (x * 2).backward(np.ones(2))
    assert x.grad is None
