"""A sound tape that prints, from Python and below it, and tries to read standard input."""

from __future__ import annotations

import os
import sys
from typing import Any

from tests.engines.sound_tape import SoundTape

print("imported")


class NoisyTape(SoundTape):
    name = "noisy-tape"

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        print('{"id": 2, "events": []}', flush=True)
        os.write(1, b"below Python\n")
        assert sys.stdin.read() == ""
        return super().apply(op, *tensors, **params)
