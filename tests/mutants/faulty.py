"""Engines that fail the harness and not a clause: odd exceptions, missing parts, dead processes."""

from __future__ import annotations

import os
import time
from typing import Any

from conformance import Unsupported
from tests.mutants.mutant import OverTorch


class Unprintable(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Speechless(Exception):
    """An exception without a text."""


class Long(Exception):
    """An exception whose text is long and names places in memory and in the file system."""

    def __str__(self) -> str:
        return f"{id(self):#x} in /home/somebody/secret/engine.py: " + "x" * 10_000


class Raising(OverTorch):
    """Raises an exception of some class from `mul`."""

    error: type[Exception] = Speechless

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "mul":
            raise self.error
        return super().apply(op, *tensors, **params)


class WithoutMul(OverTorch):
    """Has no `mul`, and says so."""

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        if op == "mul":
            raise Unsupported("mul")
        return super().apply(op, *tensors, **params)


class Bare(OverTorch):
    """Has backward and gradients, and nothing else."""

    def lacks(self) -> Any:
        kept = {"backward", "grad", "accumulates", "frees_graph"}
        return [name for name in super()._defined() if name.split(".")[0] not in kept]


class WrongShapes(OverTorch):
    """Returns from `numpy` what is no array of numbers."""

    def numpy(self, tensor: Any) -> Any:
        return [None, "nothing"]


class Dying(OverTorch):
    """Ends its process when a gradient is read. (What operations there are is asked before.)"""

    def grad(self, tensor: Any) -> Any:
        os._exit(3)


class Sleeping(OverTorch):
    """Does not return a gradient that is read."""

    def grad(self, tensor: Any) -> Any:
        time.sleep(600)
