"""The functions that users call: an op's row, given arguments the way PyTorch takes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from reference_engine.dispatch import Operator, apply, operator
from reference_engine.fast import binary, unary
from reference_engine.inplace import apply_in_place
from reference_engine.modes import MODES, no_grad
from reference_engine.ops.accepted import INTEGRAL, LEAST, check, of_integers
from reference_engine.ops.opdef import REGISTRY, REQUIRED, OpDef
from reference_engine.tensor import Tensor

#: other spellings that PyTorch accepts for a parameter
_SPELLINGS = {"axis": "dim", "keepdims": "keepdim", "size": "shape"}


@cache
def function_of(op: OpDef) -> Callable[..., Any]:
    """The function of an op: positional arguments in PyTorch's order, or by name."""
    if op.kind == "composite":
        return _composite(op)
    run = operator(op)
    bind = Binder(op)
    fast: Callable[..., Any] | None = None
    if op.kind in ("elementwise", "linear") and not op.optional and not op.variadic and not op.view:
        if not op.params and len(op.inputs) == 1:
            fast = unary(op)
        elif len(op.inputs) == 2:
            fast = binary(op)
    arity = bind.plain_arity
    flagged = op.inplace and op.name.startswith("nn.functional.")

    def call(*args: Any, **kwargs: Any) -> Any:
        if flagged and (len(args) > len(op.order) or "inplace" in kwargs):
            written = kwargs.pop("inplace") if "inplace" in kwargs else args[-1]
            inputs, params = bind(args[: len(op.order)], kwargs)
            return (apply_in_place if written else apply)(run, inputs, params)
        if not kwargs and len(args) == arity:
            return apply(run, args, {}) if fast is None else fast(*args)
        if "out" in kwargs and "out" not in op.params:
            return _write_out(call, op, args, kwargs)
        inputs, params = bind(args, kwargs)
        return apply(_variant(op, params) if op.variants else run, inputs, params)

    typed = of_integers(call, INTEGRAL[op.name]) if op.name in INTEGRAL else call
    return _named(typed, op.name, op)


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
    if MODES.recording and any(
        isinstance(x, Tensor) and x.requires_grad for x in (*args, *kwargs.values(), *targets)
    ):
        raise RuntimeError(
            f"{op.name}: out= cannot be differentiated, and an argument requires grad; leave out= "
            "away, or use no_grad()"
        )
    with no_grad():
        made = call(*args, **kwargs)
        for target, y in zip(targets, made if isinstance(made, tuple) else (made,), strict=True):
            if y.dtype.category > target.dtype.category:
                raise RuntimeError(f"{op.name} computed {y.dtype}; out= of {target.dtype} is less")
            if target.shape != y.shape:
                if target.shape.numel():
                    warnings.warn(
                        f"out= had shape {list(target.shape)}; it becomes {list(y.shape)}",
                        UserWarning,
                        stacklevel=3,
                    )
                target.data = y
            target.copy_(y)
    return out


@cache
def method_of(op: OpDef) -> Callable[..., Any]:
    """The op as a method of Tensor."""
    if op.kind == "elementwise" and len(op.inputs) == 1 and not op.params:
        return unary(op)
    return function_of(op)


@cache
def in_place_of(op: OpDef) -> Callable[..., Any]:
    """The op's in-place variant: writes its result into its first input, which it returns."""
    run = operator(op)
    bind = Binder(op)

    def call(*args: Any, **kwargs: Any) -> Any:
        inputs, params = bind(args, kwargs)
        return apply_in_place(_variant(op, params) if op.variants else run, inputs, params)

    return _named(call, op.name + "_", op)


def _variant(op: OpDef, params: Mapping[str, Any]) -> Operator:
    """The row that runs with these parameters."""
    chosen = (row for name, row in op.variants.items() if params.get(name) is not None)
    return operator(REGISTRY[next(chosen, op.name)])


def _composite(op: OpDef) -> Callable[..., Any]:
    from reference_engine.ops.namespace import TENSORS

    assert callable(op.forward)
    forward, least = op.forward, LEAST.get(op.name)
    bind = Binder(op)

    def call(*args: Any, **kwargs: Any) -> Any:
        if "out" in kwargs and "out" not in op.params:
            return _write_out(call, op, args, kwargs)
        found = bind.named(args, kwargs)
        if least is not None and found.get("dtype") is None:
            given: Any = found.get(op.inputs[0].lstrip("*"))
            check(op.name, least, given if op.variadic else (given,))
        if op.variadic:
            return forward(TENSORS, *found.pop(op.inputs[0].lstrip("*"), ()), **found)
        y = forward(TENSORS, **found)
        written = found.get("inplace") and y is not found[op.inputs[0]]
        return found[op.inputs[0]].copy_(y) if written else y

    typed = of_integers(call, INTEGRAL[op.name]) if op.name in INTEGRAL else call
    return _named(typed, op.name, op)


