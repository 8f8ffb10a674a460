"""How a tensor prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from reference_engine.backends.base import of_array
from reference_engine.backends.device import get_default_device
from reference_engine.backends.dtypes import bool_, get_default_dtype, int64
from reference_engine.tensor import Tensor


def to_string(x: Tensor) -> str:
    """``tensor([1., 2.], grad_fn=<AddBackward0>)``: values to four digits, what is not usual."""
    from reference_engine.autograd.forward_ad import unpack_dual

    if of_array(x._raw).batched:
        return f"tensor(batched by vmap, size={tuple(x.shape)}, dtype={x.dtype.name})"
    values = np.asarray(of_array(x._raw).to_numpy(x._raw))
    notes = []
    if str(x.device) != str(get_default_device()):
        notes.append(f"device='{x.device}'")
    if values.size == 0 and x.shape != (0,):
        notes.append(f"size={tuple(x.shape)}")
    default = get_default_dtype()
    if x.dtype not in (default, default.to_complex(), int64, bool_):
        notes.append(f"dtype={x.dtype.name}")
    try:
        node = x.grad_fn
        made_by = None if node is None else node.name()
    except RuntimeError:  # of a view whose history cannot follow
        made_by = "Invalid"
    if made_by is not None:
        notes.append(f"grad_fn=<{made_by}>")
    elif x.requires_grad:
        notes.append("requires_grad=True")
    tangent = unpack_dual(x).tangent
    if tangent is not None:
        notes.append(f"tangent={tangent!r}")
    return ", ".join(["tensor(" + _numbers(values), *notes]) + ")"


def _numbers(values: Any) -> str:
    if values.dtype.kind == "V":  # bfloat16, which NumPy cannot print
        values = values.astype(np.float32)
    text = np.array2string(
        values,
        separator=", ",
        prefix="tensor(",
        formatter={"all": _formatter(values)},
        threshold=1000,
        max_line_width=80,
    )
    return text.replace(", ...,", ",  ...,")


def _formatter(values: Any) -> Callable[[Any], str]:
    """How all numbers of an array are written: as PyTorch's, of one width and kind."""
    if values.dtype.kind == "c":
        real, imag = _formatter(values.real), _formatter(values.imag)

        def of_parts(z: Any) -> str:
            part = imag(z.imag).lstrip()
            return f"{real(z.real)}{'' if part.startswith('-') else '+'}{part}j"

        return of_parts
    if values.dtype.kind != "f":
        widest = max((len(str(v)) for v in values.flat), default=0)
        return lambda v: str(v).rjust(widest)
    counted = values[np.isfinite(values) & (values != 0)].astype(np.float64)
    sizes = np.abs(counted)
    low, high = (sizes.min(), sizes.max()) if sizes.size else (1.0, 1.0)
    whole = bool(np.all(counted == np.ceil(counted)))
    if high / low > 1000 or high > 1e8 or (low < 1e-4 and not whole):
        form = "{:.4e}"
    else:
        form = "{:.0f}." if whole else "{:.4f}"
    width = max((len(form.format(v)) for v in counted), default=1)
    return lambda v: (form.format(v) if np.isfinite(v) else str(float(v))).rjust(width)
