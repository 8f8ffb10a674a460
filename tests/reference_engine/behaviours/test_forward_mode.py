"""Forward mode: dual tensors, their levels, and tangents through operations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting


def dual(torch: Any, primal: Any, tangent: Any) -> Any:
    """A dual tensor of lists or tensors."""
    values = [torch.tensor(v) if isinstance(v, (list, float)) else v for v in (primal, tangent)]
    return torch.autograd.forward_ad.make_dual(*values)


def tangent_of(torch: Any, y: Any) -> Any:
    return torch.autograd.forward_ad.unpack_dual(y).tangent


def level(torch: Any) -> Any:
    return torch.autograd.forward_ad.dual_level()


def test_what_is_packed_is_unpacked(torch: Any) -> None:
    x, t = torch.ones(2), torch.full((2,), 3.0)
    with level(torch):
        d = torch.autograd.forward_ad.make_dual(x, t)
        primal, tangent = torch.autograd.forward_ad.unpack_dual(d)
        assert_values(primal, x)
        assert_values(tangent, t)
        assert d is not x
        assert tangent_of(torch, x) is None
        assert tangent_of(torch, primal) is None


def test_a_dual_shares_memory_with_its_primal_and_its_tangent(torch: Any) -> None:
    x, t = torch.ones(2), torch.full((2,), 3.0)
    with level(torch):
        d = torch.autograd.forward_ad.make_dual(x, t)
        assert d.data_ptr() == x.data_ptr()
        assert d._is_view()
        t.mul_(2)
        assert_values(tangent_of(torch, d), [6.0, 6.0])


def test_duals_are_made_inside_a_level_only(torch: Any) -> None:
    with pytest.raises(RuntimeError):
        dual(torch, [1.0], [1.0])
    with level(torch):
        dual(torch, [1.0], [1.0])
    with pytest.raises(RuntimeError):
        dual(torch, [1.0], [1.0])


def test_levels_do_not_nest(torch: Any) -> None:
    with level(torch):
        with pytest.raises(RuntimeError), level(torch):
            pass
        assert_values(tangent_of(torch, dual(torch, [1.0], [2.0])), [2.0])


def test_tangents_end_with_their_level(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 1.0])
        y = d * 3
    assert tangent_of(torch, d) is None
    with level(torch):
        assert tangent_of(torch, d) is None
        assert tangent_of(torch, y) is None
        assert tangent_of(torch, d * 2) is None


def test_a_level_ends_when_an_exception_passes(torch: Any) -> None:
    with pytest.raises(KeyError), level(torch):
        raise KeyError
    with level(torch):
        pass


def test_levels_can_be_entered_and_exited_by_functions(torch: Any) -> None:
    forward_ad = torch.autograd.forward_ad
    with pytest.raises(RuntimeError):
        forward_ad.exit_dual_level()
    number = forward_ad.enter_dual_level()
    d = dual(torch, [1.0], [5.0])
    assert_values(forward_ad.unpack_dual(d, level=number).tangent, [5.0])
    forward_ad.exit_dual_level(level=number)
    assert tangent_of(torch, d) is None


def test_a_tangent_must_have_the_shape_of_its_primal(torch: Any) -> None:
    with level(torch):
        for shape in ((3,), (1,), (2, 1), ()):
            with pytest.raises(RuntimeError):
                dual(torch, torch.ones(2), torch.ones(shape))


def test_only_floating_and_complex_tensors_have_tangents(torch: Any) -> None:
    with level(torch):
        whole = torch.ones(2, dtype=torch.int64)
        with pytest.raises(ValueError, match="float"):
            dual(torch, torch.ones(2), whole)
        with pytest.raises(ValueError, match="float"):
            dual(torch, whole, torch.ones(2))


def test_a_dual_cannot_be_made_dual_again(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0], [1.0])
        with pytest.raises(RuntimeError):
            dual(torch, d, [1.0])


def test_the_rules_of_differentiation(torch: Any) -> None:
    x, t = [1.0, 2.0], [1.0, 10.0]
    with level(torch):
        d = dual(torch, x, t)
        p, q = torch.tensor(x), torch.tensor(t)
        assert_values(tangent_of(torch, d.sin()), p.cos() * q)
        assert_values(tangent_of(torch, d * d * d), 3 * p**2 * q)
        assert_values(tangent_of(torch, d.exp() / d), q * p.exp() * (p - 1) / p**2)
        assert_values(tangent_of(torch, (d @ d).sqrt()), (p @ q) / (p @ p).sqrt())


def test_operands_without_tangents_are_constants(torch: Any) -> None:
    c = torch.tensor([5.0, 6.0])
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 1.0])
        for y in (d * c, c * d):
            assert_values(tangent_of(torch, y), c)
        assert_values(tangent_of(torch, d + c), [1.0, 1.0])
        assert_values(tangent_of(torch, 1.0 / d), [-1.0, -0.25])
        assert tangent_of(torch, c * c) is None


def test_tangents_of_both_operands_add_up(torch: Any) -> None:
    with level(torch):
        a = dual(torch, [1.0, 2.0], [1.0, 0.0])
        b = dual(torch, [3.0, 4.0], [0.0, 10.0])
        assert_values(tangent_of(torch, a * b), [3.0, 20.0])
        assert_values(tangent_of(torch, a - b), [1.0, -10.0])
        assert_values(tangent_of(torch, torch.stack([a, b])), [[1.0, 0.0], [0.0, 10.0]])
        assert_values(tangent_of(torch, torch.cat([a, torch.ones(1)])), [1.0, 0.0, 0.0])


def test_broadcasting_broadcasts_tangents(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [[1.0], [2.0]], [[1.0], [10.0]])
        y = d + torch.zeros(3)
        assert_values(tangent_of(torch, y), [[1.0] * 3, [10.0] * 3])
        assert_values(tangent_of(torch, d.expand(2, 2)), [[1.0] * 2, [10.0] * 2])


def test_matrix_products_have_tangents(torch: Any) -> None:
    a, b = counting(torch, 2, 3).detach(), counting(torch, 3, 2).detach()
    with level(torch):
        y = dual(torch, a, torch.ones(2, 3)) @ dual(torch, b, torch.ones(3, 2))
        assert_values(tangent_of(torch, y), torch.ones(2, 3) @ b + a @ torch.ones(3, 2))


def test_reductions_have_tangents(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [[1.0, 5.0], [4.0, 2.0]], [[1.0, 10.0], [100.0, 1000.0]])
        assert_values(tangent_of(torch, d.sum()), 1111.0)
        assert_values(tangent_of(torch, d.mean(0)), [50.5, 505.0])
        assert_values(tangent_of(torch, d.max(1).values), [10.0, 100.0])
        assert_values(tangent_of(torch, d.prod(1)), [15.0, 4200.0])
        assert_values(tangent_of(torch, d.cumsum(1)), [[1.0, 11.0], [100.0, 1100.0]])


def test_indexing_selects_tangents(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0, 3.0], [1.0, 10.0, 100.0])
        assert_values(tangent_of(torch, d[1]), 10.0)
        assert_values(tangent_of(torch, d[torch.tensor([2, 0, 2])]), [100.0, 1.0, 100.0])
        assert_values(tangent_of(torch, d[d > 1]), [10.0, 100.0])
        y = torch.where(torch.tensor([True, False, True]), d, d * 2)
        assert_values(tangent_of(torch, y), [1.0, 20.0, 100.0])


def test_several_outputs_each_have_their_tangent(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0, 3.0], [1.0, 10.0, 100.0])
        assert [tangent_of(torch, y).item() for y in d.unbind()] == [1.0, 10.0, 100.0]
        values, where = d.sort(descending=True)
        assert_values(tangent_of(torch, values), [100.0, 10.0, 1.0])
        assert tangent_of(torch, where) is None


def test_integer_and_boolean_results_have_none(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 1.0])
        for y in (d.argmax(), d > 1, d.long()):
            assert tangent_of(torch, y) is None


def test_a_detached_dual_has_no_tangent_and_a_clone_has(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 10.0])
        assert tangent_of(torch, d.detach()) is None
        assert_values(tangent_of(torch, d.clone()), [1.0, 10.0])


def test_no_grad_does_not_stop_forward_mode(torch: Any) -> None:
    with level(torch), torch.no_grad():
        d = dual(torch, [1.0, 2.0], [1.0, 10.0])
        assert_values(tangent_of(torch, d * 3), [3.0, 30.0])


def test_forward_mode_needs_no_requires_grad_and_gives_none(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 10.0])
        assert not d.requires_grad
        assert not (d * 2).requires_grad


def test_casting_casts_the_tangent(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 10.0])
        t = tangent_of(torch, d.float() * 2)
        assert t.dtype is torch.float32
        assert_values(t, [2.0, 20.0])


def test_views_of_duals_carry_views_of_tangents(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [[1.0, 2.0], [3.0, 4.0]], [[1.0, 10.0], [100.0, 1000.0]])
        assert_values(tangent_of(torch, d.t()), [[1.0, 100.0], [10.0, 1000.0]])
        assert_values(tangent_of(torch, d.view(4)[1:3]), [10.0, 100.0])
        assert_values(tangent_of(torch, d.diagonal()), [1.0, 1000.0])


def test_in_place_operations_update_the_tangent(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 10.0]).clone()
        d.mul_(dual(torch, [1.0, 2.0], [1.0, 10.0]))
        assert_values(tangent_of(torch, d), [2.0, 40.0])
        d.add_(1)
        assert_values(tangent_of(torch, d), [2.0, 40.0])
        d.zero_()
        assert_values(tangent_of(torch, d), [0.0, 0.0])


def test_an_in_place_operation_of_a_tensor_with_itself(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 10.0]).clone()
        d.mul_(d)
        assert_values(d, [1.0, 4.0])
        # PyTorch scales the tangent before it has been used as the other operand's: silently wrong
        expected = 60.0 if torch.__name__ == "torch" else 40.0
        assert_values(tangent_of(torch, d), [2.0, expected])


def test_writing_a_dual_into_a_plain_tensor_gives_it_a_tangent(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 10.0])
        y = torch.ones(2)
        y.mul_(d)
        assert_values(tangent_of(torch, y), [1.0, 10.0])
        z = torch.zeros(2)
        z.copy_(d)
        assert_values(tangent_of(torch, z), [1.0, 10.0])


def test_a_write_through_a_view_updates_the_bases_tangent(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0, 3.0], [1.0, 10.0, 100.0]).clone()
        d[1:].mul_(2)
        assert_values(tangent_of(torch, d), [1.0, 20.0, 200.0])
        d[0] = d[2] * 1
        assert_values(tangent_of(torch, d), [200.0, 20.0, 200.0])


def test_a_write_of_a_dual_through_a_view_gives_the_base_a_tangent(torch: Any) -> None:
    with level(torch):
        y = torch.zeros(3)
        y[1:] = dual(torch, [1.0, 2.0], [1.0, 10.0])
        assert_values(tangent_of(torch, y), [0.0, 1.0, 10.0])


def test_a_write_to_the_base_updates_a_views_tangent(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0], [1.0, 10.0]).clone()
        v = d[1:]
        d.mul_(3)
        assert_values(v, [6.0])
        assert_values(tangent_of(torch, v), [30.0])


def test_the_primal_given_is_not_made_dual_by_writes_to_the_dual(torch: Any) -> None:
    x = torch.tensor([1.0, 2.0])
    with level(torch):
        d = dual(torch, x, [1.0, 10.0])
        d.mul_(2)
        assert_values(x, [2.0, 4.0])
        assert_values(tangent_of(torch, d), [2.0, 20.0])


def test_reverse_over_forward_differentiates_a_tangent(torch: Any) -> None:
    x = counting(torch, 2)
    with level(torch):
        d = dual(torch, x, [1.0, 10.0])
        t = tangent_of(torch, d**3)
    assert t.requires_grad
    (g,) = torch.autograd.grad(t.sum(), x)
    assert_values(g, [6.0, 120.0])


def test_a_tangent_itself_can_require_grad(torch: Any) -> None:
    x, v = torch.tensor([1.0, 2.0]), counting(torch, 2)
    with level(torch):
        t = tangent_of(torch, dual(torch, x, v) ** 3)
    (g,) = torch.autograd.grad(t.sum(), v)
    assert_values(g, [3.0, 12.0])


def test_forward_over_reverse_gives_hessian_vector_products(torch: Any) -> None:
    x = counting(torch, 2)
    with level(torch):
        d = dual(torch, x, [1.0, 10.0])
        y = (d**3).sum() + d.prod()
        (g,) = torch.autograd.grad(y, d, create_graph=True)
        assert_values(g, [3.0 + 2.0, 12.0 + 1.0])
        assert_values(tangent_of(torch, g), [6.0 + 10.0, 120.0 + 1.0])


def test_backward_of_a_dual_reaches_the_leaf(torch: Any) -> None:
    x = counting(torch, 2)
    with level(torch):
        (dual(torch, x, [1.0, 10.0]) * 3).sum().backward()
    assert_values(x.grad, [3.0, 3.0])


def test_the_tangent_and_the_primal_of_a_tracked_dual_are_tracked(torch: Any) -> None:
    x, v = counting(torch, 2), torch.ones(2)
    with level(torch):
        primal, tangent = torch.autograd.forward_ad.unpack_dual(dual(torch, x, v) * x)
        assert primal.requires_grad
        assert tangent.requires_grad
        (g,) = torch.autograd.grad(primal.sum(), x)
        assert_values(g, [2.0, 4.0])


def test_complex_tangents_are_not_conjugated(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1 + 2j], [3 + 1j])
        assert_values(tangent_of(torch, d * d), [2 * (1 + 2j) * (3 + 1j)])
        assert_values(tangent_of(torch, d.conj()), [3 - 1j])
        assert_values(tangent_of(torch, d.real), [3.0])
        size = tangent_of(torch, d.abs())
        assert_values(size, [(1 * 3 + 2 * 1) / 5**0.5])


def test_operations_of_python_numbers_and_shapes_keep_tangents(torch: Any) -> None:
    with level(torch):
        d = dual(torch, [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0])
        y = (2.0 * d - 1).reshape(2, 2).flip(0).permute(1, 0).flatten()
        assert_values(tangent_of(torch, y), [6.0, 2.0, 8.0, 4.0])


def test_printing_a_dual_shows_its_tangent(torch: Any) -> None:
    with level(torch):
        assert repr(dual(torch, [1.0], [2.0])) == "tensor([1.], tangent=tensor([2.]))"
        assert repr(torch.ones(1)) == "tensor([1.])"


def test_the_level_decorates_functions(torch: Any) -> None:
    @torch.autograd.forward_ad.dual_level()
    def slope(x: float) -> float:
        return float(tangent_of(torch, dual(torch, [x], [1.0]) ** 2).item())

    assert slope(3.0) == 6.0
    assert slope(4.0) == 8.0


def test_an_inference_tensor_has_no_tangent(torch: Any) -> None:
    with level(torch), torch.inference_mode():
        y = torch.ones(2) * 2
    assert tangent_of(torch, y) is None


def test_a_tangent_has_no_tangent_at_the_same_level(torch: Any) -> None:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(torch.zeros(2), torch.ones(2))
        with pytest.raises(RuntimeError):
            torch.autograd.forward_ad.make_dual(torch.zeros(2), dual)
