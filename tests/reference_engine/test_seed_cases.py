"""The seed cases A1 to E8 (shared/seed_cases.md) with the figures they print, on both backends."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest


def values(x: Any) -> Any:
    return x.detach().tolist()


def test_a1_leaves_are_made_by_users_and_others_by_operations(engine: Any) -> None:
    x = engine.ones(2, requires_grad=True)
    y = x * 2
    assert (x.is_leaf, x.grad_fn) == (True, None)
    assert not y.is_leaf
    assert y.grad_fn.name() == "MulBackward0"


def test_a2_only_leaves_carry_grad_unless_retained(engine: Any) -> None:
    leaf = engine.tensor([1.0, 2.0], requires_grad=True)
    mid = leaf * 3
    kept = mid * 2
    kept.retain_grad()
    kept.sum().backward()
    assert values(leaf.grad) == [6.0, 6.0]
    assert values(kept.grad) == [1.0, 1.0]
    with pytest.warns(UserWarning, match="non-leaf"):
        assert mid.grad is None


def test_a3_a_second_backward_is_an_error_and_leaves_grad_as_it_was(engine: Any) -> None:
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()
    assert values(x.grad) == [2.0, 4.0]


@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_a5_micro_batches_accumulate_to_the_full_batch(engine: Any, parts: int) -> None:
    data = engine.linspace(-1.0, 1.0, 12, dtype=engine.float64).reshape(6, 2)
    w = engine.tensor([[0.5], [-0.25]], dtype=engine.float64, requires_grad=True)
    (engine.mm(data, w) ** 2).mean().backward()
    full = values(w.grad)
    w.grad = None
    size = 6 // parts
    for k in range(parts):
        batch = data[k * size : (k + 1) * size]
        ((engine.mm(batch, w) ** 2).mean() / parts).backward()
    np.testing.assert_allclose(values(w.grad), full, rtol=1e-14)


def test_a6_backward_adds_to_the_old_gradient(engine: Any) -> None:
    x = engine.tensor([2.0], requires_grad=True)
    for _ in range(2):
        (x * x).sum().backward()
    assert values(x.grad) == [8.0]


def test_b1_to_b6_ones_and_their_gradients(engine: Any) -> None:
    x = engine.ones(2, 2, requires_grad=True)
    assert "requires_grad=True" in repr(x)
    y = x + 1
    z = y**2
    mean = z.mean()
    assert [t.grad_fn.name() for t in (y, z, mean)] == [
        "AddBackward0", "PowBackward0", "MeanBackward0",
    ]  # fmt: skip
    assert values(z) == [[4.0, 4.0], [4.0, 4.0]]
    assert mean.item() == 4.0
    mean.backward()
    assert values(x.grad) == [[1.0, 1.0], [1.0, 1.0]]
    x.sum().backward()
    assert values(x.grad) == [[2.0, 2.0], [2.0, 2.0]]
    x.grad.data.zero_()
    x.sum().backward()
    assert values(x.grad) == [[1.0, 1.0], [1.0, 1.0]]


def test_b2_nodes_have_pytorchs_names(engine: Any) -> None:
    x = engine.ones(2, 2, requires_grad=True)
    made = {
        "SumBackward0": x.sum(),
        "ViewBackward0": x.view(4),
        "SigmoidBackward0": x.sigmoid(),
        "MmBackward0": engine.mm(x, x),
        "ExpBackward0": x.exp(),
        "TBackward0": x.t(),
    }
    for name, tensor in made.items():
        assert tensor.grad_fn.name() == name
        assert type(tensor.grad_fn).__name__ == name


def test_b3_untracked_arithmetic_can_be_tracked_from_then_on(engine: Any) -> None:
    a = engine.randn(2, 2)
    a = (a * 3) / (a - 1)
    assert not a.requires_grad
    a.requires_grad_(True)
    assert a.requires_grad
    assert a.is_leaf
    assert (a * a).sum().grad_fn.name() == "SumBackward0"


def test_b7_b8_b9_backward_of_a_non_scalar(engine: Any) -> None:
    x = engine.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    z = (2 * x).view(2, 2)
    with pytest.raises(RuntimeError, match="scalar"):
        z.backward()
    with pytest.raises(RuntimeError, match="shape"):
        z.backward(engine.ones(4))
    z.backward(engine.tensor([[1.0, 0.1], [0.01, 0.001]]))
    np.testing.assert_allclose(values(x.grad), [2.0, 0.2, 0.02, 0.002], rtol=1e-7)


def test_b10_b11_a_branch_in_no_grad_is_a_constant(engine: Any) -> None:
    x = engine.tensor(1.0, requires_grad=True)
    y1 = x**2
    with engine.no_grad():
        y2 = x**3
    y3 = y1 + y2
    assert [t.requires_grad for t in (y1, y2, y3)] == [True, False, True]
    y3.backward()
    assert (y3.item(), x.grad.item()) == (2.0, 2.0)
    with pytest.raises(RuntimeError, match="does not require grad"):
        y2.backward()


def test_b12_writes_through_data_change_the_value_not_the_gradient(engine: Any) -> None:
    x = engine.ones(1, requires_grad=True)
    y = 2 * x
    x.data *= 100
    y.backward()
    assert (x.item(), x.data.requires_grad, x.grad.item()) == (100.0, False, 2.0)


def test_b13_a_write_through_detach_is_seen_and_caught(engine: Any) -> None:
    a = engine.tensor([1.0, 2.0, 3.0], requires_grad=True)
    out = a.sigmoid()
    out.detach().zero_()
    assert values(out) == [0.0, 0.0, 0.0]
    with pytest.raises(RuntimeError, match="in-place"):
        out.sum().backward()


def test_b14_a_write_through_data_is_silently_wrong(engine: Any) -> None:
    a = engine.tensor([1.0, 2.0, 3.0], requires_grad=True)
    a.sigmoid().sum().backward()
    np.testing.assert_allclose(values(a.grad), [0.1966, 0.1050, 0.0452], atol=5e-5)
    a.grad = None
    out = a.sigmoid()
    out.data.zero_()
    out.sum().backward()
    assert values(a.grad) == [0.0, 0.0, 0.0]


def test_b15_b16_polynomials(engine: Any) -> None:
    x = engine.tensor(2.0, dtype=engine.float64, requires_grad=True)
    (x**2 + 3 * x + 1).backward()
    assert x.grad.item() == 7.0
    for tracked in (True, False):
        x1 = engine.tensor(1.0, requires_grad=tracked)
        x2 = engine.tensor(2.0, requires_grad=True)
        (3 * x1 * x1 + 9 * x2).backward()
        assert (x1.grad.item() if tracked else x1.grad) == (6.0 if tracked else None)
        assert x2.grad.item() == 9.0


def test_b17_the_gradient_of_a_product_is_the_other_factor(engine: Any) -> None:
    a = engine.tensor([[1.0, 2.0, 3.0]], dtype=engine.float64, requires_grad=True)
    b = engine.tensor([[4.0], [5.0], [6.0]], dtype=engine.float64, requires_grad=True)
    engine.mm(a, b).backward()
    assert values(b.grad) == [[1.0], [2.0], [3.0]]
    assert values(a.grad) == [[4.0, 5.0, 6.0]]


def test_b18_backward_with_a_vector_is_the_vector_jacobian_product(engine: Any) -> None:
    x = engine.tensor([0.5, -1.0, 2.0], dtype=engine.float64, requires_grad=True)
    v = engine.tensor([1.0, -2.0, 0.5], dtype=engine.float64)
    y = x * x.sum()
    rows = [engine.autograd.grad(y[i], x, retain_graph=True)[0] for i in range(3)]
    (product,) = engine.autograd.grad(y, x, v)
    jacobian = engine.stack(rows)
    np.testing.assert_allclose(values(product), values((v.view(3, 1) * jacobian).sum(0)))


def test_c1_logistic_regression(engine: Any) -> None:
    functional = engine.nn.functional
    x, y = engine.ones(5), engine.zeros(3)
    w = engine.randn(5, 3, requires_grad=True)
    b = engine.randn(3, requires_grad=True)
    z = engine.matmul(x, w) + b
    loss = functional.binary_cross_entropy_with_logits(z, y)
    assert z.grad_fn.name() == "AddBackward0"
    assert "BinaryCrossEntropyWithLogits" in loss.grad_fn.name()
    loss.backward()
    expected = z.detach().sigmoid() / 3
    np.testing.assert_allclose(values(b.grad), values(expected), rtol=1e-6)
    np.testing.assert_allclose(values(w.grad), [values(b.grad)] * 5, rtol=1e-6)


def test_c2_c3_tracking_on_later_and_off(engine: Any) -> None:
    early = engine.ones(3, requires_grad=True)
    late = engine.ones(3).requires_grad_(True)
    for x in (early, late):
        (x * 5).sum().backward()
        assert values(x.grad) == [5.0, 5.0, 5.0]
        assert (x * 2).detach().requires_grad is False
        with engine.no_grad():
            assert (x * 2).requires_grad is False


def test_c4_jacobian_products_of_an_identity(engine: Any) -> None:
    inp = engine.eye(4, 5, requires_grad=True)
    out = (inp + 1).pow(2).t()
    first = np.where(np.eye(4, 5) == 1, 4.0, 2.0)
    out.backward(engine.ones_like(out), retain_graph=True)
    np.testing.assert_array_equal(values(inp.grad), first)
    out.backward(engine.ones_like(out), retain_graph=True)
    np.testing.assert_array_equal(values(inp.grad), 2 * first)
    inp.grad.zero_()
    out.backward(engine.ones_like(out), retain_graph=True)
    np.testing.assert_array_equal(values(inp.grad), first)


@pytest.mark.parametrize("a", [True, False])
@pytest.mark.parametrize("b", [True, False])
def test_e1_requires_grad_is_transitive(engine: Any, a: bool, b: bool) -> None:
    x, y = engine.ones(2, requires_grad=a), engine.ones(2, requires_grad=b)
    assert (x * y).requires_grad is (a or b)


def test_e2_e3_a_frozen_middle_passes_the_error_and_a_detach_stops_it(engine: Any) -> None:
    a, b, c = (engine.eye(2, requires_grad=True) for _ in range(3))
    x = engine.tensor([[1.0, 2.0]])
    b.requires_grad_(False)
    engine.mm(engine.mm(engine.mm(x, a), b), c).sum().backward()
    assert b.grad is None
    assert values(a.grad) == [[1.0, 1.0], [2.0, 2.0]]
    assert values(c.grad) == [[1.0, 1.0], [2.0, 2.0]]
    a.grad = c.grad = None
    engine.mm(engine.mm(x, a).detach(), c).sum().backward()
    assert a.grad is None
    assert c.grad is not None


def test_e4_detach_shares_memory_both_ways(engine: Any) -> None:
    x = engine.ones(2)
    y = x.detach()
    y[0] = 5.0
    x[1] = 7.0
    assert values(x) == values(y) == [5.0, 7.0]


def test_e5_detach_in_place_makes_a_leaf_and_refuses_views(engine: Any) -> None:
    x = engine.ones(2, requires_grad=True)
    y = x * 2
    assert y.detach_() is y
    assert (y.is_leaf, y.grad_fn, y.requires_grad) == (True, None, False)
    with pytest.raises(RuntimeError, match="view"):
        (x * 2)[:1].detach_()


def test_e6_several_losses_on_one_forward(engine: Any) -> None:
    x = engine.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    y.sum().backward(retain_graph=True)
    (3 * y).sum().backward()
    assert values(x.grad) == [8.0, 16.0]
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.sum().backward()


def test_e7_no_grad_builds_no_graph_and_nests(engine: Any) -> None:
    x = engine.ones(2, requires_grad=True)

    @engine.no_grad()
    def square(t: Any) -> Any:
        with engine.enable_grad():
            assert (t * t).requires_grad
        return t * t

    y = square(x)
    assert y.grad_fn is None
    alive = weakref.ref(x.detach())
    gc.disable()
    try:
        with engine.no_grad():
            inner = x * 2
            gone = weakref.ref(inner)
            inner = inner * 2
        assert gone() is None
        assert alive() is None
    finally:
        gc.enable()


def test_e8_inference_tensors_cannot_be_saved(engine: Any) -> None:
    with engine.inference_mode():
        c = engine.ones(2)
    x = engine.ones(2, requires_grad=True)
    assert (x + c).requires_grad
    with pytest.raises(RuntimeError, match="inference"):
        x * c
