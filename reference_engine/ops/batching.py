"""Rows that make batches of ``vmap`` and end them, and what brings an op's inputs to one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reference_engine.backends.batch import batches, lifted, nested, stacked, summed, unstacked
from reference_engine.dispatch import apply, operator
from reference_engine.modes import MODES, Mode
from reference_engine.ops.opdef import INTERNAL, REGISTRY, linear
from reference_engine.tensor import Tensor


def _row(name: str, kernel: Callable[..., Any], transpose: Callable[..., Any], view: bool) -> None:
    """A row whose kernel takes batches as they are."""
    kernel.takes_batches = True  # type: ignore[attr-defined]
    linear(name, kernel, transpose=transpose, view=view, methods=())
    INTERNAL[name] = REGISTRY.pop(name)


_row("_unstack", lambda xp, x, *, dim, level, size: unstacked(x, dim, level, size),
     lambda F, g, dim, level, size: F._restack(g, dim=dim, level=level, size=size), view=True
     )  # fmt: skip
_row("_restack", lambda xp, x, *, dim, level, size: stacked(x, dim, level, size),
     lambda F, g, dim, level, size: F._unstack(g, dim=dim, level=level, size=size), view=False
     )  # fmt: skip
_row("_lift", lambda xp, x, *, level, size: lifted(x, {level: size}),
     lambda F, g, level, size: F._unlift(g, level=level, size=size), view=True)  # fmt: skip
_row("_unlift", lambda xp, x, *, level, size: summed(x, level, size),
     lambda F, g, level, size: F._lift(g, level=level, size=size), view=False)  # fmt: skip


def _run(name: str, x: Tensor, **params: int) -> Tensor:
    made: Tensor = apply(operator(INTERNAL[name]), (x,), params)
    return made


def unstack(x: Tensor, dim: int, level: int) -> Tensor:
    """The batch of a tensor's slices along a dimension, a view."""
    return _run("_unstack", x, dim=dim, level=level, size=x.shape[dim])


def restack(x: Tensor, dim: int, level: int, size: int) -> Tensor:
    """A batch along a new dimension of a tensor; an inference tensor if that is one."""
    with Mode(inference=x.is_inference(), grad=MODES.recording):
        return _run("_restack", x, dim=dim, level=level, size=size)


def lift(x: Any, levels: Mapping[int, int]) -> Any:
    """A tensor as a batch at all of these levels (level → size), of which it may have some; another
    value as it is.
    """
    for level, size in sorted(levels.items() if isinstance(x, Tensor) else ()):
        if all(found.level != level for found in nested(x._raw)):
            x = _run("_lift", x, level=level, size=size)
    return x


def levels_of(*values: Any) -> dict[int, int]:
    """The levels (and sizes) of all batches in tensors, arrays and nested sequences of arrays."""
    raws = [x._raw if isinstance(x, Tensor) else x for x in values]
    return {b.level: b.size for found in batches(raws) for b in nested(found)}


#: ops of which the number of elements depends on values
_DYNAMIC = frozenset({"_nonzero", "masked_select", "unique", "unique_consecutive", "argwhere"})


def align(
    name: str, inputs: Sequence[Any], raws: Sequence[Any], params: Mapping[str, Any]
) -> tuple[list[Any], list[Any]]:
    """An op's inputs and arrays, all brought to the batches of any: the gradient of an input that
    is no batch is then summed over the batch.
    """
    if name in _DYNAMIC:
        raise RuntimeError(
            f"vmap cannot map {name}, the shape of whose result depends on values; use where()"
        )
    levels = levels_of(*raws, *params.values())
    pairs = zip(inputs, raws, strict=True)
    arrays = [lifted(raw, levels) if isinstance(x, Tensor) else raw for x, raw in pairs]
    return [lift(x, levels) for x in inputs], arrays


def aligned_for_write(inputs: Sequence[Any], name: str) -> list[Any]:
    """The inputs of an op that writes into the first, brought to the batch that this one is.

    RuntimeError when there is more than one value for it.
    """
    target, levels = inputs[0], levels_of(*inputs)
    if isinstance(target, Tensor) and levels.keys() - levels_of(target).keys():
        raise RuntimeError(
            f"{name} would write batched values into a tensor of shape {list(target.shape)} that "
            "vmap does not batch; make it with new_zeros() or zeros_like() of a batched tensor"
        )
    return [target, *(lift(x, levels) for x in inputs[1:])]
