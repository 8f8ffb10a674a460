"""Custom Functions under ``func.vmap``: their own rule for a batch of calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from reference_engine.function_misuse import refusal
from reference_engine.modes import MODES, Mode
from reference_engine.tensor import Tensor

if TYPE_CHECKING:
    from reference_engine.func.vmap import Call
    from reference_engine.function import Function


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
