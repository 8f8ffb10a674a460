"""The torch backend: raw ``torch.Tensor`` on a CPU or CUDA device, which torch itself never tracks.

torch is imported when the backend is first asked for, and only here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_engine.backends import dtypes
from reference_engine.backends.base import (
    BACKENDS,
    NATIVE_FLOATING,
    Backend,
    Kernel,
    Shape,
    register,
)
from reference_engine.backends.dtypes import dtype
from reference_engine.modes import check_randomness

if TYPE_CHECKING:
    import torch


class TorchBackend(Backend):
    """``torch.Tensor`` without torch's autograd."""

    name = "torch"

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._raw = {d: getattr(torch, d.name) for d in dtypes.ALL}
        self._generators: dict[str, torch.Generator] = {}
        self._seed: int | None = None
        self.array_type = torch.Tensor
        self.narrow = frozenset({torch.float16, torch.bfloat16})

    @lru_cache(maxsize=1)  # noqa: B019  (the backend is a singleton)
    def namespace(self) -> ModuleType:
        from array_api_compat import torch as namespace

        found: ModuleType = namespace
        return found

    def __getattr__(self, name: str) -> Any:
        namespace = self.namespace()
        if name.startswith("special_"):
            namespace, name = self._torch.special, name.removeprefix("special_")
            return getattr(namespace, name)
        function = getattr(namespace if hasattr(namespace, name) else self._torch, name)
        setattr(self, name, function)
        return function

    def kernel(self, forward: str | Kernel) -> Kernel:
        # an elementwise function named by its string needs none of the array API wrapper's
        # promotion, which the engine has already done: take torch's own
        if isinstance(forward, str) and not hasattr(type(self), forward):
            own: Kernel | None = getattr(self._torch, forward, None)
            if own is not None:
                return own
        return super().kernel(forward)

    def raw_dtype(self, d: dtype) -> Any:
        return self._raw[d]

    def asarray(
        self, data: Any, d: dtype | None = None, device: str = "cpu", copy: bool = True
    ) -> Any:
        raw = None if d is None else self._raw[d]
        torch = self._torch
        if not isinstance(data, torch.Tensor):
            if not copy and hasattr(data, "__array__") and data.flags.writeable:
                data = torch.from_numpy(data)
            else:
                # torch reads a NumPy array's numbers, whatever its strides, and always copies here;
                # Python numbers go by way of float64, or they would be rounded to float32 first
                data = torch.tensor(np.array(data, order="C"))
                copy = False
        data = data.detach()
        if raw is not None and data.is_complex() and not raw.is_complex:
            data = data.real
        out = data.to(device=device, dtype=raw)
        return out.clone() if copy and out.data_ptr() == data.data_ptr() else out

    def to_numpy(self, x: Any) -> Any:
        if x.dtype is self._torch.bfloat16:
            import ml_dtypes

            bits = x.cpu().contiguous().view(self._torch.int16).numpy()
            return bits.view(ml_dtypes.bfloat16)
        return x.cpu().numpy()

    def wrap(self, x: Any) -> Any:
        return x if type(x) in BACKENDS else self._torch.asarray(x)

    def cast(self, x: Any, d: dtype) -> Any:
        raw = self._raw[d]
        if x.is_complex() and not raw.is_complex and raw is not self._torch.bool:
            x = x.real
        return x.to(raw)

    def conj(self, x: Any) -> Any:
        # torch.conj is lazy: a bit that other libraries' views of the memory would not see
        return self._torch.conj_physical(x)

    def copy(self, x: Any) -> Any:
        return x.clone(memory_format=self._torch.contiguous_format)

    def assign(self, target: Any, value: Any) -> None:
        if self._torch.is_tensor(value) and value.is_complex() and not target.is_complex():
            value = value.real
        if 0 in target.stride() and self._torch.is_tensor(value):
            # an expanded tensor, all of whose elements become one number: torch writes it once only
            once = tuple(slice(0, 1) if s == 0 else slice(None) for s in target.stride())
            target, value = target[once], value[once]
        if self._torch.is_tensor(value):
            if value.numel() and self.may_overlap(target, value):
                value = value.clone()  # what copy_ does then is undefined
            target.copy_(value)
        else:
            target.fill_(value)

    def strides(self, x: Any) -> tuple[int, ...]:
        return tuple(x.stride())

    def storage_offset(self, x: Any) -> int:
        return int(x.storage_offset())

    def view(self, x: Any, shape: Sequence[int]) -> Any:
        try:
            return x.view(tuple(shape))
        except RuntimeError:
            raise RuntimeError(
                f"a tensor of shape {tuple(x.shape)} and strides {x.stride()} has no view of shape "
                f"{tuple(shape)}; use reshape, which copies when it must"
            ) from None

    def as_strided(self, x: Any, size: Sequence[int], stride: Sequence[int], offset: int) -> Any:
        return x.as_strided(tuple(size), tuple(stride), offset)

    def expand(self, x: Any, shape: Sequence[int]) -> Any:
        return x.expand(tuple(shape))

    def matrix_diagonal(self, x: Any, offset: int) -> Any:
        return self._torch.diagonal(x, offset, -2, -1)

    def address(self, x: Any) -> int:
        return int(x.data_ptr())

    def may_overlap(self, x: Any, y: Any) -> bool:
        return bool(x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr())

    def check_places(self, index: Any, size: int, what: str) -> None:
        del index, size, what  # to read numbers would wait for the device

    def index_put(self, x: Any, index: Any, values: Any, accumulate: bool) -> Any:
        out = self.copy(x)
        index = index if isinstance(index, tuple) else (index,)
        if accumulate:
            # index_put_ takes tensors only: number the elements, so that any index becomes one
            numbers = self._torch.arange(out.numel(), device=out.device).reshape(out.shape)[index]
            source = self._torch.as_tensor(values, dtype=out.dtype, device=out.device)
            out.view(-1).index_add_(
                0, numbers.reshape(-1), source.expand(numbers.shape).reshape(-1)
            )
        else:
            out[index] = values
        return out

    def scatter_add(self, x: Any, dim: int, index: Any, source: Any) -> Any:
        return x.scatter_add(dim, index, source)

    def sliding_windows(
        self, x: Any, size: Sequence[int], step: Sequence[int], dilation: Sequence[int]
    ) -> Any:
        k = len(size)
        batch, spatial = tuple(x.shape[: x.ndim - k]), tuple(x.shape[x.ndim - k :])
        reach = [d * (s - 1) + 1 for s, d in zip(size, dilation, strict=True)]
        counts = [(n - r) // t + 1 for n, r, t in zip(spatial, reach, step, strict=True)]
        if min(counts, default=1) < 1:
            raise RuntimeError(
                f"a window of {tuple(reach)} elements does not fit an input of {spatial}"
            )
        outer, inner = x.stride()[: x.ndim - k], x.stride()[x.ndim - k :]
        strides = (
            *outer,
            *(s * t for s, t in zip(inner, step, strict=True)),
            *(s * d for s, d in zip(inner, dilation, strict=True)),
        )
        return x.as_strided((*batch, *counts, *size), strides)

    def random(self, kind: str, shape: Shape, d: dtype, device: str) -> Any:
        check_randomness()
        draw = self._torch.rand if kind == "uniform" else self._torch.randn
        return draw(shape, dtype=self._raw[d], device=device, generator=self._generator(device))

    def permutation(self, n: int, device: str) -> Any:
        check_randomness()
        return self._torch.randperm(n, device=device, generator=self._generator(device))

    def seed(self, seed: int) -> None:
        self._seed = seed
        self._generators.clear()

    def rng_state(self) -> Any:
        self._generator("cpu")
        return {device: found.get_state() for device, found in self._generators.items()}

    def set_rng_state(self, state: Any) -> None:
        for device, held in state.items():
            self._generator(device).set_state(held)

    def _generator(self, device: str) -> torch.Generator:
        """The engine's own generator for a device: torch's global one is never touched."""
        found = self._generators.get(device)
        if found is None:
            found = self._generators[device] = self._torch.Generator(device=device)
            if self._seed is None:
                found.seed()
            else:
                found.manual_seed(self._seed)
        return found


@lru_cache(maxsize=1)
def torch_backend() -> TorchBackend:
    """The torch backend, importing torch the first time; RuntimeError when it does not import."""
    try:
        backend = TorchBackend()
    except ImportError as error:
        raise RuntimeError(
            f"the torch backend needs torch, which does not import: {error}"
        ) from error
    register(backend, dtypes.ALL)
    NATIVE_FLOATING.difference_update(backend.narrow)
    return backend
