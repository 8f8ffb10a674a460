"""Tensor's methods and operators, and the module's functions: made from the table of operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference_engine.fast import binary
from reference_engine.inplace import become_view
from reference_engine.ops.call import function_of, in_place_of, method_of
from reference_engine.ops.creation import NEW
from reference_engine.ops.getitem import copy_, fill_, getitem, index_put_, setitem
from reference_engine.ops.opdef import OpDef
from reference_engine.ops.table import ALIASES, TABLE
from reference_engine.tensor import Tensor

#: operators of one tensor, those that compare two, and those that an array or number may be left of
_UNARY = {"neg": "neg", "abs": "abs", "invert": "bitwise_not", "pos": "positive"}
_COMPARING = ("eq", "ne", "lt", "le", "gt", "ge")
_REFLECTED = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "pow": "pow", "matmul": "matmul",
    "mod": "remainder", "floordiv": "floor_divide", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor",
}  # fmt: skip
_COMMUTATIVE = ("add", "mul")
#: ops that are attributes of a tensor
_PROPERTIES = ("T", "mT", "H", "mH", "real", "imag")
#: views whose in-place variants change a tensor's shape and strides
_SHAPE_CHANGES = ("t", "transpose", "swapaxes", "swapdims", "squeeze", "unsqueeze")
_OPERANDS = (Tensor, bool, int, float, complex, np.number, np.bool_)


def _operator(name: str, reflected: bool = False) -> Callable[..., Any]:
    op = TABLE[name]
    run = function_of(op) if op.kind == "composite" else binary(op)

    def on_the_left(self: Tensor, other: Any) -> Any:
        known = type(other) is Tensor or isinstance(other, _OPERANDS)
        return run(self, other) if known else NotImplemented

    def on_the_right(self: Tensor, other: Any) -> Any:
        return run(other, self) if isinstance(other, _OPERANDS) else NotImplemented

    # x + 2 has a short way that 2 + x has not
    return on_the_right if reflected and name not in _COMMUTATIVE else on_the_left


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


def install() -> None:
    """Gives Tensor everything that comes from the table of operations."""
    members: dict[str, Any] = {"__getitem__": getitem, "__setitem__": setitem, **NEW}
    members |= {write.__name__: write for write in (copy_, fill_, index_put_)}
    members |= {f"__{stem}__": method_of(TABLE[name]) for stem, name in _UNARY.items()}
    members |= {f"__{name}__": _operator(name) for name in _COMPARING}
    for stem, name in _REFLECTED.items():
        members |= {f"__{stem}__": _operator(name), f"__r{stem}__": _operator(name, reflected=True)}
        if TABLE[name].inplace:
            members[f"__i{stem}__"] = in_place_of(TABLE[name])
    members["__rdiv__"] = members["__rtruediv__"]
    members["conj_physical_"] = in_place_of(TABLE["conj"])
    # defining __eq__ on the class does not undo hashing by identity, which dicts of tensors need
    members["__hash__"] = object.__hash__
    members |= {name: property(method_of(TABLE[name])) for name in _PROPERTIES}
    members |= {name + "_": _shape_change(name) for name in _SHAPE_CHANGES}
    there = {*dir(Tensor), *members}
    for op in TABLE.values():
        for name in op.methods:
            for method, make in ((name, method_of), (name + "_", in_place_of)):
                if method not in there and (make is method_of or op.inplace):
                    members.setdefault(method, _Late(method, make, op))
    for name, member in members.items():
        setattr(Tensor, name, member)


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
