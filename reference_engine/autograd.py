"""The names of ``torch.autograd``."""

from __future__ import annotations

from reference_engine.backward import backward, grad
from reference_engine.modes import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = ["backward", "enable_grad", "grad", "inference_mode", "no_grad", "set_grad_enabled"]
