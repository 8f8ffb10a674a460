"""Memory: assignment by every kind of index, overlap, and what copies and pickles keep shared."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import assert_values, counting, standing

INDICES = {
    "an integer": lambda torch: 1,
    "a negative integer": lambda torch: -1,
    "a slice": lambda torch: slice(1, 3),
    "a stepped slice": lambda torch: (slice(None), slice(None, None, 2)),
    "an ellipsis": lambda torch: (..., 1),
    "None": lambda torch: (None, 1, slice(None)),
    "a list": lambda torch: [0, 2],
    "a tensor of indices": lambda torch: torch.tensor([2, 0]),
    "indices of two dimensions": lambda torch: torch.tensor([[0, 1], [2, 1]])[:1],
    "two tensors": lambda torch: (torch.tensor([0, 2]), torch.tensor([1, 3])),
    "a tensor and a slice": lambda torch: (torch.tensor([0, 2]), slice(1, 3)),
    "a slice and a tensor": lambda torch: (slice(0, 2), torch.tensor([3, 0])),
    "an integer and a tensor": lambda torch: (1, torch.tensor([3, 0])),
    "a mask": lambda torch: torch.arange(12).reshape(3, 4) % 5 == 0,
    "a mask of rows": lambda torch: torch.tensor([True, False, True]),
    "a mask and an integer": lambda torch: (torch.tensor([True, False, True]), 2),
    "True": lambda torch: True,
    "nothing": lambda torch: (),
    "an empty list": lambda torch: torch.tensor([], dtype=torch.int64),
    "a tensor of one integer": lambda torch: torch.tensor(2),
}


@pytest.mark.parametrize("name", INDICES)
def test_reading_by_an_index_sends_the_gradient_back_there(torch: Any, name: str) -> None:
    index = INDICES[name](torch)
    x = counting(torch, 3, 4)
    y = x[index]
    y.backward(torch.ones(y.shape) * 2)
    times = torch.zeros(3, 4)
    times[index] = 2.0
    assert_values(x.grad, times)


@pytest.mark.parametrize("name", INDICES)
def test_assigning_by_an_index_splits_the_gradient(torch: Any, name: str) -> None:
    index = INDICES[name](torch)
    x = counting(torch, 3, 4)
    y = x * 1
    w = torch.full(y[index].shape, 7.0, requires_grad=True)
    version = y._version
    y[index] = w * 3
    assert y._version == version + 1
    weights = counting(torch, 3, 4).detach()
    (y * weights).sum().backward()
    kept = torch.ones(3, 4)
    kept[index] = 0.0
    assert_values(x.grad, weights * kept)
    assert_values(w.grad, 3 * weights[index])


@pytest.mark.parametrize("name", INDICES)
def test_assigning_by_an_index_into_a_view_reaches_the_base(torch: Any, name: str) -> None:
    index = INDICES[name](torch)
    x = counting(torch, 4, 3)
    y = x * 1
    v = y.t()
    value = torch.tensor(5.0, requires_grad=True)
    v[index] = value
    kept = torch.ones(3, 4)
    kept[index] = 0.0
    y.sum().backward()
    assert_values(x.grad, kept.t())
    assert_values(value.grad, float((1 - kept).sum()))


def test_a_python_number_can_be_assigned(torch: Any) -> None:
    x = counting(torch, 3)
    y = x * 1
    y[1:] = 9
    y[0] = True
    assert_values(y, [1.0, 9.0, 9.0])
    y.sum().backward()
    assert_values(x.grad, [0.0, 0.0, 0.0])


def test_an_assigned_value_is_broadcast_and_cast(torch: Any) -> None:
    y = counting(torch, 2, 3) * 1
    w = torch.ones(3, dtype=torch.float32, requires_grad=True)
    y[:, :] = w
    y.sum().backward()
    assert w.grad.dtype is torch.float32
    assert_values(w.grad, [2.0, 2.0, 2.0])
    y[0] = torch.tensor([[4.0, 5.0, 6.0]])
    assert_values(y[0], [4.0, 5.0, 6.0])


def test_an_assigned_value_must_fit(torch: Any) -> None:
    y = torch.zeros(2, 3)
    with pytest.raises(RuntimeError):
        y[0] = torch.ones(2)
    with pytest.raises(RuntimeError):
        y[:, 0] = torch.ones(3)
    with pytest.raises(IndexError):
        y[5] = 1.0
    with pytest.raises(IndexError):
        y[0, 0, 0] = 1.0
    assert y._version == 0


def test_augmented_assignment_through_an_index(torch: Any) -> None:
    x = counting(torch, 3)
    y = x * 1
    y[1:] *= 10
    y[torch.tensor([2, 0])] += 5
    assert_values(y, [6.0, 20.0, 35.0])
    y.sum().backward()
    assert_values(x.grad, [1.0, 10.0, 10.0])


def test_integer_tensors_can_be_assigned_to_without_gradients(torch: Any) -> None:
    y = torch.zeros(3, dtype=torch.int64)
    y[1] = 5
    y[2:] = torch.tensor([7])
    assert y.tolist() == [0, 5, 7]
    assert y._version == 2
    assert not y.requires_grad


def test_a_source_that_overlaps_its_target_is_read_first(torch: Any) -> None:
    y = counting(torch, 4).detach()
    y[1:] = y[:-1].clone()
    assert_values(y, [1.0, 1.0, 2.0, 3.0])


def test_views_that_overlap_each_other_may_be_written(torch: Any) -> None:
    x = counting(torch, 4)
    y = x * 1
    y[:3].mul_(2)
    y[1:].mul_(5)
    y.sum().backward()
    assert_values(x.grad, [2.0, 10.0, 10.0, 5.0])


@pytest.mark.parametrize("write", ["add_", "mul_", "copy_", "neg_", "__setitem__"])
def test_an_expanded_target_is_refused(torch: Any, write: str) -> None:
    y = torch.ones(1, 3).expand(2, 3)
    arguments = {
        "add_": (1.0,),
        "mul_": (2.0,),
        "copy_": (torch.zeros(2, 3),),
        "neg_": (),
        "__setitem__": (slice(None), torch.zeros(2, 3)),
    }[write]
    with pytest.raises(RuntimeError):
        getattr(y, write)(*arguments)
    assert_values(y, [[1.0] * 3] * 2)


def test_an_expanded_source_is_fine(torch: Any) -> None:
    x = counting(torch, 3)
    y = torch.zeros(2, 3)
    y.copy_(x.expand(2, 3))
    y.mul_(x.view(1, 3).expand(2, 3))
    y.sum().backward()
    assert_values(x.grad, 4 * x.detach())


def test_a_deep_copy_of_leaves_keeps_which_memory_is_shared(torch: Any) -> None:
    base = torch.zeros(4)
    pair = copy.deepcopy({"base": base, "again": base})
    assert pair["base"] is pair["again"]
    pair["base"].add_(1)
    assert_values(base, [0.0] * 4)


def test_pickles_keep_identity_within_one_pickle(torch: Any) -> None:
    x = counting(torch, 2)
    a, b = pickle.loads(pickle.dumps((x, x)))
    assert a is b
    assert standing(a) == (True, True, False)


def test_a_pickle_of_a_view_is_as_it_looks(torch: Any) -> None:
    x = counting(torch, 2, 3).detach()
    back = pickle.loads(pickle.dumps(x.t()[1:]))
    assert_values(back, x.t()[1:])
    assert not back._is_view()


def test_a_shallow_copy_shares_memory_and_is_another_leaf(torch: Any) -> None:
    x = counting(torch, 2)
    y = copy.copy(x)
    assert y is not x
    assert_values(y, x)
    assert y.requires_grad


def test_contiguous_returns_the_tensor_itself_where_it_can(torch: Any) -> None:
    x = counting(torch, 2, 3)
    assert x.contiguous() is x
    y = x.t().contiguous()
    assert not y._is_view()
    y.backward(torch.arange(6, dtype=torch.float64).reshape(3, 2))
    assert_values(x.grad, [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]])


def test_reshape_copies_only_where_a_view_cannot_be(torch: Any) -> None:
    x = counting(torch, 2, 3) * 1
    assert x.reshape(6)._is_view()
    assert not x.t().reshape(6)._is_view()
    with pytest.raises(RuntimeError):
        x.t().view(6)


def test_complex_numbers_are_not_written_into_real_tensors(torch: Any) -> None:
    x = torch.zeros(3)
    for write in (
        lambda: x.fill_(1j),
        lambda: x.__setitem__(0, 1j),
        lambda: x.__setitem__(torch.tensor([0]), 1j),
        lambda: x.__setitem__(torch.tensor([True, False, True]), 1j),
    ):
        with pytest.raises(RuntimeError):
            write()
    assert x._version == 0
    assert_values(x, [0.0, 0.0, 0.0])


def test_tensors_print_where_they_have_no_numbers_or_no_history(torch: Any) -> None:
    y = counting(torch, 2) * 1
    with torch.no_grad():
        view = y[:1]
    y.mul_(2)
    assert "grad_fn=<Invalid>" in repr(view)
    printed = []
    torch.func.vmap(lambda t: (printed.append(repr(t)), t)[1])(torch.zeros(3, 2))
    assert "tensor" in printed[0].lower()


def test_a_shallow_copy_is_a_leaf_over_the_same_memory(torch: Any) -> None:
    x = counting(torch, 2)
    for tensor in (x, x * 1):
        tensor.note = ["kept"]
        copied = copy.copy(tensor)
        assert (copied.is_leaf, copied.requires_grad, copied.grad) == (True, True, None)
        assert copied.note is tensor.note
        copied.data.mul_(10)
        assert_values(tensor, copied)
        copied.data.div_(10)


def test_a_deep_copy_keeps_the_memory_layout(torch: Any) -> None:
    x = counting(torch, 2, 3).detach().t().requires_grad_()
    copied = copy.deepcopy(x)
    assert copied.stride() == x.stride() == (1, 3)
    assert_values(copied, x)
    copied.data.zero_()
    assert_values(x[0].detach(), [1.0, 4.0])


def test_positive_returns_its_input(torch: Any) -> None:
    x = counting(torch, 2)
    assert +x is torch.positive(x) is x.positive() is x
    with pytest.raises(RuntimeError):
        +torch.tensor([True])
