"""For the test files of engine authors: `ConformanceMachine`, a Hypothesis state machine.

It loads on first use, so that importing this module imports no Hypothesis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.strategies.state_machine import ConformanceMachine

__all__ = ["ConformanceMachine"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'conformance.testing' has no attribute {name!r}")
    return getattr(import_module("conformance.strategies.state_machine"), name)
