"""The record of a defect, and the list of all of them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Literal

_FILES = (
    "torch_operations", "torch_modes", "torch_edges", "torch", "paddle", "paddle_operations",
    "mindspore",
    "pytensor", "tinygrad",
    "dezero", "chainer", "smallpebble", "mlx", "autograd", "mygrad", "tensorflow", "micrograd",
    "drjit", "jax",
)  # fmt: skip
"""The files of defects, one or two for each engine: those with the most first."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One verified defect.

    id: engine and number, never re-used. versions: those in which it was seen. clauses: those that
    it violates. kind: whether the process dies, numbers are wrong without an error, a program that
    should run is refused, or an owed error is missing. sentence: what is wrong. documented: what
    the engine's own documentation says of it, where it says something. issue: the public report,
    where one exists. script: the reproduction. operations: where the defect is that of operations,
    and shows in whatever clause applies them, their canonical names.
    """

    id: str
    engine: str
    versions: str
    clauses: tuple[str, ...]
    kind: Literal["crashed", "silently-wrong", "refused-loudly", "not-refused"]
    sentence: str
    script: str
    documented: str = ""
    issue: str = ""
    operations: tuple[str, ...] = ()


@cache
def defects() -> tuple[Defect, ...]:
    """Return every defect, by engine and number."""
    return tuple(
        defect
        for name in _FILES
        for defect in importlib.import_module(f"conformance.defects.{name}").DEFECTS
    )
