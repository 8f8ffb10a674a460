"""The names of ``torch.autograd``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from reference_engine import function
from reference_engine.anomaly import detect_anomaly, set_detect_anomaly
from reference_engine.autograd import forward_ad, graph
from reference_engine.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from reference_engine.backward import backward, grad
from reference_engine.function import Function
from reference_engine.modes import enable_grad, inference_mode, no_grad, set_grad_enabled


def __getattr__(name: str) -> ModuleType:
    if name == "functional":
        return import_module("reference_engine.autograd.functional")
    raise AttributeError(f"module 'reference_engine.autograd' has no attribute {name!r}")


__all__ = [
    "Function", "GradcheckError", "backward", "detect_anomaly", "enable_grad", "forward_ad",
    "function", "functional", "grad", "gradcheck", "gradgradcheck", "graph", "inference_mode",
    "no_grad", "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip
