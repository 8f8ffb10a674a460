"""The functions that users call: an op's row, given arguments the way PyTorch takes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from reference_engine.dispatch import apply, operator
from reference_engine.fast import quick, unary
from reference_engine.inplace import apply_in_place, check_apart, check_fits, stand_in
from reference_engine.modes import MODES, no_grad
from reference_engine.ops.accepted import INTEGRAL, check, least_of, of_integers
from reference_engine.ops.opdef import REGISTRY, REQUIRED, OpDef
from reference_engine.tensor import Tensor

#: a call's positional and named arguments → its result
_General = Callable[[tuple[Any, ...], dict[str, Any]], Any]
#: of the arguments of a call: their names, where the array inputs are among them (None: left out),
#: and where the parameters are
Form: TypeAlias = "tuple[tuple[str, ...], tuple[int | None, ...], tuple[tuple[str, int], ...]]"
#: other spellings that PyTorch accepts for a parameter, and for the input in a place
_SPELLINGS = {"axis": "dim", "keepdims": "keepdim", "size": "shape"}
_PLACES = {"input": 0, "self": 0, "other": 1, "tensors": 0}


@cache
def function_of(op: OpDef) -> Callable[..., Any]:
    """The function of an op: positional arguments in PyTorch's order, or by name."""
    bind, fast = Binder(op), quick(op)
    general = _composed(op, bind) if op.kind == "composite" else _applied(op, bind)
    arity = bind.plain_arity
    last = op.inputs[1] if arity == 2 else ""

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) == arity and not kwargs:
            return fast(*args)
        if last in kwargs and len(args) == len(kwargs) == 1:
            return fast(*args, kwargs[last])
        if "out" in kwargs and "out" not in op.params:
            return _write_out(call, op, args, kwargs)
        return general(args, kwargs)

    made: Callable[..., Any] = call
    if op.name in INTEGRAL:
        made = of_integers(call, INTEGRAL[op.name], op.kind == "elementwise")
    return _named(made, op.name, op)


@cache
def method_of(op: OpDef) -> Callable[..., Any]:
    """The op as a method of Tensor."""
    if op.kind == "elementwise" and len(op.inputs) == 1 and not op.params:
        return unary(op)
    return function_of(op)


