"""Bringing an op's inputs together: on one backend, in the dtype that its row asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from reference_engine.backends.base import BACKENDS, Backend
from reference_engine.backends.dtypes import (
    Category,
    dtype,
    get_default_dtype,
    of_python,
    result_type,
)
from reference_engine.ops.accepted import below
from reference_engine.tensor import Tensor

if TYPE_CHECKING:
    from reference_engine.dispatch import Operator

#: what inputs of some kinds come to: the backend, the dtype that each is brought to (None as it is;
#: None for all where nothing is to be done), and whether the op takes them
Common: TypeAlias = "tuple[Backend, tuple[dtype | None, ...] | None, bool]"

_NUMBERS = (bool, int, float, complex, np.number, np.bool_)
#: of so many inputs it is not kept what they come to: lists of all lengths would fill the memory
_MANY = 256


def bring_together(run: Operator, inputs: Sequence[Any]) -> tuple[list[Any], Backend, bool]:
    """The raw arrays of an op's inputs, on one backend and promoted as the row says; the backend;
    and whether the op takes inputs of these dtypes.

    TypeError for an input that is no tensor, RuntimeError for tensors on different devices.
    """
    raws: list[Any] = []
    kinds: list[object] = [get_default_dtype()]
    for x in inputs:
        if isinstance(x, Tensor):
            raw = x._raw
            raws.append(raw)
            kinds += (type(raw), raw.dtype, not raw.ndim)
        else:
            raws.append(x)
            kinds.append(type(x))
    key = tuple(kinds)
    common = run.common.get(key)
    if common is None:
        common = _common(run, inputs)
        if len(inputs) < _MANY:
            run.common[key] = common
    backend, dtypes, taken = common
    if dtypes is None:  # nearly always
        return raws, backend, taken
    device = next(x._raw.device for x in inputs if isinstance(x, Tensor))
    if run.op.kind == "elementwise":
        device = "cpu"  # where numbers are: torch combines 0-d ones with any device's arrays
    for place, d in enumerate(dtypes):
        if d is not None:
            raw = raws[place]
            tensor = isinstance(inputs[place], Tensor)
            raws[place] = backend.cast(raw, d) if tensor else backend.asarray(raw, d, device)
    return raws, backend, taken


def _common(run: Operator, inputs: Sequence[Any]) -> Common:
    """What inputs of these kinds are brought to."""
    kinds = {type(x._raw) for x in inputs if isinstance(x, Tensor)}
    for position, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            _check_operand(run, position, x)
    if not kinds:
        raise TypeError(f"{run.op.name} needs at least one Tensor, got {inputs!r}")
    if len(kinds) > 1:
        batches = {kind for kind in kinds if BACKENDS[kind].batched}
        if len(kinds - batches) > 1:
            devices = sorted({str(x.device) for x in inputs if isinstance(x, Tensor)})
            raise RuntimeError(
                f"{run.op.name} got tensors on different devices, {' and '.join(devices)}; "
                "move them together with to(device)"
            )
        kinds = batches
    common = _common_dtype(run, inputs) if run.promotes else None
    dtypes = tuple([
        None if x is None else common if joins and common else _number_dtype(x, inputs)
        for x, joins in zip(inputs, run.for_each(run.promoted, inputs), strict=False)
    ])  # fmt: skip
    given = tuple([x.dtype if isinstance(x, Tensor) else None for x in inputs])
    needed = any(d is not None and d is not was for d, was in zip(dtypes, given, strict=True))
    return BACKENDS[kinds.pop()], dtypes if needed else None, below(run.least, inputs) is None


def _check_operand(run: Operator, position: int, x: Any) -> None:
    """TypeError for an input that is neither a number nor an optional one left out."""
    name = run.op.inputs[0 if run.variadic else position]
    if not isinstance(x, _NUMBERS) and (x is not None or name not in run.op.optional):
        raise TypeError(f"{run.op.name}: {name!r} must be a Tensor, got {type(x).__name__}")


def _common_dtype(run: Operator, inputs: Sequence[Any]) -> dtype:
    promoted = run.for_each(run.promoted, inputs)
    joined = [x for x, joins in zip(inputs, promoted, strict=False) if joins]
    tensors = [x for x in joined if isinstance(x, Tensor)]
    common = result_type(
        (x.dtype for x in tensors if x._raw.ndim),
        (x.dtype for x in tensors if not x._raw.ndim),
        (of_python(x) for x in joined if isinstance(x, _NUMBERS)),
    )
    if run.op.promotion == "float" and common.category < Category.FLOATING:
        return get_default_dtype()
    return common


def _number_dtype(x: Any, inputs: Sequence[Any]) -> dtype | None:
    """The dtype of a number that is not promoted: as precise as the op's first tensor."""
    if not isinstance(x, _NUMBERS):
        return None
    first = next(t.dtype for t in inputs if isinstance(t, Tensor))
    return result_type([first], [], [of_python(x)])
