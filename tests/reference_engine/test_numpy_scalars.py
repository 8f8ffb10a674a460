"""NumPy scalars in the place of Python numbers: values and dtypes as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.reference_engine.outcome import assert_as_in_torch

SCALARS: dict[str, Any] = {
    "float64": np.float64(2.5),
    "float32": np.float32(2.5),
    "float16": np.float16(2.5),
    "int64": np.int64(3),
    "int32": np.int32(3),
    "uint8": np.uint8(3),
    "bool": np.bool_(True),
    "complex128": np.complex128(1 + 2j),
}
#: PyTorch drops the imaginary part of np.complex64, which is no subclass of Python's complex
REALS = {name: s for name, s in SCALARS.items() if name != "complex128"}
ANY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a function": lambda t, x, s: t.mul(x, s),
    "a function, reversed": lambda t, x, s: t.mul(s, x),
    "a method": lambda t, x, s: x.add(s),
    "an operator": lambda t, x, s: x * s,
    "an operator, reversed": lambda t, x, s: s - x.to(t.float32),
    "a quotient, reversed": lambda t, x, s: s / x,
    "a comparison": lambda t, x, s: x == s,
    "a comparison, reversed": lambda t, x, s: s != x,
    "a choice": lambda t, x, s: t.where(x > 1, x, s),
    "a list": lambda t, x, s: t.tensor([s, s]),
    "a list with a number": lambda t, x, s: t.tensor([[2.0], [s]]),
    "filled": lambda t, x, s: t.full((2,), s),
}
REAL: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a power": lambda t, x, s: t.pow(x, s),
    "a power of it": lambda t, x, s: s**x,
    "an order": lambda t, x, s: t.lt(x, s),
    "a remainder": lambda t, x, s: t.remainder(x, s),
    "a remainder of it": lambda t, x, s: s % x,
    "bounds": lambda t, x, s: t.clamp(x, min=s),
    "a mask's value": lambda t, x, s: x.masked_fill(x > 1, s),
    "in place": lambda t, x, s: x.to(t.float32).mul_(s),
    "filled in place": lambda t, x, s: x.fill_(s),
    "a factor of a parameter": lambda t, x, s: t.add(x.to(t.float32), x, alpha=s),
    "a slope": lambda t, x, s: t.nn.functional.leaky_relu(x.to(t.float32) - 2, s),
    "a scale": lambda t, x, s: t.addcmul(x.to(t.float32), x, x, value=s),
    "an exponent": lambda t, x, s: x.to(t.float32).norm(p=s),
}
CALLS = ANY | REAL
ASKED = [
    *((way, name) for way in ANY for name in SCALARS),
    *((way, name) for way in REAL for name in REALS),
]
ASKED.remove(("a list with a number", "bool"))  # which PyTorch takes for no number


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@pytest.mark.parametrize(("way", "name"), ASKED)
def test_a_numpy_scalar_counts_as_in_torch(engine: Any, dtype: str, way: str, name: str) -> None:
    def scenario(lib: Any) -> Any:
        made = CALLS[way](lib, lib.tensor([1, 2]).to(getattr(lib, dtype)), SCALARS[name])
        return made, str(made.dtype).rpartition(".")[2]

    assert_as_in_torch(scenario, engine)


def test_gradients_beside_a_numpy_scalar_are_as_in_torch(engine: Any) -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = lib.add(lib.mul(x, np.int64(3)) ** np.float32(2), x, alpha=np.float64(0.5))
        y.sum().backward()
        return y, x.grad, str(x.grad.dtype).rpartition(".")[2]

    assert_as_in_torch(scenario, engine)


@pytest.mark.parametrize("item", ["float64", "float16", "bfloat16", "int32", "bool", "complex64"])
@pytest.mark.parametrize("other", [2, 2.0, True])
def test_tensors_in_a_list_keep_their_precision(engine: Any, item: str, other: Any) -> None:
    def scenario(lib: Any) -> Any:
        made = lib.tensor([lib.tensor(1.25).to(getattr(lib, item)), other])
        return made, str(made.dtype).rpartition(".")[2]

    assert_as_in_torch(scenario, engine)
