"""Departures from a sound tape engine, for the tests of what reports them."""

from __future__ import annotations

from typing import Any

from conformance import TapeEngine
from conformance.adapters.torch_engine import TorchEngine
from tests.engines.sound_tape import SoundTape


class Doubled(SoundTape):
    """Says that every gradient is twice what it is."""

    name = "doubled"

    def grad(self, tensor: Any) -> Any:
        found = super().grad(tensor)
        return None if found is None else self.tensor(2 * self.numpy(found))


class Misnamed(TorchEngine):
    """Ignores advice: its nodes are not named after their operations."""

    def grad_fn(self, tensor: Any) -> str | None:
        return None if super().grad_fn(tensor) is None else "Mystery"


class Halved(TapeEngine):
    """Half an adapter: it has no way back to NumPy."""

    name = "halved"

    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        return array

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        return tensors[0]
