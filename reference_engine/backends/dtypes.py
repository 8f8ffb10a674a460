"""Element types and type promotion.

Promotion follows PyTorch's documented rule (docs: "Tensor Attributes", torch.dtype): operands form
three classes, tensors with dimensions, zero-dimensional tensors and Python numbers; a later class
decides the result's *category* (bool < integer < floating < complex) only, never the width within
it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from functools import cache, lru_cache
from numbers import Complex, Integral, Real
from typing import Any, NoReturn


class Category(IntEnum):
    """Rank of a dtype in promotion."""

    BOOL = 0
    INTEGER = 1
    FLOATING = 2
    COMPLEX = 3


class dtype:  # noqa: N801  (PyTorch's spelling)
    """An element type, e.g. ``float32``. Instances are singletons: compare with ``is``."""

    __slots__ = (
        "bits",
        "category",
        "is_complex",
        "is_floating_point",
        "is_signed",
        "itemsize",
        "name",
    )

    def __init__(self, name: str, category: Category, bits: int, is_signed: bool = True) -> None:
        self.name = name
        self.category = category
        self.bits = bits
        self.itemsize = max(bits // 8, 1)
        self.is_signed = is_signed
        self.is_floating_point = category is Category.FLOATING
        self.is_complex = category is Category.COMPLEX

    @property
    def differentiable(self) -> bool:
        """Whether tensors of this dtype may require gradients."""
        return self.category >= Category.FLOATING

    def to_real(self) -> dtype:
        """The real dtype of the same precision (complex128 → float64)."""
        return _REAL_OF.get(self, self)

    def to_complex(self) -> dtype:
        """The complex dtype of the same precision (float64 → complex128, halves → complex64)."""
        return _COMPLEX_OF.get(self, self)

    def __repr__(self) -> str:
        return f"reference_engine.{self.name}"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return by_name, (self.name,)


bool_ = dtype("bool", Category.BOOL, 1, is_signed=False)
uint8 = dtype("uint8", Category.INTEGER, 8, is_signed=False)
int8 = dtype("int8", Category.INTEGER, 8)
int16 = dtype("int16", Category.INTEGER, 16)
int32 = dtype("int32", Category.INTEGER, 32)
int64 = dtype("int64", Category.INTEGER, 64)
float16 = dtype("float16", Category.FLOATING, 16)
bfloat16 = dtype("bfloat16", Category.FLOATING, 16)
float32 = dtype("float32", Category.FLOATING, 32)
float64 = dtype("float64", Category.FLOATING, 64)
complex64 = dtype("complex64", Category.COMPLEX, 64)
complex128 = dtype("complex128", Category.COMPLEX, 128)

ALL = (
    bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64,
    complex64, complex128,
)  # fmt: skip
#: other names that PyTorch has for some
ALIASES = {
    "half": float16, "float": float32, "double": float64, "cfloat": complex64,
    "cdouble": complex128, "short": int16, "int": int32, "long": int64,
}  # fmt: skip
_BY_NAME = {d.name: d for d in ALL}
NAMES = _BY_NAME | ALIASES
_REAL_OF = {complex64: float32, complex128: float64}
_COMPLEX_OF = {float16: complex64, bfloat16: complex64, float32: complex64, float64: complex128}

_default = float32


def by_name(name: str) -> dtype:
    """The dtype called ``name``, e.g. ``"float32"``; KeyError when there is none."""
    return _BY_NAME[name]


def unsupported(raw: object) -> NoReturn:
    """Refuses a library's dtype that the engine does not have."""
    known = ", ".join(d.name for d in ALL)
    raise TypeError(f"arrays of dtype {raw} are not supported; convert to one of {known}")


def get_default_dtype() -> dtype:
    """The floating dtype that Python floats take (float32 until changed)."""
    return _default


def set_default_dtype(d: dtype, /) -> None:
    """Sets the dtype that Python floats take; TypeError unless ``d`` is floating."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(
            f"set_default_dtype got {d!r}; only floating-point dtypes can be the default"
        )
    _default = d
    _result_type.cache_clear()


def of_python(value: Any) -> dtype:
    """The dtype that a Python number, or a NumPy scalar in the place of one, takes on its own."""
    if isinstance(value, bool):
        return bool_
    if isinstance(value, Integral):
        return int64
    # NumPy's truth values, which are no numbers to Python, are floats to PyTorch
    real = isinstance(value, Real) or not isinstance(value, Complex)
    return _default if real else _default.to_complex()


@cache
def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype that both convert to, as ``torch.promote_types``."""
    if a is b:
        return a
    low, high = (a, b) if a.category <= b.category else (b, a)
    if low.category is not high.category:
        if high.is_complex and low.is_floating_point:
            return promote_types(high, low.to_complex())
        return high
    if low.category is Category.INTEGER and low.is_signed is not high.is_signed:
        signed = low if low.is_signed else high
        return int16 if signed is int8 else signed
    if {low, high} == {float16, bfloat16}:
        return float32
    return low if low.bits > high.bits else high


def result_type(
    dims: Iterable[dtype], zero_dims: Iterable[dtype], numbers: Iterable[dtype]
) -> dtype:
    """The dtype in which operands of the three classes are combined.

    Args: the dtypes of the tensors with dimensions, of the zero-dimensional tensors, of the Python
    numbers.
    """
    return _result_type(tuple(dims), tuple(zero_dims), tuple(numbers))


@lru_cache(maxsize=4096)
def _result_type(*classes: tuple[dtype, ...]) -> dtype:
    result: dtype | None = None
    for members in classes:
        if not members:
            continue
        lower = members[0]
        for member in members[1:]:
            lower = promote_types(lower, member)
        result = lower if result is None else _combine(result, lower)
    if result is None:
        raise RuntimeError("result_type needs at least one operand, got none")
    return result


def _combine(higher: dtype, lower: dtype) -> dtype:
    """``higher``'s width unless ``lower`` is of a greater category."""
    if lower.category <= higher.category:
        return higher
    if lower.is_complex and higher.is_floating_point:
        return higher.to_complex()
    return lower
