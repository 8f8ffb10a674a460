"""x[index] and x[index] = value: values, gradients, views and refusals as in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch as pytorch

from tests.reference_engine.outcome import assert_as_in_torch

#: an index, given the library
INDICES: dict[str, Any] = {
    "int": lambda lib: 1,
    "negative": lambda lib: -1,
    "slice": lambda lib: slice(1, None),
    "step": lambda lib: slice(None, None, 2),
    "past the end": lambda lib: slice(1, 99),
    "empty": lambda lib: slice(2, 1),
    "several": lambda lib: (1, slice(0, 2), -1),
    "all ints": lambda lib: (1, 2, 3),
    "ellipsis": lambda lib: (..., 1),
    "ellipsis between": lambda lib: (0, ..., 1),
    "ellipsis alone": lambda lib: ...,
    "full slice": lambda lib: slice(None),
    "none": lambda lib: (None, 1, None),
    "none last": lambda lib: (..., None),
    "empty tuple": lambda lib: (),
    "numpy int": lambda lib: np.int64(1),
    "0-d tensor": lambda lib: lib.tensor(1),
    "tensor": lambda lib: lib.tensor([2, 0, 2]),
    "tensor of two dimensions": lambda lib: lib.tensor([[2, 0], [1, 1]]),
    "negative tensor": lambda lib: lib.tensor([-1, 0]),
    "list": lambda lib: [0, 2],
    "numpy array": lambda lib: np.array([0, 2, 2]),
    "two tensors": lambda lib: (lib.tensor([0, 1]), lib.tensor([2, 2])),
    "two tensors apart": lambda lib: (lib.tensor([0, 1]), slice(None), lib.tensor([2, 3])),
    "tensor after slice": lambda lib: (slice(None), lib.tensor([2, 0])),
    "tensor and int": lambda lib: (lib.tensor([0, 1]), 1),
    "tensor and none": lambda lib: (None, lib.tensor([0, 1])),
    "mask": lambda lib: lib.tensor([True, False, True]),
    "full mask": lambda lib: lib.arange(36).reshape(3, 3, 4) % 3 == 0,
    "mask and slice": lambda lib: (lib.tensor([True, False, True]), slice(1, None)),
    "true": lambda lib: True,
    "out of range": lambda lib: 3,
    "too many": lambda lib: (0, 0, 0, 0),
    "negative step": lambda lib: slice(None, None, -1),
    "float": lambda lib: 1.5,
    "tensor out of range": lambda lib: lib.tensor([5]),
}


def source(lib: Any) -> Any:
    return lib.arange(36, dtype=lib.float64).reshape(3, 3, 4)


@pytest.mark.parametrize("kind", INDICES)
def test_reading_as_in_torch(engine: Any, kind: str) -> None:
    def scenario(lib: Any) -> Any:
        x = source(lib).requires_grad_()
        part = (x * 1)[INDICES[kind](lib)]
        (part * part).sum().backward()
        return part, list(part.shape), part._is_view(), x.grad

    assert_as_in_torch(scenario, engine)


@pytest.mark.parametrize("kind", INDICES)
def test_second_order_of_reading_as_in_torch(engine: Any, kind: str) -> None:
    def scenario(lib: Any) -> Any:
        x = source(lib).requires_grad_()
        part = x[INDICES[kind](lib)]
        (g,) = lib.autograd.grad((part**3).sum(), x, create_graph=True)
        return lib.autograd.grad(g.sum(), x)

    assert_as_in_torch(scenario, engine)


# (torch masks by a bare True in a way of its own when it writes)
@pytest.mark.parametrize("kind", [k for k in INDICES if k not in ("two tensors apart", "true")])
@pytest.mark.parametrize("value", ["number", "tensor", "scalar tensor"])
def test_writing_as_in_torch(engine: Any, kind: str, value: str) -> None:
    def scenario(lib: Any) -> Any:
        x, index = source(lib).requires_grad_(), INDICES[kind](lib)
        y = x * 1
        shape = pytorch.arange(36).reshape(3, 3, 4)[INDICES[kind](pytorch)].shape
        v = lib.ones(*shape, dtype=lib.float64) * 3 if shape else lib.tensor(3.0).double()
        v = v.requires_grad_() if value == "tensor" else v.sum().detach().requires_grad_()
        repeated = "tensor" in kind or kind == "numpy array"
        y[index] = 7.0 if value == "number" else v
        (y * y).sum().backward()
        grad = None if repeated or value == "number" else v.grad
        return y, x.grad, grad

    assert_as_in_torch(scenario, engine)


def test_an_index_tensor_changed_afterwards_does_not_change_the_gradient(engine: Any) -> None:
    x = engine.ones(3, requires_grad=True)
    index = engine.tensor([0, 0])
    y = x[index]
    index.fill_(2)
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 0.0]


@pytest.mark.parametrize("index", [(..., 0, ...), "a", {}])
def test_what_is_no_index_is_refused(engine: Any, index: Any) -> None:
    """torch ignores a second Ellipsis, and raises TypeError for strings."""
    with pytest.raises(IndexError):
        source(engine)[index]


def test_advanced_writes_need_the_same_dtype(engine: Any) -> None:
    x = engine.zeros(3)
    with pytest.raises(RuntimeError, match="dtype"):
        x[engine.tensor([0])] = engine.ones(1, dtype=engine.float64)


def test_a_number_is_written_as_precisely_as_the_tensor_holds(engine: Any) -> None:
    x = engine.zeros(2, dtype=engine.float64)
    x[0] = 1e-5
    x[x == 0] = 1e-6
    assert x.tolist() == [1e-5, 1e-6]
    assert x.fill_(0.1).tolist() == [0.1, 0.1]
    assert x.scatter(0, engine.tensor([1]), 0.3).tolist() == [0.1, 0.3]
    z = engine.zeros(1, dtype=engine.complex128)
    z[0] = 0.1 + 0.3j
    assert z.tolist() == [0.1 + 0.3j]
