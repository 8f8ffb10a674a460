"""Gradients that are particular to an operation: kinks, ties, zeros, broadcasting, indices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, standing


def gradient(torch: Any, function: Any, *values: Any) -> Any:
    """The gradients of the sum of a function at values, one or several."""
    leaves = [torch.tensor(v, requires_grad=True) for v in values]
    found = torch.autograd.grad(function(*leaves).sum(), leaves)
    return found[0] if len(found) == 1 else found


def test_pow_by_zero_has_no_gradient_at_zero_and_a_right_one_by_the_exponent(torch: Any) -> None:
    base, exponent = gradient(torch, torch.pow, [0.0, 2.0], [0.0, 3.0])
    assert_values(base, [0.0, 12.0])
    assert_values(exponent, [0.0, 8 * torch.tensor(2.0).log().item()])
    assert_values(gradient(torch, lambda x: x**0, [0.0, 5.0]), [0.0, 0.0])
    assert_values(gradient(torch, lambda x: x**1, [0.0, 5.0]), [1.0, 1.0])


def test_a_number_to_the_power_of_a_tensor(torch: Any) -> None:
    g = gradient(torch, lambda x: 2.0**x, [0.0, 3.0])
    assert_values(g, torch.tensor([1.0, 8.0]) * torch.log(torch.tensor(2.0)))
    assert_values(gradient(torch, lambda x: 0.0**x, [1.0, 2.0]), [0.0, 0.0])


def test_the_norm_at_zero_has_subgradient_zero(torch: Any) -> None:
    assert_values(gradient(torch, lambda x: x.norm(), [0.0, 0.0]), [0.0, 0.0])
    assert_values(gradient(torch, lambda x: x.norm(1), [0.0, -2.0]), [0.0, -1.0])
    assert_values(gradient(torch, lambda x: x.norm(), [3.0, 4.0]), [0.6, 0.8])


def test_kinks_take_the_documented_side(torch: Any) -> None:
    at = [-1.0, 0.0, 1.0]
    assert_values(gradient(torch, torch.abs, at), [-1.0, 0.0, 1.0])
    assert_values(gradient(torch, torch.relu, at), [0.0, 0.0, 1.0])
    assert_values(gradient(torch, torch.sign, at), [0.0, 0.0, 0.0])
    assert_values(gradient(torch, lambda x: x.clamp(min=0.0), at), [0.0, 1.0, 1.0])
    assert_values(gradient(torch, lambda x: x.clamp(-1.0, 0.0), at), [1.0, 1.0, 0.0])


def test_maximum_of_equals_shares_and_max_of_all_shares_too(torch: Any) -> None:
    a, b = gradient(torch, torch.maximum, [1.0, 2.0], [1.0, 3.0])
    assert_values(a, [0.5, 0.0])
    assert_values(b, [0.5, 1.0])
    assert_values(gradient(torch, lambda x: x.max(), [2.0, 2.0, 1.0]), [0.5, 0.5, 0.0])
    assert_values(gradient(torch, lambda x: x.amax(0), [2.0, 2.0, 1.0]), [0.5, 0.5, 0.0])


def test_max_along_a_dimension_goes_to_the_index_it_returned(torch: Any) -> None:
    x = torch.tensor([[1.0, 5.0, 2.0], [7.0, 0.0, 3.0]], requires_grad=True)
    values, where = x.max(1)
    assert standing(where) == (False, True, False)
    values.backward(torch.tensor([1.0, 10.0]))
    assert_values(x.grad, [[0.0, 1.0, 0.0], [10.0, 0.0, 0.0]])


def test_prod_with_zeros(torch: Any) -> None:
    assert_values(gradient(torch, lambda x: x.prod(), [2.0, 0.0, 3.0]), [0.0, 6.0, 0.0])
    assert_values(gradient(torch, lambda x: x.prod(), [0.0, 0.0, 3.0]), [0.0, 0.0, 0.0])
    assert_values(
        gradient(torch, lambda x: x.prod(1), [[2.0, 0.0], [3.0, 4.0]]), [[0.0, 2.0], [4.0, 3.0]]
    )


def test_cumprod_with_zeros(torch: Any) -> None:
    g = gradient(torch, lambda x: x.cumprod(0), [2.0, 0.0, 3.0])
    assert_values(g, [1.0, 8.0, 0.0])


def test_where_blocks_even_infinite_gradients_of_the_other_branch_only_as_zeros(torch: Any) -> None:
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    y = torch.where(x > 0, x, torch.ones_like(x))
    y.sqrt().sum().backward()
    assert_values(x.grad, [0.0, 0.25])
    z = torch.tensor([0.0, 4.0], requires_grad=True)
    torch.where(z > 0, z.sqrt(), torch.zeros_like(z)).sum().backward()
    assert z.grad.isnan().tolist() == [True, False]


def test_division_by_zero_gives_infinities_without_a_word(torch: Any) -> None:
    a, b = gradient(torch, torch.div, [1.0, 1.0], [0.0, 2.0])
    assert a.tolist() == [float("inf"), 0.5]
    assert b.tolist() == [float("-inf"), -0.25]


def test_rounded_division_has_zero_gradients(torch: Any) -> None:
    a, b = gradient(torch, lambda x, y: torch.div(x, y, rounding_mode="floor"), [7.0], [2.0])
    assert_values(a, [0.0])
    assert_values(b, [0.0])


def test_remainder_passes_the_gradient_on(torch: Any) -> None:
    a, b = gradient(torch, torch.remainder, [7.0, -7.0], [2.0, 2.0])
    assert_values(a, [1.0, 1.0])
    assert_values(b, [-3.0, 4.0])


def test_broadcasting_sums_over_what_was_expanded(torch: Any) -> None:
    a, b = gradient(torch, lambda x, y: x * y, [[1.0], [2.0]], [[3.0, 4.0, 5.0]])
    assert_values(a, [[12.0], [12.0]])
    assert_values(b, [[3.0, 3.0, 3.0]])
    c, _ = gradient(torch, lambda x, y: x + y, 1.0, [[1.0, 2.0], [3.0, 4.0]])
    assert_values(c, 4.0)


def test_expand_sums_and_repeat_too(torch: Any) -> None:
    assert_values(gradient(torch, lambda x: x.expand(4, 2), [[1.0, 2.0]]), [[4.0, 4.0]])
    assert_values(gradient(torch, lambda x: x.repeat(3, 2), [1.0, 2.0]), [6.0, 6.0])
    assert_values(gradient(torch, lambda x: x.expand(2, 3).t()[1], [[1.0], [2.0]]), [[1.0], [1.0]])


def test_indexing_the_same_element_twice_adds_up(torch: Any) -> None:
    index = torch.tensor([0, 2, 0])
    assert_values(gradient(torch, lambda x: x[index], [1.0, 2.0, 3.0]), [2.0, 0.0, 1.0])
    assert_values(
        gradient(torch, lambda x: x.index_select(0, index), [1.0, 2.0, 3.0]), [2.0, 0.0, 1.0]
    )
    assert_values(gradient(torch, lambda x: x.gather(0, index), [1.0, 2.0, 3.0]), [2.0, 0.0, 1.0])


def test_indexing_by_masks_lists_and_mixed_indices(torch: Any) -> None:
    x = counting(torch, 2, 3)
    y = x[x > 2].sum() + 10 * x[:, [0, 2]].sum() + 100 * x[[1], 1:].sum()
    y.backward()
    assert_values(x.grad, [[10.0, 0.0, 11.0], [11.0, 101.0, 111.0]])


def test_assigning_twice_to_one_element_keeps_the_last_gradient(torch: Any) -> None:
    x, w = counting(torch, 3), counting(torch, 2)
    y = x * 1
    y[0] = w[0]
    y[0] = w[1]
    y.sum().backward()
    assert_values(w.grad, [0.0, 1.0])
    assert_values(x.grad, [0.0, 1.0, 1.0])


def test_index_put_with_accumulate_adds(torch: Any) -> None:
    x, w = counting(torch, 3), counting(torch, 2)
    y = x * 1
    y.index_put_((torch.tensor([1, 1]),), w, accumulate=True)
    assert_values(y, [1.0, 5.0, 3.0])
    (y * y).sum().backward()
    assert_values(w.grad, [10.0, 10.0])
    assert_values(x.grad, [2.0, 10.0, 6.0])


def test_scatter_and_index_add_send_gradients_both_ways(torch: Any) -> None:
    x, w = counting(torch, 3), counting(torch, 2)
    index = torch.tensor([2, 0])
    (x.scatter(0, index, w) * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert_values(x.grad, [0.0, 10.0, 0.0])
    assert_values(w.grad, [100.0, 1.0])
    w.grad = None
    x.detach().index_add(0, index, w).pow(2).sum().backward()
    assert_values(w.grad, [8.0, 6.0])


def test_masked_fill_stops_gradients_where_it_fills(torch: Any) -> None:
    x, v = counting(torch, 3), torch.tensor(7.0, requires_grad=True)
    x.masked_fill(x.detach() > 1, v).sum().backward()
    assert_values(x.grad, [1.0, 0.0, 0.0])
    assert_values(v.grad, 2.0)


def test_sort_and_topk_send_gradients_back_to_their_places(torch: Any) -> None:
    weights = torch.tensor([1.0, 10.0, 100.0])
    g = gradient(torch, lambda x: x.sort().values * weights, [3.0, 1.0, 2.0])
    assert_values(g, [100.0, 1.0, 10.0])
    g = gradient(torch, lambda x: x.topk(2).values * weights[:2], [3.0, 1.0, 2.0])
    assert_values(g, [1.0, 0.0, 10.0])


def test_cat_and_stack_take_apart_what_they_put_together(torch: Any) -> None:
    x, c, w = counting(torch, 2), torch.ones(1), counting(torch, 3)
    y = torch.cat([x, c, w])
    (y * torch.arange(6, dtype=torch.float64)).sum().backward()
    assert_values(x.grad, [0.0, 1.0])
    assert_values(w.grad, [3.0, 4.0, 5.0])
    x.grad = None
    torch.stack([x, x * 10], dim=1).select(1, 1).sum().backward()
    assert_values(x.grad, [10.0, 10.0])


def test_matmul_of_every_pair_of_dimensions(torch: Any) -> None:
    pairs = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3,))]
    pairs += [((5, 2, 3), (3, 4)), ((3,), (5, 3, 2)), ((5, 1, 2, 3), (4, 3, 2))]
    for a, b in pairs:
        x, y = counting(torch, *a), counting(torch, *b)
        z = x @ y
        z.sum().backward()
        assert (tuple(x.grad.shape), tuple(y.grad.shape)) == (a, b)
        eps = 1e-3
        moved = ((x.detach() + eps) @ y.detach()).sum() - z.detach().sum()
        assert moved.item() / eps == pytest.approx(x.grad.sum().item())


def test_var_and_std_with_every_correction(torch: Any) -> None:
    x = [1.0, 2.0, 6.0]
    assert_values(gradient(torch, lambda t: t.var(), x), [-2.0, -1.0, 3.0])
    assert_values(gradient(torch, lambda t: t.var(correction=0), x), [-4 / 3, -2 / 3, 2.0])
    slope = gradient(torch, lambda t: t.std(), x)
    assert_values(slope, torch.tensor([-2.0, -1.0, 3.0]) / (2 * torch.tensor(x).std()))


def test_reductions_over_nothing_have_empty_or_undefined_gradients(torch: Any) -> None:
    x = torch.ones(0, requires_grad=True)
    x.sum().backward()
    assert x.grad.shape == (0,)
    y = torch.ones(2, 0, requires_grad=True)
    y.sum(1).prod().backward()
    assert tuple(y.grad.shape) == (2, 0)


def test_logsumexp_and_softmax_of_infinities(torch: Any) -> None:
    low = float("-inf")
    assert_values(gradient(torch, lambda x: x.logsumexp(0), [low, 0.0]), [0.0, 1.0])
    g = gradient(torch, lambda x: x.softmax(0)[1], [low, 0.0])
    assert_values(g, [0.0, 0.0])


def test_sqrt_and_log_at_zero_give_infinity(torch: Any) -> None:
    assert gradient(torch, torch.sqrt, [0.0, 4.0]).tolist() == [float("inf"), 0.25]
    assert gradient(torch, torch.log, [0.0, 4.0]).tolist() == [float("inf"), 0.25]


def test_sinc_and_xlogy_are_right_where_they_are_defined_by_a_limit(torch: Any) -> None:
    assert_values(gradient(torch, torch.sinc, [0.0]), [0.0])
    a, b = gradient(torch, torch.xlogy, [0.0, 2.0], [3.0, 4.0])
    assert_values(a, torch.tensor([3.0, 4.0]).log())
    assert_values(b, [0.0, 0.5])


def test_real_imag_and_abs_of_complex_numbers(torch: Any) -> None:
    z = [3 + 4j, 0 + 0j]
    assert_values(gradient(torch, lambda x: x.real, z), [1 + 0j, 1 + 0j])
    assert_values(gradient(torch, lambda x: x.imag, z), [1j, 1j])
    assert_values(gradient(torch, lambda x: x.abs(), z), [0.6 + 0.8j, 0j])
    assert_values(gradient(torch, lambda x: (x * x.conj()).real, z), [6 + 8j, 0j])


def test_complex_from_parts_and_back(torch: Any) -> None:
    a, b = gradient(torch, lambda x, y: torch.complex(x, y).abs(), [3.0], [4.0])
    assert_values(a, [0.6])
    assert_values(b, [0.8])
    x = counting(torch, 2, 2)
    (torch.view_as_complex(x) * 1j).real.sum().backward()
    assert_values(x.grad, [[0.0, -1.0], [0.0, -1.0]])


def test_casting_there_and_back_casts_the_gradient(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.float().to(torch.float64) * 3
    y.sum().backward()
    assert x.grad.dtype is torch.float64
    assert_values(x.grad, [3.0, 3.0])
    assert x.to(torch.float64) is x


def test_mixed_precision_is_promoted_and_each_leaf_gets_its_own_back(torch: Any) -> None:
    x = torch.ones(2, dtype=torch.float32, requires_grad=True)
    y = torch.full((2,), 2.0, dtype=torch.float64, requires_grad=True)
    z = x * y
    assert z.dtype is torch.float64
    z.sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (torch.float32, torch.float64)
    assert_values(x.grad, [2.0, 2.0])


def test_fill_and_zero_cut_and_carry_gradients(torch: Any) -> None:
    x, v = counting(torch, 2), torch.tensor(3.0, requires_grad=True)
    y = x * 1
    y.fill_(v)
    y.sum().backward()
    assert_values(x.grad, [0.0, 0.0])
    assert_values(v.grad, 2.0)
    z = x * 1
    z.zero_()
    assert z.requires_grad
    z.sum().backward()
    assert_values(x.grad, [0.0, 0.0])


def test_copy_casts_and_broadcasts_what_it_copies(torch: Any) -> None:
    x, w = counting(torch, 2, 2), torch.ones(2, dtype=torch.float32, requires_grad=True)
    y = x * 1
    y.copy_(w)
    y.sum().backward()
    assert w.grad.dtype is torch.float32
    assert_values(w.grad, [2.0, 2.0])
    assert_values(x.grad, [[0.0, 0.0]] * 2)


def test_stable_functions_have_stable_gradients(torch: Any) -> None:
    far = [-1000.0, 1000.0]
    assert_values(gradient(torch, torch.sigmoid, far), [0.0, 0.0])
    assert_values(gradient(torch, torch.tanh, far), [0.0, 0.0])
    assert_values(gradient(torch, lambda x: x.logsumexp(0), far), [0.0, 1.0])
    assert_values(gradient(torch, lambda x: x.log_softmax(0)[1], far), [0.0, 0.0])
