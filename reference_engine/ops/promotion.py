"""Bringing an op's inputs together: on one backend, in the dtype that its row asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reference_engine.backends.base import BACKENDS, DIFFERENTIABLE, Backend
from reference_engine.backends.dtypes import (
    Category,
    dtype,
    get_default_dtype,
    of_python,
    result_type,
)
from reference_engine.tensor import Tensor

if TYPE_CHECKING:
    from reference_engine.dispatch import Operator

_NUMBERS = (bool, int, float, complex)


def bring_together(run: Operator, inputs: Sequence[Any]) -> tuple[list[Any], Backend]:
    """The raw arrays of an op's inputs, on one backend and promoted as the row says.

    TypeError for an input that is no tensor, RuntimeError for tensors on different devices.
    """
    raws = [x._raw for x in inputs if type(x) is Tensor]
    alike = len({(type(raw), raw.dtype) for raw in raws}) == 1 and len(raws) == len(inputs)
    if alike and (not run.promotes or raws[0].dtype in DIFFERENTIABLE):  # nearly always
        return raws, BACKENDS[type(raws[0])]
    kinds = {type(x._raw) for x in inputs if isinstance(x, Tensor)}
    numbers = False
    for position, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            _check_operand(run, position, x)
            numbers = numbers or x is not None
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
    backend = BACKENDS[kinds.pop()]
    if not (run.promotes or numbers):
        return [x if x is None else x._raw for x in inputs], backend
    common = _common_dtype(run, inputs) if run.promotes else None
    device = next(x._raw.device for x in inputs if isinstance(x, Tensor))
    if run.op.kind == "elementwise":
        device = "cpu"  # where numbers are: torch combines 0-d ones with any device's arrays
    return [
        _raw(backend, x, common if joins else _number_dtype(x, inputs), device)
        for x, joins in zip(inputs, run.for_each(run.promoted, inputs), strict=False)
    ], backend


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


def _raw(backend: Backend, x: Any, common: dtype | None, device: Any) -> Any:
    if isinstance(x, Tensor):
        return x._raw if common is None else backend.cast(x._raw, common)
    return x if x is None else backend.asarray(x, common, device=device)
