"""A small autograd engine with PyTorch's names and semantics.

``import reference_engine as torch`` runs a PyTorch autograd tutorial. Operations come from the
table in ``ops``; submodules that a program does not touch are not imported.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from reference_engine import autograd
from reference_engine.backends.device import device, get_default_device, set_default_device
from reference_engine.backends.dtypes import (
    bfloat16,
    complex64,
    complex128,
    dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from reference_engine.backends.dtypes import bool_ as bool
from reference_engine.memory_format import memory_format
from reference_engine.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from reference_engine.ops import conversion, creation, methods
from reference_engine.ops.creation import from_numpy, manual_seed, ones, tensor, zeros
from reference_engine.tensor import Size, Tensor

half, float, double = float16, float32, float64
short, int, long = int16, int32, int64
cfloat, cdouble = complex64, complex128
contiguous_format, preserve_format = memory_format.contiguous_format, memory_format.preserve_format
channels_last, channels_last_3d = memory_format.channels_last, memory_format.channels_last_3d

conversion.install()
methods.install()
globals().update(creation.FACTORIES | conversion.FUNCTIONS)


def is_tensor(value: object) -> bool:  # type: ignore[valid-type]
    """Whether a value is a tensor."""
    return isinstance(value, Tensor)


#: packages, imported when first used, and namespaces made of the table's rows
_PACKAGES = ("func", "nn", "optim", "viz")
#: functions of modules that few programs use
_ELSEWHERE = {"vmap": "func", "load": "serialization", "save": "serialization"}
_NAMESPACES = ("fft", "linalg", "masked", "special")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"reference_engine.{name}")
    if name in _NAMESPACES:
        made = globals()[name] = ModuleType(f"reference_engine.{name}")
        vars(made).update(methods.functions(f"{name}."))
        return made
    if name == "utils":
        utils = globals()[name] = ModuleType("reference_engine.utils")
        vars(utils)["checkpoint"] = import_module("reference_engine.checkpoint")
        return utils
    if name in _ELSEWHERE:
        module = import_module(f"reference_engine.{_ELSEWHERE[name]}")
        return globals().setdefault(name, getattr(module, name))
    found = methods.function(name)
    if found is not None:
        globals()[name] = found
        return found
    raise AttributeError(f"module 'reference_engine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *methods.functions("")})


__all__ = [  # noqa: RUF022  (as the table of contents: data, dtypes, devices, modes)
    "Size", "Tensor", "autograd", "from_numpy", "is_tensor", "load", "manual_seed", "ones", "save",
    "tensor",
    "zeros", "bfloat16", "bool", "cdouble", "cfloat", "complex128", "complex64", "double", "dtype",
    "float",
    "float16", "float32", "float64", "half", "int", "int16", "int32", "int64", "int8", "long",
    "short", "uint8", "get_default_dtype", "promote_types", "set_default_dtype",
    "channels_last", "channels_last_3d", "contiguous_format", "memory_format", "preserve_format",
    "device", "get_default_device", "set_default_device",
    "enable_grad", "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad",
    "set_grad_enabled",
]  # fmt: skip
