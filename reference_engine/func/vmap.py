"""``vmap``: a function of single entries as a function of batches of them.

The function runs once, on tensors whose arrays are batches (see ``backends.batch``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from reference_engine.func.transform import Transform
from reference_engine.func.trees import Structure, broadcast, flatten
from reference_engine.modes import MODES
from reference_engine.ops.batching import levels_of, restack, unstack
from reference_engine.ops.call import function_of
from reference_engine.ops.table import TABLE
from reference_engine.tensor import Tensor


class _Call(Transform):
    """One call of a function that ``vmap`` made."""

    differentiates = records = False

    def __init__(self, size: int, randomness: str) -> None:
        super().__init__()
        self.level, self.size, self.randomness = self.number, size, randomness

    def __enter__(self) -> Any:
        MODES.vmaps = (*MODES.vmaps, self)
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        MODES.vmaps = MODES.vmaps[:-1]
        super().__exit__(*exception)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
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
        dims = _in_dims(in_dims, args, kwargs)
        size = _size(leaves, dims)
        step = size if chunk_size is None else chunk_size
        if size <= step:
            return _run(func, leaves, dims, structure, size, out_dims, randomness)
        chunks = []
        for start in range(0, size, step):
            part = [
                x if d is None else x.narrow(d, start, min(step, size - start))
                for x, d in zip(leaves, dims, strict=True)
            ]
            n = min(step, size - start)
            chunks.append(_run(func, part, dims, structure, n, out_dims, randomness))
        return _joined(chunks, out_dims)

    return wrapper


def _in_dims(in_dims: Any, args: Sequence[Any], kwargs: Any) -> list[int | None]:
    """For each leaf of the arguments the dimension to map over."""
    if not isinstance(in_dims, (int, tuple, list)):
        raise ValueError(
            f"vmap in_dims must be an int or a tuple like the arguments, got {in_dims!r}"
        )
    structure = flatten(tuple(args))[1]
    found = broadcast(in_dims, structure)
    if found is None:
        raise ValueError(
            f"vmap in_dims {in_dims!r} does not fit arguments of structure {structure}"
        )
    leaves, _ = flatten((args, kwargs))
    found += [None] * (len(leaves) - len(found))
    return [_in_dim(d, x) for d, x in zip(found, leaves, strict=True)]


def _in_dim(d: Any, x: Any) -> int | None:
    if d is None:
        return None
    if not isinstance(d, int):
        raise ValueError(f"vmap in_dims must be ints or None, got {d!r}")
    if not isinstance(x, Tensor):
        raise ValueError(
            f"vmap got in_dim {d} for an argument of type {type(x).__name__}; use None for it"
        )
    if not -x.ndim <= d < x.ndim:
        raise ValueError(f"vmap got in_dim {d} for a tensor of {x.ndim} dimensions")
    return d % x.ndim


def _size(leaves: Sequence[Any], dims: Sequence[int | None]) -> int:
    sizes = {x.shape[d] for x, d in zip(leaves, dims, strict=True) if d is not None}
    if len(sizes) != 1:
        raise ValueError(
            f"vmap needs arguments with one size in the mapped dimension, got {sorted(sizes)}"
        )
    return int(sizes.pop())


def _run(
    func: Callable[..., Any],
    leaves: Sequence[Any],
    dims: Sequence[int | None],
    structure: Structure,
    size: int,
    out_dims: Any,
    randomness: str,
) -> Any:
    with _Call(size, randomness) as call:
        given = [
            x if d is None else unstack(x, d, call.level) for x, d in zip(leaves, dims, strict=True)
        ]
        args, kwargs = structure.build(given)
        outputs, shape = flatten(func(*args, **kwargs))
    wanted = _out_dims(out_dims, shape)
    return shape.build([_out(y, d, call) for y, d in zip(outputs, wanted, strict=True)])


def _out_dims(out_dims: Any, shape: Structure) -> list[int | None]:
    found = broadcast(out_dims, shape)
    if found is None and isinstance(out_dims, tuple) and len(out_dims) == 1 and shape.kind is None:
        found = list(out_dims)
    if found is None or not all(d is None or isinstance(d, int) for d in found):
        raise ValueError(f"vmap out_dims {out_dims!r} does not fit outputs of structure {shape}")
    return found


def _out(y: Any, d: int | None, call: _Call) -> Any:
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


def _joined(chunks: Sequence[Any], out_dims: Any) -> Any:
    """The results for the parts of a batch, one after the other."""
    columns = [flatten(chunk)[0] for chunk in chunks]
    shape = flatten(chunks[0])[1]
    cat = function_of(TABLE["cat"])
    return shape.build([
        parts[0] if d is None else cat(parts, dim=d)
        for parts, d in zip(zip(*columns, strict=True), _out_dims(out_dims, shape), strict=True)
    ])  # fmt: skip
