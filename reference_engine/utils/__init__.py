"""The names of ``torch.utils``."""

from __future__ import annotations

from reference_engine.utils import checkpoint

__all__ = ["checkpoint"]
