"""Devices: where a tensor's memory is, and which backend computes on it."""

from __future__ import annotations

import re
from typing import Any

from reference_engine.backends.base import Backend, of_array
from reference_engine.backends.numpy_backend import NUMPY


class device:  # noqa: N801  (PyTorch's spelling)
    """A device: ``"cpu"`` is NumPy, ``"torch"`` a torch tensor on the CPU, ``"cuda:0"`` one on a
    GPU.

    Raises RuntimeError for a name that is none of these, or a CUDA device that is not there.
    """

    __slots__ = ("backend", "index", "raw", "type")

    type: str
    index: int | None
    backend: Backend
    #: what the backend's library calls the device
    raw: str

    def __init__(self, name: str | device, index: int | None = None) -> None:
        if isinstance(name, device):
            self.type, self.index, self.backend, self.raw = (
                name.type, name.index, name.backend, name.raw,
            )  # fmt: skip
            return
        found = re.fullmatch(r"(cpu|torch|cuda)(?::(cpu|\d+))?", name)
        if found is None or (found[2] == "cpu") > (found[1] == "torch"):
            raise RuntimeError(
                f"device {name!r} is not known; expected 'cpu' (NumPy), 'torch', 'cuda' or 'cuda:N'"
            )
        self.type = found[1]
        self.index = int(found[2]) if (found[2] or "").isdigit() else index
        if self.type == "cpu":
            self.backend, self.raw = NUMPY, "cpu"
        else:
            self.backend, self.raw = self._torch_device()

    def _torch_device(self) -> tuple[Backend, str]:
        from reference_engine.backends.torch_backend import torch_backend

        backend = torch_backend()
        if self.type == "torch":
            return backend, "cpu"
        self.index = self.index or 0
        count = backend.cuda.device_count()
        if self.index >= count:
            raise RuntimeError(
                f"device 'cuda:{self.index}' is not there: torch sees {count} CUDA devices; "
                "use device 'torch' or 'cpu'"
            )
        return backend, f"cuda:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.raw) == (other.type, other.raw)

    def __hash__(self) -> int:
        return hash((self.type, self.raw))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        parts = f"type={self.type!r}" + ("" if self.index is None else f", index={self.index}")
        return f"device({parts})"


CPU = device("cpu")
_default = CPU


def get_default_device() -> device:
    """The device of new tensors (``cpu`` until changed)."""
    return _default


def set_default_device(name: str | device) -> None:
    """Sets the device of new tensors."""
    global _default
    _default = device(name)


def device_of(x: Any) -> device:
    """The device of a raw array."""
    backend = of_array(x)
    if (backend.inner if backend.batched else backend) is NUMPY:
        return CPU
    raw = str(x.device)
    return device("torch" if raw == "cpu" else raw)
