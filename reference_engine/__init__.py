"""A small autograd engine with PyTorch's names and semantics.

``import reference_engine as torch`` runs a PyTorch autograd tutorial. Operations come from the
table in ``ops``; submodules that a program does not touch are not imported.
"""

from __future__ import annotations

import gc
from importlib import import_module
from types import ModuleType
from typing import Any

# what is made here stays: the collector would go through it in vain, for 6 ms
_collecting = gc.isenabled()
gc.disable()
try:
    from reference_engine import autograd
    from reference_engine.backends import dtypes
    from reference_engine.backends.device import device, get_default_device, set_default_device
    from reference_engine.backends.dtypes import (
        dtype,
        get_default_dtype,
        promote_types,
        set_default_dtype,
    )
    from reference_engine.backends.memory_format import memory_format
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

    conversion.install()
    methods.install()
finally:
    if not gc.get_freeze_count():  # else it is the program's own
        gc.freeze()
        gc.unfreeze()  # unvisited, into the oldest generation
    if _collecting:
        gc.enable()

globals().update(dtypes.NAMES | {order.name: order for order in memory_format})
globals().update(creation.FACTORIES | conversion.FUNCTIONS)


def is_tensor(value: object) -> bool:
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
    made: Any
    if name in _NAMESPACES:
        made = ModuleType(f"reference_engine.{name}")
        vars(made).update(methods.functions(f"{name}."))
        if name == "linalg":
            vars(made)["LinAlgError"] = import_module("reference_engine.ops.accepted").LinAlgError
    elif name == "utils":
        made = ModuleType("reference_engine.utils")
        vars(made)["checkpoint"] = import_module("reference_engine.checkpoint")
    elif name in _ELSEWHERE:
        made = getattr(import_module(f"reference_engine.{_ELSEWHERE[name]}"), name)
    else:
        made = methods.function(name)
        if made is None:
            raise AttributeError(f"module 'reference_engine' has no attribute {name!r}")
    return globals().setdefault(name, made)


def __dir__() -> list[str]:
    return sorted({*globals(), *methods.functions("")})


__all__ = [  # noqa: RUF022  (data, dtypes, devices, modes; not the names that tables give)
    "Size", "Tensor", "autograd", "from_numpy", "is_tensor", "manual_seed", "ones", "tensor",
    "zeros", "dtype", "get_default_dtype", "promote_types", "set_default_dtype", "memory_format",
    "device", "get_default_device", "set_default_device",
    "enable_grad", "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad",
    "set_grad_enabled",
]  # fmt: skip
__all__ += [*dtypes.NAMES, *_ELSEWHERE]
