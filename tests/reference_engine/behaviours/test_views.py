"""Views and in-place writes: whose history changes, what is refused, what versions say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reference_engine.behaviours.evidence import (
    assert_values,
    counting,
    node_names,
    standing,
)

VIEWS = {
    "view": lambda x: x.view(6),
    "reshape": lambda x: x.reshape(3, 2),
    "flatten": lambda x: x.flatten(),
    "select": lambda x: x.select(1, 1),
    "slice": lambda x: x[:, 1:],
    "stepped": lambda x: x[:, ::2],
    "transpose": lambda x: x.transpose(0, 1),
    "t": lambda x: x.t(),
    "permute": lambda x: x.permute(1, 0),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(0),
    "narrow": lambda x: x.narrow(1, 0, 2),
    "diagonal": lambda x: x.diagonal(),
    "unfold": lambda x: x.unfold(1, 1, 2),
    "unflatten": lambda x: x.unflatten(1, (3, 1)),
    "movedim": lambda x: x.movedim(0, 1),
    "view_as": lambda x: x.view_as(x),
    "integer index": lambda x: x[1],
    "ellipsis and None": lambda x: x[..., None, 0],
}


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_shares_memory_version_and_base(torch: Any, name: str) -> None:
    y = counting(torch, 2, 3) * 1
    v = VIEWS[name](y)
    assert v._is_view()
    assert v._base is y
    assert standing(v) == (True, False, True)
    v.zero_()
    assert (y._version, v._version) == (1, 1)
    assert float((y == 0).sum()) == v.numel()


@pytest.mark.parametrize("name", VIEWS)
def test_a_write_through_any_view_goes_into_the_bases_history(torch: Any, name: str) -> None:
    x = counting(torch, 2, 3)
    y = x * 2
    v = VIEWS[name](y)
    v.mul_(5)
    assert node_names(y)[0] == "CopySlices"
    mask = VIEWS[name](torch.zeros(2, 3))._base
    touched = torch.zeros(2, 3)
    VIEWS[name](touched).fill_(1.0)
    assert mask is not None
    y.sum().backward()
    assert_values(x.grad, 2.0 + 8.0 * touched)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_follows_a_write_to_its_base(torch: Any, name: str) -> None:
    x = counting(torch, 2, 3)
    y = x * 2
    v = VIEWS[name](y)
    y.mul_(x)
    (g,) = torch.autograd.grad(v.sum(), x)
    touched = torch.zeros(2, 3)
    VIEWS[name](touched).fill_(1.0)
    assert_values(g, 4 * x.detach() * touched)


def test_a_sibling_view_follows_a_write_to_another(torch: Any) -> None:
    x = counting(torch, 4)
    y = x * 1
    a, b = y[:3], y[1:]
    before = b.grad_fn
    a.mul_(10)
    assert b.grad_fn is not before
    assert_values(b, [20.0, 30.0, 4.0])
    (g,) = torch.autograd.grad(b.sum(), x)
    assert_values(g, [0.0, 10.0, 10.0, 1.0])


def test_a_chain_of_views_writes_to_the_root(torch: Any) -> None:
    x = counting(torch, 2, 3)
    y = x * 1
    y.t()[1:].reshape(2, 2).select(1, 0).mul_(3)
    assert_values(y, [[1.0, 6.0, 9.0], [4.0, 5.0, 6.0]])
    y.sum().backward()
    assert_values(x.grad, [[1.0, 3.0, 3.0], [1.0, 1.0, 1.0]])


def test_the_base_of_a_view_of_a_view_is_the_root(torch: Any) -> None:
    y = counting(torch, 4) * 1
    v = y.view(2, 2)[0]
    assert v._base is y
    assert v.detach()._base is None
    assert not v.detach()._is_view()
    assert y._base is None


def test_a_written_value_is_tracked_through_the_view(torch: Any) -> None:
    x, w = counting(torch, 4), counting(torch, 2)
    y = x * 1
    y[1:3] = w * 5
    (y * y).sum().backward()
    assert_values(x.grad, [2.0, 0.0, 0.0, 8.0])
    assert_values(w.grad, [50.0, 100.0])


def test_writing_tracked_values_into_a_plain_tensor_makes_it_tracked(torch: Any) -> None:
    x = counting(torch, 2)
    y = torch.zeros(4)
    v = y[2:]
    y[:2] = x
    assert standing(y) == (True, False, True)
    assert v.requires_grad
    y.sum().backward()
    assert_values(x.grad, [1.0, 1.0])


def test_writing_tracked_values_through_a_view_of_a_plain_tensor(torch: Any) -> None:
    x = counting(torch, 2)
    y = torch.zeros(4)
    v = y[1:3]
    v.copy_(x)
    assert standing(y) == (True, False, True)
    (y * torch.arange(4)).sum().backward()
    assert_values(x.grad, [1.0, 2.0])


def test_writing_over_everything_cuts_the_old_history(torch: Any) -> None:
    x, w = counting(torch, 2), counting(torch, 2)
    y = x.sin()
    y.copy_(w)
    y.sum().backward()
    assert_values(w.grad, [1.0, 1.0])
    assert_values(x.grad, [0.0, 0.0])


def test_a_view_of_a_view_that_was_made_a_leaf_is_not_written(torch: Any) -> None:
    row = torch.zeros(2, 2)[0]
    row.requires_grad_()
    with pytest.raises(RuntimeError, match="view of a leaf"):
        row[:1].zero_()
    assert_values(row, [0.0, 0.0])
