"""``vmap``: a function of single entries as a function of batches of them.

The function runs once, on tensors whose arrays are batches (see ``backends.batch``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from itertools import repeat
from typing import Any

import reference_engine as engine
from reference_engine.backends.base import rng_states, set_rng_states
from reference_engine.func.transform import Transform
from reference_engine.func.trees import Structure, broadcast, flatten
from reference_engine.modes import MODES
from reference_engine.ops.batching import levels_of, restack, unstack
from reference_engine.tensor import Tensor


class Call(Transform):
    """One call of a function that ``vmap`` made."""

    def __init__(self, size: int, randomness: str) -> None:
        super().__init__(records=False, differentiates=False)
        self.level, self.size, self.randomness = self.number, size, randomness

    def settings(self) -> dict[str, Any]:
        """The call is the innermost, of the calls as well; it leaves inference mode as it is."""
        vmaps = (*MODES.vmaps, self)
        return {**super().settings(), "vmaps": vmaps, "inference": MODES.inference}


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """A function that maps ``func`` over a dimension of its arguments, and stacks what it returns.

    ``in_dims`` and ``out_dims`` say which dimension, for all arguments or in their structure; None
    for one that all entries share. Keyword arguments are shared. ``randomness`` is
    ``"error"``, ``"same"`` or ``"different"``. RuntimeError inside for control flow that depends on
    values, ValueError for dimensions that do not fit.
    """
    if randomness not in ("error", "same", "different"):
        raise RuntimeError(f"vmap randomness is 'error', 'same' or 'different', got {randomness!r}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap needs a positive chunk_size or None, got {chunk_size}")

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = flatten((args, kwargs))
        dims = _in_dims(in_dims, args, leaves)
        _size(leaves, dims)
        random = rng_states() if randomness == "same" else {}

        def run(part: Sequence[Any]) -> tuple[list[Any], list[int | None], Structure]:
            """Part of the batch: outputs, their batch dimensions, and their structure."""
            set_rng_states(random)
            with Call(_size(part, dims), randomness) as call:
                given = [
                    x if d is None else unstack(x, d, call.level)
                    for x, d in zip(part, dims, strict=True)
                ]
                positional, named = structure.build(given)
                outputs, shape = flatten(func(*positional, **named))
            wanted = _out_dims(out_dims, shape)
            return [_out(y, d, call) for y, d in zip(outputs, wanted, strict=True)], wanted, shape

        cut = [_parts(x, d, chunk_size) for x, d in zip(leaves, dims, strict=True)]
        parts, wanted, shapes = zip(*map(run, zip(*cut, strict=False)), strict=True)
        if len(parts) == 1:
            return shapes[0].build(parts[0])
        return shapes[0].build([
            part[0] if d is None else engine.cat(part, dim=d)
            for part, d in zip(zip(*parts, strict=True), wanted[0], strict=True)
        ])  # fmt: skip

    return wrapper


def _parts(x: Any, dim: int | None, size: int | None) -> Iterable[Any]:
    """An argument for each part of the batch: all of it unless a size is given."""
    if dim is None or size is None:
        return repeat(x) if dim is None else (x,)
    # views that may be written, as several of one split may not
    n = x.shape[dim]
    return (x.narrow(dim, i, min(size, n - i)) for i in range(0, max(1, n), size))


def _in_dims(in_dims: Any, args: Any, leaves: Sequence[Any]) -> list[int | None]:
    """For each leaf of the arguments the dimension to map over: none of keyword arguments."""
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(f"vmap in_dims must be an int, or in the arguments' form, got {in_dims!r}")
    structure = flatten(args)[1]
    found = broadcast(in_dims, structure)
    if found is None:
        raise ValueError(
            f"vmap in_dims {in_dims!r} does not fit arguments of structure {structure}"
        )
    found += [None] * (len(leaves) - len(found))
    for d, x in zip(found, leaves, strict=True):
        if d is None:
            continue
        if not isinstance(d, int):
            raise ValueError(f"vmap in_dims must be ints or None, got {d!r}")
        if not isinstance(x, Tensor):
            raise ValueError(
                f"vmap got in_dim {d} for an argument of type {type(x).__name__}; use None for it"
            )
        if not -x.ndim <= d < x.ndim:
            raise ValueError(f"vmap got in_dim {d} for a tensor of {x.ndim} dimensions")
    return [d if d is None else d % x.ndim for d, x in zip(found, leaves, strict=True)]


def _size(leaves: Sequence[Any], dims: Sequence[int | None]) -> int:
    sizes = {x.shape[d] for x, d in zip(leaves, dims, strict=True) if d is not None}
    if len(sizes) != 1:
        raise ValueError(
            f"vmap needs arguments with one size in the mapped dimension, got {sorted(sizes)}"
        )
    return int(sizes.pop())


def _out_dims(out_dims: Any, shape: Structure) -> list[int | None]:
    found = broadcast(out_dims, shape)
    if found is None and isinstance(out_dims, tuple) and len(out_dims) == 1 and shape.kind is None:
        found = list(out_dims)
    if found is None or not all(d is None or isinstance(d, int) for d in found):
        raise ValueError(f"vmap out_dims {out_dims!r} does not fit outputs of structure {shape}")
    return found


def _out(y: Any, d: int | None, call: Call) -> Any:
    """One output of the mapped function, with the batch along a dimension."""
    if d is None:
        if isinstance(y, Tensor) and call.level in levels_of(y):
            raise ValueError("vmap got out_dim None for an output that differs between entries")
        return y
    if not isinstance(y, Tensor):
        raise ValueError(
            f"vmap needs a function that returns tensors, got {type(y).__name__}; use out_dims None"
        )
    if not -y.ndim - 1 <= d <= y.ndim:
        raise IndexError(f"vmap got out_dim {d} for an output of {y.ndim + 1} dimensions")
    return restack(y, d % (y.ndim + 1), call.level, call.size)
