"""A tape of three operations, and the adapter that its author would write for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance import TapeEngine, Unsupported


class Value:
    """An array with the values that it was made of and how its gradient is handed to them."""

    def __init__(self, data: Any, tracked: bool = False, parents: tuple[Any, ...] = ()) -> None:
        self.data, self.tracked, self.parents = np.asarray(data), tracked, parents
        self.grad: Any = None

    def backward(self, gradient: Any) -> None:
        if not self.tracked:
            raise ValueError("nothing to differentiate")
        if self.parents == ():
            self.grad = gradient if self.grad is None else self.grad + gradient
        for parent, pull in self.parents:
            if parent.tracked:
                parent.backward(pull(gradient))


def mul(a: Value, b: Value) -> Value:
    return made(a.data * b.data, (a, lambda g: g * b.data), (b, lambda g: g * a.data))


def sin(a: Value) -> Value:
    return made(np.sin(a.data), (a, lambda g: g * np.cos(a.data)))


def total(a: Value) -> Value:
    return made(a.data.sum(), (a, lambda g: np.full_like(a.data, g)))


def made(data: Any, *parents: tuple[Value, Callable[[Any], Any]]) -> Value:
    return Value(data, any(parent.tracked for parent, _ in parents), parents)


TABLE = {"mul": mul, "sin": sin, "sum": total}


class TinyTape(TapeEngine):
    name = "tiny-tape"
    version = "0.1"
    frees_graph = False
    operations = frozenset(TABLE)

    def tensor(self, array, requires_grad=False):
        return Value(array.copy(), requires_grad)

    def numpy(self, tensor):
        return tensor.data

    def apply(self, op, *tensors, **params):
        if op not in TABLE or params:
            raise Unsupported(op)
        return TABLE[op](*tensors)

    def backward(self, tensor, gradient=None):
        if gradient is None and tensor.data.size != 1:
            raise ValueError("a gradient is needed")
        tensor.backward(np.ones_like(tensor.data) if gradient is None else gradient.data)

    def grad(self, tensor):
        return None if tensor.grad is None else Value(tensor.grad)
