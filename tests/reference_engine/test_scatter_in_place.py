"""Scatters that reduce, and compositions written in place: values as in PyTorch, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch as pytorch

DTYPES = ("float32", "int32", "bool", "bfloat16", "complex64")
Write = Callable[[Any, Any, Any, Any], Any]


def operands(lib: Any, dtype: str) -> tuple[Any, Any, Any]:
    """A target, an index in which places repeat, and a source."""
    x, source = lib.ones(3, 3), lib.arange(6).reshape(2, 3) + 1
    return *(v.to(getattr(lib, dtype)) for v in (x, source)), lib.tensor([[0, 1, 1], [2, 0, 0]])


WRITES: dict[str, Write] = {
    "a tensor": lambda lib, x, src, i: x.scatter(0, i, src, reduce="add"),
    "a product": lambda lib, x, src, i: lib.scatter(x, 0, i, src, reduce="multiply"),
    "in place": lambda lib, x, src, i: x.scatter_(0, i, src, reduce="multiply"),
    "numbers": lambda lib, x, src, i: x.scatter(0, i, 2.5, reduce="multiply"),
    "numbers in place": lambda lib, x, src, i: x.scatter_(0, i, 2, reduce="add"),
    "scatter_reduce_": lambda lib, x, src, i: x.scatter_reduce_(0, i, src, "sum"),
    "masked_scatter_": lambda lib, x, src, i: x[:2].masked_scatter_(i > 0, src),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:The reduce argument:UserWarning")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("write", WRITES)
def test_values_are_torchs(engine: Any, write: str, dtype: str) -> None:
    got, expected = (
        WRITES[write](lib, x, src, index)
        for lib in (engine, pytorch)
        for x, src, index in (operands(lib, dtype),)
    )
    assert got.tolist() == expected.tolist()
    assert str(got.dtype).endswith(dtype)


def test_another_reduction_is_refused(engine: Any) -> None:
    x, src, index = operands(engine, "float32")
    with pytest.raises(RuntimeError, match="reduce='mean'; expected 'add' or 'multiply'"):
        x.scatter(0, index, src, reduce="mean")


def test_gradients_that_torch_does_not_have(engine: Any) -> None:
    x = engine.tensor([3.0, 5.0], requires_grad=True)
    src = engine.tensor([2.0, 0.0, 7.0], requires_grad=True)
    y = (x * 1).scatter_(0, engine.tensor([0, 0, 1]), src, reduce="multiply")
    y.sum().backward()
    assert y.tolist() == [0.0, 35.0]
    assert x.grad.tolist() == [0.0, 7.0]
    assert src.grad.tolist() == [0.0, 6.0, 5.0]


def test_a_composition_in_place_counts_as_a_write(engine: Any) -> None:
    x = engine.ones(3, requires_grad=True)
    y = x * 1
    view, version = y[:2], y._version
    y.masked_scatter_(engine.tensor([True, False, False]), engine.tensor([4.0]))
    assert y._version == version + 1
    assert view.tolist() == [4.0, 1.0]
    view.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]
