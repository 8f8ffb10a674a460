"""The tiny tape without its defect: it does not broadcast, and says so."""

from __future__ import annotations

from typing import Any

from conformance import Unsupported
from tests.engines.tiny_tape import TinyTape


class SoundTape(TinyTape):
    name = "sound-tape"

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "mul" and len({tensor.data.shape for tensor in tensors}) > 1:
            raise Unsupported("broadcasting")
        return super().apply(op, *tensors, **params)
