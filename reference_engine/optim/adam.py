"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

from reference_engine.backends.dtypes import float32
from reference_engine.ops.creation import tensor
from reference_engine.optim.optimizer import Optimizer
from reference_engine.tensor import Tensor


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and its square.

    Kingma and Ba 2015, https://arxiv.org/abs/1412.6980. ``decoupled_weight_decay`` shrinks the
    parameters
    instead of adding to the gradient. ValueError for settings out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            if value < 0:
                raise ValueError(
                    f"{type(self).__name__} got {name}={value}; it must not be negative"
                )
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__} got betas={betas}; each must be in [0, 1)")
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay})  # fmt: skip

    def _update(
        self, p: Tensor, grad: Tensor, group: dict[str, Any], state: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        if not state:
            state["step"] = tensor(0.0, dtype=float32)
            for name in ("exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * group["amsgrad"]):
                state[name] = p.detach().clone().zero_()
        state["step"] += 1
        if group["weight_decay"]:
            if group["decoupled_weight_decay"]:
                p.mul_(1 - group["lr"] * group["weight_decay"])
            else:
                grad = grad.add(p, alpha=group["weight_decay"])
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad.conj(), value=1 - beta2)
        step = state["step"].item()
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = square = state["max_exp_avg_sq"].maximum(square)
        scale = (square.sqrt() / sqrt(1 - beta2**step)).add_(group["eps"])
        p.addcdiv_(mean, scale, value=-(group["lr"] / (1 - beta1**step)))


class AdamW(Adam):
    """Adam with decoupled weight decay: Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
        )
