"""Custom Functions in forward mode: their ``jvp``, and what it must return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reference_engine.backends.base import DIFFERENTIABLE
from reference_engine.forward import Level, below, overwrite_tangent, set_tangent, tangent_of
from reference_engine.modes import MODES
from reference_engine.tensor import Tensor

if TYPE_CHECKING:
    from reference_engine.function import FunctionNode


def push_custom(
    node: FunctionNode, args: Sequence[Any], returned: Sequence[Any], outputs: Sequence[Any]
) -> None:
    """Gives the outputs of a custom Function the tangents that its ``jvp`` returns.

    ``returned`` is what ``forward`` gave, ``outputs`` what its caller gets. NotImplementedError
    without a ``jvp``, RuntimeError for one whose tangents do not fit.
    """
    constant, dirty = set(map(id, node._non_differentiable)), set(map(id, node._dirty))
    flows = [
        isinstance(x, Tensor) and x._raw.dtype in DIFFERENTIABLE and id(x) not in constant
        for x in returned
    ]
    for level in MODES.forward:
        found = [tangent_of(x, level) for x in args]
        if all(t is None for t in found):
            continue
        with below(level):
            given = [_given(node, x, t) for x, t in zip(args, found, strict=True)]
            made = node._function.jvp(node, *given)
        made = list(made) if isinstance(made, (tuple, list)) else [made]
        if len(made) != len(outputs):
            raise RuntimeError(
                f"{node.name()}: jvp returned {len(made)} tangents; expected {len(outputs)}, one "
                "for each output of forward"
            )
        for place, (x, y, t) in enumerate(zip(returned, outputs, made, strict=True)):
            _check(node, place, y, t, flows[place])
            if id(x) in dirty:
                before = [g for g, a in zip(given, args, strict=True) if a is x]
                _set_modified(node, level, y, t, before)
            elif isinstance(y, Tensor):
                _set(node, level, y, t, id(x) in set(map(id, args)))


def _given(node: FunctionNode, x: Any, tangent: Tensor | None) -> Tensor | None:
    """An argument's tangent as ``jvp`` gets it: zeros, or None, where there is none."""
    if tangent is not None or not isinstance(x, Tensor) or x._raw.dtype not in DIFFERENTIABLE:
        return tangent
    return x.new_zeros(tuple(x.shape)) if node._materialize else None


def _check(node: FunctionNode, place: int, y: Any, t: Any, flows: bool) -> None:
    what = f"{node.name()}: jvp returned {type(t).__name__} as tangent {place}; "
    if not flows:
        if t is not None:
            raise RuntimeError(what + "expected None, since that output is not differentiable")
    elif not isinstance(t, Tensor):
        raise RuntimeError(what + "expected a Tensor")
    elif t.shape != y.shape:
        raise RuntimeError(
            f"{node.name()}: jvp returned a tangent of shape {list(t.shape)} for output {place} of "
            f"shape {list(y.shape)}"
        )


def _set(node: FunctionNode, level: Level, y: Tensor, t: Tensor | None, is_input: bool) -> None:
    if t is not None and (is_input or y._is_view()) and not t._is_view():
        raise RuntimeError(
            f"{node.name()}: forward returned a view or an input, so jvp must return a view of the "
            "input's tangent; this one is not"
        )
    set_tangent(y, level, t)


def _set_modified(
    node: FunctionNode, level: Level, y: Tensor, t: Tensor | None, before: Sequence[Tensor | None]
) -> None:
    if not any(t is g for g in before):
        raise RuntimeError(
            f"{node.name()}: forward modified an input in place, so jvp must modify that input's "
            "tangent in place and return it"
        )
    if t is not None and tangent_of(y, level) is not t:
        overwrite_tangent(y, level, t)
