"""Flags of tensors, and the ways out of the graph: detach, data, numpy, copies, pickles."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, standing, warns


def test_a_result_requires_grad_when_any_input_does(torch: Any) -> None:
    x, c = counting(torch, 2), torch.ones(2)
    assert standing(c) == (False, True, False)
    assert standing(x) == (True, True, False)
    assert standing(c * c) == (False, True, False)
    assert standing(c * x) == (True, False, True)


def test_requires_grad_can_be_switched_on_a_leaf_both_ways(torch: Any) -> None:
    x = torch.ones(2)
    before = x * 2
    assert x.requires_grad_() is x
    assert not before.requires_grad
    y = x * 2
    x.requires_grad = False
    assert y.requires_grad
    assert not (x * 2).requires_grad


def test_requires_grad_of_a_non_leaf_cannot_be_switched_off(torch: Any) -> None:
    y = counting(torch, 2) * 2
    assert y.requires_grad_() is y
    with pytest.raises(RuntimeError):
        y.requires_grad_(False)
    with pytest.raises(RuntimeError):
        y.requires_grad = False
    assert y.requires_grad


@pytest.mark.parametrize("kind", ["int64", "bool", "uint8"])
def test_only_floating_and_complex_tensors_can_require_grad(torch: Any, kind: str) -> None:
    with pytest.raises(RuntimeError):
        torch.ones(2, dtype=getattr(torch, kind)).requires_grad_()
    with pytest.raises(RuntimeError):
        torch.zeros(2, dtype=getattr(torch, kind), requires_grad=True)
    assert torch.zeros(2, dtype=torch.complex64, requires_grad=True).requires_grad


def test_integer_results_of_tracked_tensors_are_outside_the_graph(torch: Any) -> None:
    x = counting(torch, 3)
    for y in (x.argmax(), x > 1, x.long(), x.sort().indices):
        assert standing(y) == (False, True, False)


def test_detach_shares_memory_and_version_but_no_history(torch: Any) -> None:
    y = counting(torch, 2) * 2
    d = y.detach()
    assert standing(d) == (False, True, False)
    assert d.data_ptr() == y.data_ptr()
    d.add_(1)
    assert (y._version, d._version) == (1, 1)
    assert_values(y, [3.0, 5.0])


def test_writing_through_detach_is_noticed_by_backward(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.exp()
    z = y.sum() + y.exp().sum()
    y.detach().zero_()
    with pytest.raises(RuntimeError):
        z.backward()


def test_writing_through_data_is_not_noticed(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 1
    z = (y * y).sum()
    y.data.mul_(10)
    assert y._version == 0
    z.backward()
    assert_values(x.grad, [20.0, 40.0])


def test_data_can_be_replaced_under_a_tensor(torch: Any) -> None:
    x = counting(torch, 2)
    new = torch.full((2,), 9.0)
    x.data = new
    assert x.data_ptr() == new.data_ptr()
    assert standing(x) == (True, True, False)
    (x * x).sum().backward()
    assert_values(x.grad, [18.0, 18.0])
    with pytest.raises(RuntimeError):
        x.data = torch.ones(2, dtype=torch.int64)


def test_data_of_another_shape_changes_what_the_gradient_must_be(torch: Any) -> None:
    x = counting(torch, 2)
    x.data = torch.ones(3)
    (x * 2).sum().backward()
    assert_values(x.grad, [2.0, 2.0, 2.0])


def test_detach_in_place_makes_a_leaf_of_a_result(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    assert y.detach_() is y
    assert standing(y) == (False, True, False)
    y.requires_grad_()
    (y * 3).sum().backward()
    assert_values(y.grad, [3.0, 3.0])
    assert x.grad is None


def test_a_view_cannot_be_detached_in_place(torch: Any) -> None:
    y = counting(torch, 2) * 2
    with pytest.raises(RuntimeError):
        y[:1].detach_()
    with pytest.raises(RuntimeError):
        y.view(2, 1).detach_()


def test_output_nr_counts_the_outputs_of_one_node(torch: Any) -> None:
    parts = counting(torch, 4).unbind()
    assert [p.output_nr for p in parts] == [0, 1, 2, 3]
    assert len({id(p.grad_fn) for p in parts}) == 1
    assert counting(torch, 2).output_nr == 0


def test_numpy_and_its_kin_refuse_a_tracked_tensor(torch: Any) -> None:
    x = counting(torch, 2)
    for convert in (x.numpy, lambda: np.asarray(x), lambda: np.add(x, 1)):
        with pytest.raises(RuntimeError):
            convert()
    shared = x.detach().numpy()
    shared[0] = 7.0
    assert_values(x, [7.0, 2.0])
    assert x.numpy(force=True).tolist() == [7.0, 2.0]


def test_python_numbers_can_be_read_off_a_tracked_tensor(torch: Any) -> None:
    x = torch.tensor(2.5, requires_grad=True)
    assert (x.item(), x.tolist()) == (2.5, 2.5)
    assert float(x.detach()) == 2.5
    assert bool(x)
    assert [row.item() for row in counting(torch, 2)] == [1.0, 2.0]


def test_a_deep_copy_of_a_leaf_is_a_leaf_with_a_copy_of_its_gradient(torch: Any) -> None:
    x = counting(torch, 2)
    (x * 3).sum().backward()
    y = copy.deepcopy(x)
    assert standing(y) == (True, True, False)
    assert y.data_ptr() != x.data_ptr()
    assert_values(y.grad, [3.0, 3.0])
    y.grad.zero_()
    assert_values(x.grad, [3.0, 3.0])
    shared = copy.deepcopy([x, x])
    assert shared[0] is shared[1]


def test_a_non_leaf_cannot_be_deep_copied(torch: Any) -> None:
    y = counting(torch, 2) * 2
    with pytest.raises(RuntimeError):
        copy.deepcopy(y)
    assert_values(copy.deepcopy(y.detach()), [2.0, 4.0])


def test_a_pickle_carries_values_and_requires_grad_but_no_history(torch: Any) -> None:
    x = counting(torch, 2)
    (x * 3).sum().backward()
    for made in (x, x * 2):
        back = pickle.loads(pickle.dumps(made))
        assert standing(back) == (True, True, False)
        assert_values(back, made)
        assert back.grad is None


def test_printing_shows_the_node_or_that_grad_is_required(torch: Any) -> None:
    x = counting(torch, 2)
    assert repr(x) == "tensor([1., 2.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 4.], grad_fn=<MulBackward0>)"
    assert repr(x.detach()) == "tensor([1., 2.])"
    other = repr(x[0].float()).replace("torch.", "")  # the engine names dtypes without a module
    assert other == "tensor(1., dtype=float32, grad_fn=<ToCopyBackward0>)"


def test_versions_count_writes_to_memory_and_are_shared_by_views(torch: Any) -> None:
    x = torch.zeros(4)
    v, d, copied = x[:2], x.detach(), x.clone()
    v.add_(1)
    x[3] = 2.0
    d.mul_(2)
    assert (x._version, v._version, d._version, copied._version) == (3, 3, 3, 0)
    x.data.add_(1)
    assert x._version == 3


def test_a_clone_is_recorded_and_owns_its_memory(torch: Any) -> None:
    x = counting(torch, 2)
    y = x.clone()
    assert standing(y) == (True, False, True)
    assert y.data_ptr() != x.data_ptr()
    assert not y._is_view()
    y.mul_(2)
    y.sum().backward()
    assert_values(x.grad, [2.0, 2.0])


def test_new_tensors_do_not_inherit_requires_grad(torch: Any) -> None:
    x = counting(torch, 2)
    for made in (torch.zeros_like(x), x.new_ones(2), torch.tensor(x.tolist())):
        assert standing(made) == (False, True, False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises clone().detach() instead
        assert standing(torch.tensor(x)) == (False, True, False)


def test_the_gradient_of_a_non_leaf_is_none_with_a_warning(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 2
    y.sum().backward()
    with warns():
        assert y.grad is None
    assert (x * 1).detach().grad is None


def test_numbers_are_printed_to_four_digits_of_one_width_and_kind(torch: Any) -> None:
    for values, text in {
        (1.0, -20.0): "[  1., -20.]",
        (1.5, -0.25): "[ 1.5000, -0.2500]",
        (1.0, float("inf")): "[1., inf]",
        (0.5, float("nan")): "[0.5000,    nan]",
        (1e-5, 1.0): "[1.0000e-05, 1.0000e+00]",
        (100000.0, 0.5): "[1.0000e+05, 5.0000e-01]",
        (1 + 2j, -1.5 - 1j): "[ 1.0000+2.j, -1.5000-1.j]",
        (True, True): "[True, True]",
        (True, False): "[ True, False]",
        (3, -10): "[  3, -10]",
    }.items():
        assert repr(torch.tensor(values)) == f"tensor({text})"


def test_a_long_tensor_is_printed_by_its_ends(torch: Any) -> None:
    x = torch.arange(1001, dtype=torch.float64)
    assert repr(x) == "tensor([   0.,    1.,    2.,  ...,  998.,  999., 1000.])"
    assert repr(torch.ones(2, 0)) == "tensor([], size=(2, 0))"


def test_a_leaf_whose_data_is_replaced_stays_in_its_graphs(torch: Any) -> None:
    x = counting(torch, 2)
    y = x * 3
    x.data = torch.zeros(2, dtype=torch.float64)
    (g,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    assert_values(g, [3.0, 3.0])
    y.sum().backward()
    assert_values(x.grad, [3.0, 3.0])
    assert_values(x, [0.0, 0.0])
    x.data, x.grad = torch.zeros(3, dtype=torch.float64), None
    del y
    (x * 2).sum().backward()
    assert_values(x.grad, [2.0, 2.0, 2.0])


def test_a_grad_dtype_is_a_dtype(torch: Any) -> None:
    x = counting(torch, 2)
    with pytest.raises(RuntimeError):
        x.grad_dtype = "float64"
    assert x.grad_dtype is torch.float64


def test_a_conversion_gives_gradients_of_the_dtype_it_converts_from(torch: Any) -> None:
    x = counting(torch, 2).detach().to(torch.float32).requires_grad_()
    x.grad_dtype = None  # the leaf takes what comes
    (x.double() * 2).sum().backward()
    assert x.grad.dtype is torch.float32
    assert_values(x.grad, [2.0, 2.0])