@cache
def in_place_of(op: OpDef) -> Callable[..., Tensor]:
    """The op's in-place variant: writes its result into its first input, which it returns."""
    name = op.name + "_"
    if op.kind != "composite":
        general = _applied(op, Binder(op), in_place=True)
        return _named(lambda *args, **kwargs: general(args, kwargs), name, op)
    make = function_of(op)

    def composed(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if op.name != "masked_scatter":  # which reads all first
            check_apart(name, x, (*args, *kwargs.values()))
        y = make(stand_in(x), *args, **kwargs)
        check_fits(x, y, name)
        written: Tensor = x.copy_(y)
        return written

    return _named(composed, name, op)


def _named(call: Callable[..., Any], name: str, op: OpDef) -> Callable[..., Any]:
    call.__name__ = call.__qualname__ = name.split(".")[-1]
    call.__doc__ = f"The {op.kind} operation {op.name}({', '.join(op.order)}), as in PyTorch."
    return call


def _applied(op: OpDef, bind: Binder, in_place: bool = False) -> _General:
    """Any call of a row."""
    flagged = op.inplace and op.name.startswith("nn.functional.")
    plain = operator(op)

    def general(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        written = in_place
        if flagged and (len(args) > len(op.order) or "inplace" in kwargs):
            written = kwargs.pop("inplace") if "inplace" in kwargs else args[-1]
            args = args[: len(op.order)]
        inputs, params = bind.split(args, kwargs)
        run = plain
        for name, row in op.variants.items():
            if params.get(name) is not None:
                if REGISTRY[row].kind == "composite":
                    given = dict(zip(op.inputs, inputs, strict=True)) | params
                    return (in_place_of if written else function_of)(REGISTRY[row])(**given)
                run = operator(REGISTRY[row])
        return (apply_in_place if written else apply)(run, inputs, params)

    return general


def _composed(op: OpDef, bind: Binder) -> _General:
    """Any call of a composite."""
    from reference_engine.ops.namespace import TENSORS

    assert callable(op.forward)
    forward, least, first, variadic = op.forward, least_of(op.name), bind.first, op.variadic

    def general(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = bind(args, kwargs)
        if least is not None and found.get("dtype") is None:
            given = found.get(first) or () if variadic else map(found.get, op.inputs)
            check(op.name, least, [x for x in given if isinstance(x, Tensor)])
        if variadic:
            return forward(TENSORS, *found.pop(first, ()), **found)
        y = forward(TENSORS, **found)
        written = found.get("inplace") and y is not found[first]
        return found[first].copy_(y) if written else y

    return general


def _write_out(
    call: Callable[..., Any], op: OpDef, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Writes the result into ``out=``, a tensor or a tuple of them, and returns that.

    RuntimeError when gradients would be needed, or when the dtype is too small for the result.
    """
    out = kwargs.pop("out")
    if out is None:
        return call(*args, **kwargs)
    targets = out if isinstance(out, tuple) else (out,)
    involved = (x for x in (*args, *kwargs.values(), *targets) if isinstance(x, Tensor))
    if MODES.recording and any(x.requires_grad for x in involved):
        raise RuntimeError(
            f"{op.name}: out= cannot be differentiated, and an argument requires grad; leave out= "
            "away, or use no_grad()"
        )
    with no_grad():
        made = call(*args, **kwargs)
        for target, y in zip(targets, made if isinstance(made, tuple) else (made,), strict=True):
            if op.kind == "elementwise":
                check_apart(f"{op.name} with out=", target, (*args, *kwargs.values()))
            if y.dtype.category > target.dtype.category:
                raise RuntimeError(f"{op.name} computed {y.dtype}; out= of {target.dtype} is less")
            if target.shape != y.shape:
                if target.shape.numel():
                    about = f"out= had shape {list(target.shape)}; it becomes {list(y.shape)}"
                    warnings.warn(about, UserWarning, stacklevel=3)
                target.data = y
            target.copy_(y)
    return out


class Binder:
    """Gives a call's arguments their names; TypeError when they do not fit."""

    def __init__(self, op: OpDef) -> None:
        self._op, self._variadic = op, op.variadic
        self._inputs = tuple(n.lstrip("*") for n in op.inputs)
        self._names = tuple(n.lstrip("*") for n in op.order)
        self.first = self._inputs[0]
        #: its arrays are one sequence, or separate arguments; or the last parameter takes all
        #: remaining positional arguments: x.view(2, 3)
        self._collects = op.variadic or op.order[-1].startswith("*")
        self._known = {*self._names, *self._inputs, *op.params}
        self._spelled = {k: v for k, v in _SPELLINGS.items() if v in op.params}
        self._spelled |= {k: self._inputs[i] for k, i in _PLACES.items() if i < len(self._inputs)}
        self._required = {n for n, default in op.params.items() if default is REQUIRED}
        #: a call with this many positional arguments and no others has just the op's inputs
        leading = self._names[: len(self._inputs)] == self._inputs
        plain = leading and not (self._required or self._collects)
        self.plain_arity = len(self._inputs) if plain else -1
        self._form = cache(self._form_of)

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name."""
        names, values, _, params = self._sorted(args, kwargs)
        return dict(zip(names, values, strict=True)) | params

    def split(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """The array inputs, in the row's order, and the parameters by name."""
        _, values, places, params = self._sorted(args, kwargs)
        inputs = [None if place is None else values[place] for place in places]
        if self._variadic:
            return (() if inputs[0] is None else tuple(inputs[0])), params
        return inputs, params

    def _sorted(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[
        tuple[str, ...], tuple[Any, ...], tuple[int | None, ...], dict[str, Any]
    ]:  # fmt: skip
        """The arguments' names; their values; where the inputs are among them; the parameters."""
        if self._collects:
            args = self._collected(args)
        names, inputs, places = self._form(len(args), *kwargs)
        values = (*args, *kwargs.values()) if kwargs else args
        params = {}
        for name, place in places:
            value = values[place]
            odd = isinstance(value, (Tensor, np.generic))
            params[name] = self._number(name, value) if odd else value
        return names, values, inputs, params

    def _collected(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The positional arguments, those that a variadic op or a last parameter takes as one."""
        if self._variadic:  # its arrays are one sequence, or separate arguments
            one = args and isinstance(args[0], (tuple, list))
            return (tuple(args[0]), *args[1:]) if one else (args,) if args else ()
        last = len(self._names) - 1
        if len(args) <= last:
            return args
        one = len(args) == last + 1 and isinstance(args[last], (tuple, list))
        return (*args[:last], tuple(args[last] if one else args[last:]))

    def _form_of(self, count: int, *spellings: str) -> Form:
        """What so many positional arguments are, and those given by name."""
        takes = f"{self._op.name} takes ({', '.join(self._op.order)}), got"
        if count > len(self._names):
            raise TypeError(f"{takes} {count} arguments")
        found = list(self._names[:count])
        for spelling in spellings:
            name = spelling if spelling in self._known else self._spelled.get(spelling, spelling)
            if name not in self._known or name in found:
                raise TypeError(f"{takes} argument {name!r}")
            found.append(name)
        missing = self._required.difference(found)
        if missing and self._op.kind != "composite":  # whose function says so itself
            raise TypeError(f"{self._op.name} needs argument {min(missing)!r}")
        inputs = [found.index(name) if name in found else None for name in self._inputs]
        params = [(n, place) for place, n in enumerate(found) if n in self._op.params]
        return tuple(found), tuple(inputs), tuple(params)

    def _number(self, name: str, value: Tensor | np.generic) -> Any:
        """A 0-d tensor or NumPy scalar given for a parameter, which has no derivative: its number,
        as in PyTorch.

        TypeError for one that requires grad, or with dimensions. A composite may want the tensor.
        """
        if isinstance(value, np.generic):
            return value.item()
        if self._op.kind == "composite" and type(self._op.params[name]) not in (int, float):
            return value
        if value.ndim or value.requires_grad:
            raise TypeError(
                f"{self._op.name}: parameter {name!r} must be a number, got a Tensor "
                + ("that requires grad" if value.requires_grad else f"of {value.ndim} dimensions")
            )
        return value.item()
