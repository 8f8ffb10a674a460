"""Tensor's methods and operators, and the module's functions: made from the table of operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference_engine.ops.call import function_of, in_place_of, method_of
from reference_engine.ops.creation import empty, full, new, ones, zeros
from reference_engine.ops.getitem import getitem, index_put_, setitem
from reference_engine.ops.memory import copy_, fill_
from reference_engine.ops.opdef import OpDef
from reference_engine.ops.table import ALIASES, TABLE
from reference_engine.tensor import Tensor
from reference_engine.views import become_view

#: operator → the op it runs
_OPERATORS = {
    "__add__": "add", "__sub__": "sub", "__mul__": "mul", "__truediv__": "div", "__pow__": "pow",
    "__matmul__": "matmul", "__neg__": "neg", "__abs__": "abs", "__mod__": "remainder",
    "__floordiv__": "floor_divide", "__eq__": "eq", "__ne__": "ne", "__lt__": "lt", "__le__": "le",
    "__gt__": "gt", "__ge__": "ge", "__and__": "bitwise_and", "__or__": "bitwise_or",
    "__xor__": "bitwise_xor", "__invert__": "bitwise_not",
}  # fmt: skip
_REFLECTED = (
    "add",
    "sub",
    "mul",
    "truediv",
    "pow",
    "matmul",
    "mod",
    "floordiv",
    "and",
    "or",
    "xor",
)
_COMMUTATIVE = ("add", "mul")
_NUMBERS = (Tensor, bool, int, float, complex)


def _operator(op: OpDef, reflected: bool) -> Callable[..., Any]:
    function = function_of(op)
    if op.kind == "composite" or len(op.inputs) != 2:
        run = function
    else:
        from reference_engine.fast import binary

        run = binary(op)

    def on_the_left(self: Tensor, other: Any) -> Any:
        if type(other) is Tensor or isinstance(other, _NUMBERS):
            return run(self, other)
        return run(self, other.item()) if isinstance(other, np.generic) else NotImplemented

    def on_the_right(self: Tensor, other: Any) -> Any:
        other = other.item() if isinstance(other, np.generic) else other
        return run(other, self) if isinstance(other, _NUMBERS) else NotImplemented

    # x + 2 has a short way that 2 + x has not
    return on_the_right if reflected and op.name not in _COMMUTATIVE else on_the_left


def _in_place_operator(op: OpDef) -> Callable[..., Any]:
    write = in_place_of(op)
    return lambda self, other: write(self, other)


def install() -> None:
    """Gives Tensor everything that comes from the table of operations."""
    _install_parts()
    _install_operators()
    _install_methods()


def _install_operators() -> None:
    """Gives Tensor the operators whose ops the table has."""
    for magic, name in _OPERATORS.items():
        op = TABLE.get(name)
        if op is None:
            continue
        stem = magic.strip("_")
        if len(op.inputs) == 1:
            setattr(Tensor, magic, method_of(op))
            continue
        setattr(Tensor, magic, _operator(op, reflected=False))
        if stem in _REFLECTED:
            setattr(Tensor, f"__r{stem}__", _operator(op, reflected=True))
            if op.inplace:
                setattr(Tensor, f"__i{stem}__", _in_place_operator(op))
    # defining __eq__ on the class does not undo hashing by identity, which dicts of tensors need
    Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]


#: views whose in-place variants change a tensor's shape and strides
_SHAPE_CHANGES = ("t", "transpose", "swapaxes", "swapdims", "squeeze", "unsqueeze")


def _shape_change(name: str) -> Callable[..., Tensor]:
    take: Callable[..., Tensor] = getattr(Tensor, name)
    return lambda self, *args, **kwargs: become_view(self, take(self, *args, **kwargs), name + "_")


def _install_methods() -> None:
    """Gives Tensor the methods of the table, and their in-place variants."""
    for op in TABLE.values():
        for name in op.methods:
            if not hasattr(Tensor, name):
                setattr(Tensor, name, method_of(op))
            if op.inplace and not hasattr(Tensor, name + "_"):
                setattr(Tensor, name + "_", in_place_of(op))
    for name in _SHAPE_CHANGES:
        setattr(Tensor, name + "_", _shape_change(name))


#: ops that are attributes of a tensor
_PROPERTIES = ("T", "mT", "H", "mH", "real", "imag")


def _install_parts() -> None:
    """Gives Tensor its indexing, its writes and its factories."""
    Tensor.__getitem__ = getitem  # type: ignore[method-assign]
    Tensor.__setitem__ = setitem  # type: ignore[method-assign]
    for write in (copy_, fill_, index_put_):
        setattr(Tensor, write.__name__, write)
    for factory in (zeros, ones, empty, full):
        setattr(Tensor, "new_" + factory.__name__, new(factory))
    for name in _PROPERTIES:
        if name in TABLE:
            setattr(Tensor, name, property(method_of(TABLE[name])))


def functions(prefix: str = "") -> dict[str, Callable[..., Any]]:
    """The table's functions under a prefix (``""``, ``"nn.functional."``, ``"linalg."``), by short
    name.
    """
    found = {}
    for name, op in [*TABLE.items(), *((a, TABLE[n]) for a, n in ALIASES.items())]:
        short = name.removeprefix(prefix)
        if name.startswith(prefix) and "." not in short and not short.startswith("_"):
            found[short] = function_of(op)
            if op.inplace:
                found.setdefault(short + "_", in_place_of(op))
    return found
