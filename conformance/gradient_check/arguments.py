"""The arguments of a checked function: which of their tensors are varied, and their names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from operator import is_
from typing import Any

import numpy as np

from conformance.adapters.base import Tensor
from conformance.gradient_check.bridges import Bridge
from conformance.observation import Array


class Variable:
    """A tensor that is varied. span: its place in the flat vector of all variables' real numbers.

    is_complex: whether each element is two numbers of that vector.
    """

    __slots__ = ("dtype", "is_complex", "name", "shape", "span")

    def __init__(self, name: str, shape: tuple[int, ...], dtype: str, span: slice) -> None:
        self.name, self.shape, self.dtype, self.span = name, shape, dtype, span
        self.is_complex = dtype[0] == "c"

    def array(self, flat: Array) -> Array:
        """Return the variable's part of a flat vector in its shape; a view where possible."""
        part = flat[self.span]
        return (paired(part) if self.is_complex else part).reshape(self.shape)

    def index(self, offset: int) -> tuple[int, ...]:
        """Return the index of the element at an offset in `span`."""
        position = offset // 2 if self.is_complex else offset
        return tuple(int(i) for i in np.unravel_index(position, self.shape)) if self.shape else ()


def paired(numbers: Array) -> Array:
    """Return pairs of numbers as complex ones, a view where those lie at multiples of 16 bytes.

    PyTorch reads them 16 bytes at a time, and ends the process where they do not (2.13: rfft).
    """
    aligned = numbers if numbers.ctypes.data % 16 == 0 else numbers.copy()
    return aligned.view(np.complex128)


DOUBLE = np.dtype(np.float64)


def flat(array: Array) -> Array:
    """Return an array's numbers as one real vector, real and imaginary parts in turn."""
    if array.dtype is DOUBLE:
        return array.reshape(-1)
    if array.dtype.kind == "c":
        wide = np.ascontiguousarray(array, np.complex128).reshape(-1)
        parts: Array = wide.view(np.float64)
        return parts
    return np.ascontiguousarray(array, np.float64).reshape(-1)


Fill = Callable[[Sequence[Tensor]], tuple[Any, ...]]


class Arguments:
    """Tensors found in (nested lists, tuples and dicts of) arguments, and how to put others there.

    Varied are the float and complex tensors that require grad, or all of them where none does; a
    tensor that occurs twice is one variable. constants: whether there are tensors that are not
    varied, whose shapes and indices may depend on those that are.
    """

    def __init__(self, bridge: Bridge, inputs: Sequence[Any], extra: dict[str, Tensor]) -> None:
        self.bridge, self.inputs = bridge, tuple(inputs)
        found: list[tuple[str, Tensor]] = []
        for number, value in enumerate(self.inputs):
            self._find(f"input {number}", value, found)
        found.extend(extra.items())
        tracked = [pair for pair in found if bridge.requires_grad(pair[1])]
        varied: dict[int, tuple[str, Tensor]] = {}
        for name, tensor in tracked or found:
            varied.setdefault(id(tensor), (name, tensor))
        self.names = [name for name, _ in varied.values()]
        self.tensors = [tensor for _, tensor in varied.values()]
        self._plain = len(self.tensors) == len(self.inputs) and all(
            map(is_, self.tensors, self.inputs)
        )
        self.constants = not self._plain and any(
            bridge.is_tensor(value) and id(value) not in varied for value in _leaves(self.inputs)
        )

    def _find(self, name: str, value: Any, found: list[tuple[str, Tensor]]) -> None:
        if isinstance(value, (list, tuple)):
            for number, item in enumerate(value):
                self._find(f"{name}[{number}]", item, found)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._find(f"{name}[{key!r}]", item, found)
        elif self.bridge.is_tensor(value) and self.bridge.is_differentiable(value):
            found.append((name, value))

    def variables(self, dtype: str | None) -> tuple[Variable, ...]:
        """Return the variables, in their own dtypes or computed in those of `dtype`'s width."""
        variables, start = [], 0
        for name, tensor in zip(self.names, self.tensors, strict=True):
            own = self.bridge.dtype_name(tensor)
            shape = self.bridge.shape(tensor)
            size = math.prod(shape) * (2 if own.startswith("complex") else 1)
            used = own if dtype is None else widest(own)
            variables.append(Variable(name, shape, used, slice(start, start + size)))
            start += size
        return tuple(variables)

    def point(self) -> Array:
        """Return the values of all variables as one real vector."""
        parts = [flat(self._values(tensor)) for tensor in self.tensors]
        return np.concatenate(parts) if len(parts) != 1 else parts[0].copy()

    def _values(self, tensor: Tensor) -> Array:
        if isinstance(tensor, np.ndarray):
            return tensor
        return self.bridge.values(tensor)

    def fill(self, dtype: str | None) -> Fill:
        """Return a function that puts tensors in the variables' places.

        Constants are cut off from any graph; with `dtype`, those of floats are widened too.
        """
        if self._plain:
            return tuple
        build = [self._builder(value, dtype) for value in self.inputs]
        return lambda tensors: tuple(make(tensors) for make in build)

    def _builder(self, value: Any, dtype: str | None) -> Callable[[Sequence[Tensor]], Any]:
        for number, tensor in enumerate(self.tensors):
            if tensor is value:
                return lambda tensors: tensors[number]
        if isinstance(value, (list, tuple)):
            items = [self._builder(item, dtype) for item in value]
            if hasattr(value, "_fields"):
                return lambda tensors: type(value)(*(item(tensors) for item in items))
            kind = type(value)
            return lambda tensors: kind(item(tensors) for item in items)
        if isinstance(value, dict):
            entries = {key: self._builder(item, dtype) for key, item in value.items()}
            return lambda tensors: {key: item(tensors) for key, item in entries.items()}
        constant = value
        if self.bridge.is_tensor(value):
            floats = self.bridge.is_differentiable(value)
            own = self.bridge.dtype_name(value) if floats else None
            constant = self.bridge.constant(value, widest(own) if dtype and own else None)
        return lambda _tensors: constant


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        yield from _leaves(list(value.values()))
    else:
        yield value


def widest(dtype: str) -> str:
    """Return the dtype of double precision and of the same kind."""
    return "complex128" if dtype.startswith("complex") else "float64"
