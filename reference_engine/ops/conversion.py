"""Tensor's other methods: sizes, memory, conversion to Python, NumPy, dtypes and devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from math import prod
from typing import Any

import numpy as np

from reference_engine.backends import dtypes
from reference_engine.backends.base import of_array
from reference_engine.backends.device import device
from reference_engine.backends.dtypes import dtype
from reference_engine.backends.memory_format import arranged_like, memory_format
from reference_engine.modes import MODES, no_grad
from reference_engine.ops.call import function_of
from reference_engine.ops.opdef import REGISTRY
from reference_engine.tensor import Size, Tensor, from_raw


class Conversions(Tensor):
    """Methods that :func:`install` gives to Tensor itself."""

    __slots__ = ()

    def size(self, dim: int | None = None) -> Size | int:
        """The shape, or one dimension of it."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Number of dimensions."""
        return self.ndim

    def numel(self) -> int:
        """Number of elements."""
        return self.shape.numel()

    ndimension, nelement = dim, numel

    def stride(self, dim: int | None = None) -> tuple[int, ...] | int:
        """Distance in memory between neighbours along each dimension, in elements."""
        strides = of_array(self._raw).strides(self._raw)
        return strides if dim is None else strides[dim]

    def storage_offset(self) -> int:
        """Distance of the first element from the start of the memory, in elements."""
        return of_array(self._raw).storage_offset(self._raw)

    def data_ptr(self) -> int:
        """Address of the first element."""
        return of_array(self._raw).address(self._raw)

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def is_contiguous(self) -> bool:
        """Whether the elements lie in memory in order, without gaps."""
        strides = enumerate(of_array(self._raw).strides(self._raw), 1)
        in_order = (n == prod(self.shape[d:]) for d, n in strides if self.shape[d - 1] != 1)
        return all(in_order) or self.numel() == 0

    def contiguous(self) -> Tensor:
        """This tensor if it is contiguous, else a copy that is."""
        return self if self.is_contiguous() else self.clone()

    def is_floating_point(self) -> bool:
        """Whether the dtype is floating."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return self.dtype.is_complex

    # to Python and NumPy --------------------------------------------------------------------------
    def item(self) -> Any:
        """The only element as a Python number; RuntimeError when there is not exactly one."""
        if self.numel() != 1:
            raise RuntimeError(f"item() needs one element, got shape {list(self.shape)}")
        value = self._raw.reshape(()).item()
        return float(value) if isinstance(value, np.generic) else value

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self._raw.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """A NumPy array, over the same memory on the CPU; RuntimeError if it requires grad, unless
        in no_grad, as in a custom Function's forward.
        """
        if not force and MODES.grad and self.requires_grad:
            raise RuntimeError("numpy() would lose the gradient; call detach().numpy()")
        if not force and str(self._raw.device) != "cpu":
            raise TypeError(f"numpy() needs a tensor on the cpu, this one is on {self.device}")
        return of_array(self._raw).to_numpy(self._raw)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        return array.astype(dtype) if dtype is not None else array.copy() if copy else array

    # an array on the left leaves the operator to the tensor on the right
    __array_priority__ = 1000

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.dtype.differentiable or self.numel() != 1:
            raise TypeError("only an integer tensor of one element can be an index")
        return int(self.item())

    def __bool__(self) -> bool:
        if of_array(self._raw).batched:
            raise RuntimeError(
                "vmap runs a function once for all entries of a batch, so it cannot take a branch "
                "that depends on their values; use where()"
            )
        if self.numel() != 1:
            raise RuntimeError(f"the truth of a tensor of shape {list(self.shape)} is ambiguous")
        return bool(self.item())

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a 0-d tensor has no len()")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("a 0-d tensor cannot be iterated over")
        return iter(self.unbind(0))

    def __contains__(self, value: Any) -> bool:
        return bool((self.detach() == value).any().item())

    def __repr__(self) -> str:
        from reference_engine.ops.printing import to_string

        return to_string(self)

    def __format__(self, spec: str) -> str:
        return format(self.item() if not self.ndim and spec else str(self), spec)

    # other dtypes and devices ---------------------------------------------------------------------
    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """``to(dtype)``, ``to(device)``, ``to(device, dtype)``, ``to(other)``; ``copy=True`` always
        copies, and so does a ``memory_format`` that the result would not have.
        """
        kind, where, copy = _destination(args, kwargs)
        result: Tensor = self
        if where is not None and where != self.device:
            result = function_of(REGISTRY["_to_device"])(result, device=where)
        if kind is not None and kind is not self.dtype:
            result = function_of(REGISTRY["_to_copy"])(result, dtype=kind)
        order = kwargs.get("memory_format")
        if order is not None and not isinstance(order.value, str):
            return result.clone(memory_format=order)  # type: ignore[no-any-return]
        return self.clone() if copy and result is self else result

    def type_as(self, other: Tensor) -> Tensor:
        """This tensor in the dtype of another."""
        return self.to(other.dtype)

    def cpu(self) -> Tensor:
        """This tensor on the NumPy backend."""
        return self.to("cpu")

    def cuda(self, index: int = 0) -> Tensor:
        """This tensor on a CUDA device."""
        return self.to(f"cuda:{index}")

    # copies and pickles ---------------------------------------------------------------------------
    def __copy__(self) -> Tensor:
        """A leaf over the same memory."""
        made = _rebuilt(type(self), self._raw, self.requires_grad)
        vars(made).update(vars(self))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) in memo:
            found: Tensor = memo[id(self)]
            return found
        if not self.is_leaf:
            raise RuntimeError("only leaves can be deep-copied; use detach() or clone()")
        with no_grad():
            copied = arranged_like(of_array(self._raw), self._raw, self._raw)
            made = _rebuilt(type(self), copied, self.requires_grad)
        memo[id(self)] = made
        vars(made).update(deepcopy(vars(self), memo))
        if self._rare.grad is not None:
            made.grad = self._rare.grad.__deepcopy__(memo)
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        array = of_array(self._raw).to_numpy(self._raw)
        about = (type(self), array, str(self.device), self.dtype, self.requires_grad)
        return _unpickled, about, vars(self) or None


def _destination(args: Any, kwargs: Any) -> tuple[dtype | None, device | None, bool]:
    kind, where = kwargs.get("dtype"), kwargs.get("device")
    for arg in (*args, kwargs.get("other")):
        if isinstance(arg, Tensor):
            kind, where = arg.dtype, arg.device
        elif isinstance(arg, dtype):
            kind = arg
        elif isinstance(arg, (str, device)):
            where = arg
        elif arg is not None and not isinstance(arg, bool):
            raise TypeError(f"to() takes a dtype, a device or a Tensor, got {arg!r}")
    flags = [arg for arg in args if isinstance(arg, bool)]  # non_blocking, copy
    copy = kwargs.get("copy", len(flags) > 1 and flags[1])
    return kind, None if where is None else device(where), bool(copy)


def _rebuilt(cls: type[Tensor], raw: Any, requires_grad: bool) -> Tensor:
    made = from_raw(raw, cls=cls)
    return made.requires_grad_() if requires_grad else made


def _unpickled(cls: type[Tensor], array: Any, where: str, kind: dtype, tracked: bool) -> Tensor:
    place = device(where)
    return _rebuilt(cls, place.backend.asarray(array, kind, place.raw), tracked)


def _caster(kind: dtype) -> Callable[..., Tensor]:
    def cast(self: Tensor, memory_format: memory_format | None = None) -> Tensor:
        cast_to: Tensor = self.to(kind, memory_format=memory_format)
        return cast_to

    cast.__doc__ = f"This tensor as {kind.name}."
    return cast


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    same = input.detach().eq(other) if input.shape == other.shape else None
    return same is not None and bool(same.all().item())


def allclose(input: Tensor, other: Tensor, *given: Any, **options: Any) -> bool:
    """Whether all elements are within ``atol + rtol · |other|`` of each other, as ``isclose``."""
    close = function_of(REGISTRY["isclose"])(input.detach(), other.detach(), *given, **options)
    return bool(close.all().item())


#: methods that torch has as functions too
FUNCTIONS: dict[str, Callable[..., Any]] = {
    found.__name__: found for found in (
        allclose, equal, Conversions.is_complex, Conversions.is_floating_point, Conversions.numel)
}  # fmt: skip


def install() -> None:
    """Gives Tensor the methods of :class:`Conversions`, and one per dtype: ``x.double()``."""
    for name, member in vars(Conversions).items():
        if callable(member) or name == "__array_priority__":
            setattr(Tensor, name, member)
    others = {"bool": dtypes.bool_, "char": dtypes.int8, "byte": dtypes.uint8}
    for name, kind in {**dtypes.ALIASES, **others, "bfloat16": dtypes.bfloat16}.items():
        setattr(Tensor, name, _caster(kind))
    for compare in (allclose, equal):
        setattr(Tensor, compare.__name__, compare)