def _named(call: Callable[..., Any], name: str, op: OpDef) -> Callable[..., Any]:
    call.__name__ = call.__qualname__ = name.split(".")[-1]
    call.__doc__ = f"The {op.kind} operation {op.name}({', '.join(op.order)}), as in PyTorch."
    return call


def _spellings(op: OpDef) -> dict[str, str]:
    inputs = [n.lstrip("*") for n in op.inputs]
    spelled = {k: v for k, v in _SPELLINGS.items() if v in op.params and k not in op.params}
    for name, place in (("input", 0), ("self", 0), ("other", 1), ("tensors", 0)):
        if place < len(inputs) and name not in inputs and name not in op.params:
            spelled[name] = inputs[place]
    return spelled


class Binder:
    """Sorts a call's arguments into array inputs and parameters; TypeError when they do not fit."""

    __slots__ = (
        "_inputs", "_known", "_names", "_op", "_required", "_spelled", "_spread", "_variadic",
        "plain_arity",
    )  # fmt: skip

    def __init__(self, op: OpDef) -> None:
        self._op = op
        self._inputs = tuple(n.lstrip("*") for n in op.inputs)
        self._names = tuple(n.lstrip("*") for n in op.order)
        #: the last parameter takes all remaining positional arguments: x.view(2, 3)
        self._spread = op.order[-1].startswith("*") and not op.variadic
        self._known = frozenset(self._names) | frozenset(self._inputs) | frozenset(op.params)
        self._spelled = _spellings(op)
        self._variadic = op.variadic
        self._required = [n for n, default in op.params.items() if default is REQUIRED]
        #: a call with this many positional arguments and no others has just the op's inputs
        leading = self._names[: len(self._inputs)] == self._inputs
        plain = leading and not self._required and not op.variadic
        self.plain_arity = len(self._inputs) if plain else -1

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name."""
        op = self._op
        if self._variadic:
            args = _gathered(args)
        names = self._names
        if self._spread and len(args) >= len(names):
            last = args[len(names) - 1 :]
            given = last[0] if len(last) == 1 and isinstance(last[0], (tuple, list)) else last
            args = (*args[: len(names) - 1], tuple(given))
        if len(args) > len(names):
            raise TypeError(f"{op.name} takes ({', '.join(op.order)}), got {len(args)} arguments")
        found = dict(zip(names, args, strict=False))
        for spelling, value in kwargs.items():
            name = self._spelled.get(spelling, spelling)
            if name not in self._known or name in found:
                raise TypeError(f"{op.name} takes ({', '.join(op.order)}), got argument {name!r}")
            found[name] = value
        for name, value in found.items():
            if isinstance(value, Tensor) and name in op.params:
                found[name] = self._number(name, value)
        return found

    def _number(self, name: str, value: Tensor) -> Any:
        """A 0-d tensor given for a parameter, which has no derivative: its number, as in PyTorch.

        TypeError for one that requires grad, or with dimensions. A composite may want the tensor.
        """
        if self._op.kind == "composite" and type(self._op.params[name]) not in (int, float):
            return value
        if value.ndim or value.requires_grad:
            raise TypeError(
                f"{self._op.name}: parameter {name!r} must be a number, got a Tensor "
                + ("that requires grad" if value.requires_grad else f"of {value.ndim} dimensions")
            )
        return value.item()

    def __call__(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """(inputs in the row's order, parameters that were given)."""
        found = self.named(args, kwargs)
        if self._variadic:
            return list(found.pop(self._inputs[0], ())), self._complete(found)
        return [found.pop(name, None) for name in self._inputs], self._complete(found)

    def _complete(self, params: dict[str, Any]) -> dict[str, Any]:
        for name in self._required:
            if name not in params:
                raise TypeError(f"{self._op.name} needs argument {name!r}")
        return params


def _gathered(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A variadic op takes its arrays as one sequence or as separate arguments."""
    if args and isinstance(args[0], (tuple, list)):
        return (tuple(args[0]), *args[1:])
    return (args,) if args else ()
