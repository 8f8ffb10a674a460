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
    Tensor.__rdiv__ = Tensor.__rtruediv__  # type: ignore[attr-defined]
    # defining __eq__ on the class does not undo hashing by identity, which dicts of tensors need
    Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]


#: views whose in-place variants change a tensor's shape and strides
_SHAPE_CHANGES = ("t", "transpose", "swapaxes", "swapdims", "squeeze", "unsqueeze")


def _shape_change(name: str) -> Callable[..., Tensor]:
    return lambda self, *args, **kwargs: become_view(
        self, getattr(self, name)(*args, **kwargs), name + "_"
    )


class _Late:
    """A method that is made when it is first asked for: most programs use few of hundreds."""

    def __init__(self, name: str, make: Callable[[OpDef], Callable[..., Any]], op: OpDef) -> None:
        self._name, self._make, self._op = name, make, op

    def __get__(self, instance: Tensor | None, owner: type[Tensor]) -> Any:
        made = self._make(self._op)
        setattr(Tensor, self._name, made)
        return made.__get__(instance, owner)


def _install_methods() -> None:
    """Gives Tensor the methods of the table, and their in-place variants."""
    there = set(dir(Tensor))
    for op in TABLE.values():
        for name in op.methods:
            for method, make in ((name, method_of), (name + "_", in_place_of)):
                if method not in there and (make is method_of or op.inplace):
                    setattr(Tensor, method, _Late(method, make, op))
                    there.add(method)
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


def function(name: str, prefix: str = "") -> Callable[..., Any] | None:
    """The table's function of a short name under a prefix (``""``, ``"linalg."``), also in place;
    None when it has none.
    """
    for short, make in ((name, function_of), (name.removesuffix("_"), in_place_of)):
        op = TABLE.get(ALIASES.get(prefix + short, prefix + short))
        if op is not None and short[:1] != "_" and (make is function_of or op.inplace):
            return make(op)
    return None


def functions(prefix: str) -> dict[str, Callable[..., Any]]:
    """All the table's functions under a prefix, by short name."""
    known = [n.removeprefix(prefix) for n in (*TABLE, *ALIASES) if n.startswith(prefix)]
    names = [n for known_ in known if "." not in known_ for n in (known_, known_ + "_")]
    return {n: found for n in names if (found := function(n, prefix)) is not None}
