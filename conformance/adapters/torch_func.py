"""PyTorch without its tape: the transforms of `torch.func`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from conformance.adapters.base import FunctionalEngine, Pure, Tensor
from conformance.adapters.torch_engine import TorchEngine
from conformance.observation import Array


class TorchFuncEngine(FunctionalEngine):
    """PyTorch through `torch.func.vjp` and `torch.func.jvp`. device: as for `torch`."""

    dtypes = TorchEngine.dtypes
    conventions: Mapping[str, str] = {
        "zeros_for_unused": "vjp returns a tensor for every primal (torch.func.vjp)"
    }

    def __init__(self, device: str = "cpu") -> None:
        self.torch: Any = import_module("torch")
        self._eager = TorchEngine(device)
        self.version, self.operations = self._eager.version, self._eager.operations

    def tensor(self, array: Array, requires_grad: bool = False) -> Tensor:  # noqa: ARG002
        """Make a tensor of a copy."""
        return self._eager.tensor(array)

    def numpy(self, tensor: Tensor) -> Array:
        """Return the values."""
        return self._eager.numpy(tensor)

    def apply(self, op: str, *tensors: Tensor, **params: Any) -> Tensor | tuple[Tensor, ...]:
        """Call the function of `torch`."""
        return self._eager.apply(op, *tensors, **params)

    def vjp(
        self, fn: Pure, primals: Sequence[Tensor], cotangents: Sequence[Tensor]
    ) -> Sequence[Tensor | None]:
        """Call `torch.func.vjp`."""
        _, pull = self.torch.func.vjp(fn, *primals)
        found: Sequence[Tensor | None] = pull(tuple(cotangents))
        return found

    def jvp(
        self, fn: Pure, primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Call `torch.func.jvp`."""
        found: tuple[Sequence[Tensor], Sequence[Tensor]] = self.torch.func.jvp(
            fn, tuple(primals), tuple(tangents)
        )
        return found

    def stop_gradient(self, tensor: Tensor) -> Tensor:
        """Call `tensor.detach()`."""
        return tensor.detach()
