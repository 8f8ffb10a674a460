"""The rules that a custom Function may have besides ``backward``: ``jvp`` in forward mode, ``vmap``
for a batch of calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reference_engine.backends.base import DIFFERENTIABLE
from reference_engine.forward import Level, below, overwrite_tangent, set_tangent, tangent_of
from reference_engine.function_misuse import refusal
from reference_engine.modes import MODES, Mode
from reference_engine.tensor import Tensor

if TYPE_CHECKING:
    from reference_engine.func.vmap import Call
    from reference_engine.function import Function, FunctionNode


# forward mode -------------------------------------------------------------------------------------
def push_custom(
    node: FunctionNode, args: Sequence[Any], returned: Sequence[Any], outputs: Sequence[Any]
) -> None:
    """Gives the outputs of a custom Function the tangents that its ``jvp`` returns.

    ``returned`` is what ``forward`` gave, ``outputs`` what its caller gets. NotImplementedError
    without a ``jvp``, RuntimeError for one whose tangents do not fit.
    """
    for level in MODES.forward:
        found = [tangent_of(x, level) for x in args]
        if all(t is None for t in found):
            continue
        with below(level):
            given = [_given(node, x, t) for x, t in zip(args, found, strict=True)]
            made = node._function.jvp(node, *given)
        made = list(made) if isinstance(made, (tuple, list)) else [made]
        if len(made) != len(outputs):
            raise refusal("tangents", node.name(), got=len(made), count=len(outputs))
        for place, (x, y, t) in enumerate(zip(returned, outputs, made, strict=True)):
            _check(node, place, y, t)
            if isinstance(y, Tensor):
                before = [g for g, a in zip(given, args, strict=True) if a is x]
                _set(node, level, x, y, t, before)


def _given(node: FunctionNode, x: Any, tangent: Tensor | None) -> Tensor | None:
    """An argument's tangent as ``jvp`` gets it: zeros, or None, where there is none."""
    if tangent is not None or not isinstance(x, Tensor) or x._raw.dtype not in DIFFERENTIABLE:
        return tangent
    return x.new_zeros(tuple(x.shape)) if node._materialize else None


def _check(node: FunctionNode, place: int, y: Any, t: Any) -> None:
    got, wanted = type(t).__name__, None
    if not node.differentiable[place]:
        wanted = None if t is None else "None, since that output is not differentiable"
    elif not isinstance(t, Tensor):
        wanted = "a Tensor"
    elif t.shape != y.shape:
        got, wanted = f"shape {list(t.shape)}", f"that of the output, {list(y.shape)}"
    if wanted is not None:
        raise refusal("tangent", node.name(), got=got, place=place, wanted=wanted)


def _set(
    node: FunctionNode, level: Level, x: Any, y: Tensor, t: Any, before: Sequence[Tensor | None]
) -> None:
    """``before``: the tangent that ``jvp`` was given for an input which is returned."""
    if any(x is d for d in node._dirty):
        if not any(t is g for g in before):
            raise refusal("tangent_of_modified", node.name())
        if t is not None and tangent_of(y, level) is not t:
            overwrite_tangent(y, level, t)
        return
    if t is not None and (before or y._is_view()) and not t._is_view():
        raise refusal("tangent_of_view", node.name())
    set_tangent(y, level, t)


# vmap ---------------------------------------------------------------------------------------------
class VmapInfo(NamedTuple):
    """What a Function's ``vmap`` is told about the ``func.vmap`` that called it."""

    batch_size: int
    randomness: str


def batch_of(args: Sequence[Any]) -> Call | None:
    """The innermost ``vmap`` call of which some argument is a batch."""
    from reference_engine.ops.batching import levels_of

    levels = levels_of(*(x for x in args if isinstance(x, Tensor)))
    return next((call for call in reversed(MODES.vmaps) if call.level in levels), None)


def is_inside(call: Call) -> bool:
    """Whether something inside a ``vmap`` call differentiates: by the Function's derivative then,
    not through its rule for batches.
    """
    return any(t.number > call.number and t.differentiates for t in MODES.transforms)


def map_custom(function: type[Function], call: Call, args: Sequence[Any]) -> Any:
    """What a Function's ``vmap`` makes of whole batches, as batches.

    It runs as outside of the ``vmap`` call. RuntimeError when the Function has a generated rule as
    well, or returns anything but outputs and their batch dimensions.
    """
    from reference_engine.func.trees import broadcast, flatten
    from reference_engine.ops.batching import levels_of, restack, unstack

    if function.generate_vmap_rule:
        raise refusal("two_rules", function.__name__)
    dims = [0 if isinstance(x, Tensor) and call.level in levels_of(x) else None for x in args]
    number = MODES.vmaps.index(call), MODES.transforms.index(call)
    with Mode(vmaps=MODES.vmaps[: number[0]], transforms=MODES.transforms[: number[1]]):
        given = [
            x if d is None else restack(x, d, call.level, call.size)
            for x, d in zip(args, dims, strict=True)
        ]
        found = function.vmap(VmapInfo(call.size, call.randomness), tuple(dims), *given)
    outputs, structure = flatten(found[0] if isinstance(found, tuple) else found)
    made = broadcast(found[1], structure) if isinstance(found, tuple) and len(found) == 2 else None
    if made is None:
        raise refusal("vmap", function.__name__)
    batches = [
        y if d is None else unstack(y, d, call.level) for y, d in zip(outputs, made, strict=True)
    ]
    if not MODES.grad:  # what a forward returns must not look like a view of something
        batches = [x.detach() if isinstance(x, Tensor) else x for x in batches]
    return structure.build(batches)
