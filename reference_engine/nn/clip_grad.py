"""Clipping gradients, ``nn.utils``."""

from __future__ import annotations

from collections.abc import Iterable

from reference_engine.modes import no_grad
from reference_engine.ops.call import function_of
from reference_engine.ops.creation import tensor
from reference_engine.ops.table import TABLE
from reference_engine.tensor import Tensor


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in listed if p.grad is not None]


@no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scales all gradients in place so that their joint norm is at most ``max_norm``.

    Returns the norm before. RuntimeError with ``error_if_nonfinite`` when it is infinite or nan.
    """
    grads = _grads(parameters)
    if not grads:
        return tensor(0.0)
    norm = function_of(TABLE["linalg.vector_norm"])
    norms = [norm(g, float(norm_type)) for g in grads]
    total: Tensor = norm(function_of(TABLE["stack"])(norms), float(norm_type))
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(
            f"the norm of the gradients is {total.item()}; it must be finite to clip by, "
            "or pass error_if_nonfinite=False"
        )
    factor: Tensor = ((total + 1e-6).reciprocal() * max_norm).clamp(max=1.0)
    for g in grads:
        g.mul_(factor.to(g.dtype))
    return total


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limits every element of all gradients to ±``clip_value``, in place."""
    for g in _grads(parameters):
        g.clamp_(-float(clip_value), float(clip_value))
