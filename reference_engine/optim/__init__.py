"""The part of ``torch.optim`` that training programs need."""

from __future__ import annotations

from reference_engine.optim.adam import Adam, AdamW
from reference_engine.optim.optimizer import Optimizer
from reference_engine.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
