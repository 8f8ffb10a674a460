"""PyTorch, as an engine under test and as an oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.adapters.base import Tensor
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.errors import EngineLoadError, Unsupported
from conformance.observation import Array


class TorchEngine(TorchLikeEngine):
    """PyTorch in eager mode. device: `cpu` (default), `cuda` or `cuda:N`."""

    dtypes = (
        "float64", "float32", "float16", "bfloat16", "complex128", "complex64",
        "int64", "int32", "int16", "int8", "uint8", "bool",
    )  # fmt: skip

    def __init__(self, device: str = "cpu") -> None:
        import torch

        if device.split(":")[0] == "cuda" and not torch.cuda.is_available():
            raise EngineLoadError(
                f"device {device!r} is not there: torch {torch.__version__} sees no CUDA device;"
                " use device=cpu, or a CUDA build of torch on a machine with a GPU"
            )
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise EngineLoadError(
                f"torch refuses device {device!r}: {str(error).splitlines()[0]}; use cpu or cuda"
            ) from error
        super().__init__(torch, name="torch", device=None if device == "cpu" else device)
        self._removed = frozenset(
            name for name, value in vars(torch).items()
            if getattr(value, "__module__", None) == "torch._linalg_utils"
        )  # fmt: skip
        self.operations = frozenset(self.operations or ()) - self._removed
        self.prelude = "import torch"
        if self.device is not None:
            self.prelude += f"; torch.set_default_device({device!r})"

    def _resolve(self, op: str) -> Callable[..., Any]:
        # what PyTorch has removed still has a function of its name, which raises
        if op in self._removed:
            raise Unsupported(f"torch {self.version} has removed {op}")
        return super()._resolve(op)

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:
        """Make a leaf from a copy of `array`; bfloat16 crosses as its bits."""
        if array.dtype.kind == "V":  # of the extension dtypes, only bfloat16 is in dtypes
            bits = self.module.tensor(array.view(np.int16), **self._creation)
            tensor = bits.view(self.module.bfloat16)
            return tensor.requires_grad_(requires_grad)
        if self.device is not None:
            return super().tensor(array, requires_grad)
        # a third of the time of torch.tensor
        made = self.module.from_numpy(np.array(array, order="C"))
        return made.requires_grad_() if requires_grad else made

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values of `tensor`, lazy conjugation and negation resolved."""
        if tensor.dtype is self.module.bfloat16:
            import ml_dtypes

            bits: Array = tensor.detach().view(self.module.int16).numpy(force=True)
            return bits.view(ml_dtypes.bfloat16)
        array: Array = tensor.numpy(force=True)
        return array

    def watch(self, tensor: Tensor) -> Callable[[], bool]:
        """Return whether anyone still holds the storage of the tensor."""
        from torch.multiprocessing import reductions

        weak: Any = reductions.StorageWeakRef
        storage = weak(tensor.untyped_storage())
        return lambda: not storage.expired()
