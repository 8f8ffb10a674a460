"""Engines that take their process down, hang, or leave: what only another process survives."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import numpy as np

from conformance import TapeEngine, Unsupported
from conformance.adapters.torch_engine import TorchEngine


class Failing(TapeEngine):
    """Has leaves and `mul`, which does what `fail` says; its backward leaves ones."""

    version = "1"

    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        return {"value": np.array(array), "grad": None}

    def numpy(self, tensor: Any) -> Any:
        return tensor["value"] if isinstance(tensor, dict) else tensor

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op != "mul":
            raise Unsupported(op)
        self.fail()
        raise AssertionError("the process should have ended")

    def backward(self, tensor: Any, gradient: Any = None) -> None:
        tensor["grad"] = np.ones_like(tensor["value"])

    def grad(self, tensor: Any) -> Any:
        return tensor["grad"]

    def fail(self) -> None:
        raise NotImplementedError


class Killed(Failing):
    def fail(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Aborted(Failing):
    def fail(self) -> None:
        os.abort()


class Exiting(Failing):
    def fail(self) -> None:
        sys.exit(5)


class Hanging(Failing):
    def fail(self) -> None:
        time.sleep(600)


class DyingWhenLoaded(Failing):
    def __init__(self) -> None:
        os._exit(9)


class DyingOfSine(TorchEngine):
    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "sin":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().apply(op, *tensors, **params)
