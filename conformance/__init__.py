"""Executable specification of autograd behaviour: adapters for engines, and `run` to test them.

The names below are the public ones. They load on first use, so that `import conformance` costs
nothing and imports neither an engine nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.adapters.base import Engine, FunctionalEngine, TapeEngine
    from conformance.adapters.torch_like import TorchLikeEngine
    from conformance.errors import ConformanceError, Unsupported
    from conformance.gradient_check import assert_gradients, gradcheck
    from conformance.runner import run

__all__ = [
    "ConformanceError",
    "Engine",
    "FunctionalEngine",
    "TapeEngine",
    "TorchLikeEngine",
    "Unsupported",
    "assert_gradients",
    "gradcheck",
    "run",
]

_HOMES = {
    "ConformanceError": "conformance.errors",
    "Engine": "conformance.adapters.base",
    "FunctionalEngine": "conformance.adapters.base",
    "TapeEngine": "conformance.adapters.base",
    "TorchLikeEngine": "conformance.adapters.torch_like",
    "Unsupported": "conformance.errors",
    "assert_gradients": "conformance.gradient_check",
    "gradcheck": "conformance.gradient_check",
    "run": "conformance.runner",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'conformance' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
