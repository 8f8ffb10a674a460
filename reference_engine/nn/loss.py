"""Losses as modules."""

from __future__ import annotations

from typing import Any

from reference_engine.nn import functional as F
from reference_engine.nn.module import Module
from reference_engine.tensor import Tensor


class _Loss(Module):
    """Calls ``_function`` on an input and a target, with the settings that the subclass names."""

    _function: str

    def __init__(self, reduction: str = "mean", **settings: Any) -> None:
        super().__init__()
        self.reduction = reduction
        self._settings = tuple(settings)
        for name, value in settings.items():
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """The loss, reduced as asked for."""
        settings = {name: getattr(self, name) for name in self._settings}
        made: Tensor = getattr(F, self._function)(x, target, reduction=self.reduction, **settings)
        return made


class MSELoss(_Loss):
    """Squared difference."""

    _function = "mse_loss"


class L1Loss(_Loss):
    """Absolute difference."""

    _function = "l1_loss"


class SmoothL1Loss(_Loss):
    """Squared difference below ``beta``, absolute above."""

    _function = "smooth_l1_loss"

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction, beta=beta)


class HuberLoss(_Loss):
    """Squared difference below ``delta``, ``delta`` times the absolute one above."""

    _function = "huber_loss"

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction, delta=delta)


class BCELoss(_Loss):
    """Binary cross-entropy of probabilities."""

    _function = "binary_cross_entropy"

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction, weight=weight)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of logits."""

    _function = "binary_cross_entropy_with_logits"

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction, weight=weight, pos_weight=pos_weight)


class NLLLoss(_Loss):
    """Minus the log-probability of the target class."""

    _function = "nll_loss"

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction, weight=weight, ignore_index=ignore_index)


class CrossEntropyLoss(_Loss):
    """Cross-entropy of logits with classes or probabilities."""

    _function = "cross_entropy"

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            reduction, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing
        )


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence of log-probabilities from a target."""

    _function = "kl_div"

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction, log_target=log_target)
