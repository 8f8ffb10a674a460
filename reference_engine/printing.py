"""How a tensor prints."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference_engine.backends.base import of_array
from reference_engine.backends.device import get_default_device
from reference_engine.backends.dtypes import bool_, dtype, get_default_dtype, int64
from reference_engine.tensor import Tensor


def to_string(x: Tensor) -> str:
    """``tensor([1., 2.], grad_fn=<AddBackward0>)``: values to four digits, what is not usual."""
    from reference_engine.autograd.forward_ad import unpack_dual

    values = np.asarray(of_array(x._raw).to_numpy(x._raw))
    notes = []
    if str(x.device) != str(get_default_device()):
        notes.append(f"device='{x.device}'")
    if values.size == 0 and x.shape != (0,):
        notes.append(f"size={tuple(x.shape)}")
    if x.dtype not in _usual():
        notes.append(f"dtype={x.dtype.name}")
    if x.grad_fn is not None:
        notes.append(f"grad_fn=<{x.grad_fn.name()}>")
    elif x.requires_grad:
        notes.append("requires_grad=True")
    tangent = unpack_dual(x).tangent
    if tangent is not None:
        notes.append(f"tangent={tangent!r}")
    return ", ".join(["tensor(" + _numbers(values), *notes]) + ")"


def _usual() -> tuple[dtype, ...]:
    default = get_default_dtype()
    return default, default.to_complex(), int64, bool_


def _numbers(values: Any) -> str:
    if values.dtype.kind == "V":  # bfloat16, which NumPy cannot print
        values = values.astype(np.float32)
    finite = values[np.isfinite(values)] if values.dtype.kind in "fc" else values
    whole = values.dtype.kind not in "fc" or bool(np.all(finite == np.round(finite.real)))
    return np.array2string(
        values,
        precision=4,
        separator=", ",
        prefix="tensor(",
        floatmode="maxprec" if whole else "fixed",
        threshold=1000,
    )
