"""A small autograd engine with PyTorch's names and semantics: ``import reference_engine as torch``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_engine import autograd, conversion
from reference_engine.ops.creation import (
    arange,
    as_tensor,
    empty,
    eye,
    from_numpy,
    full,
    full_like,
    like,
    linspace,
    manual_seed,
    ones,
    rand,
    randint,
    randn,
    randperm,
    tensor,
    zeros,
)
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
from reference_engine.ops.methods import (
    functions,
    install_methods,
    install_operators,
    install_parts,
)
from reference_engine.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from reference_engine.tensor import Size, Tensor

half, float, double = float16, float32, float64
short, int, long = int16, int32, int64
cfloat, cdouble = complex64, complex128

conversion.install()
install_parts()
install_operators()
install_methods()
globals().update(functions())
zeros_like, ones_like, empty_like = like(zeros), like(ones), like(empty)
rand_like, randn_like = like(rand), like(randn)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
