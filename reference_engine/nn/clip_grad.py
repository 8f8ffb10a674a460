"""Clipping gradients, ``nn.utils``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

from reference_engine.modes import no_grad
from reference_engine.ops.call import function_of
from reference_engine.ops.creation import tensor
from reference_engine.ops.table import TABLE
from reference_engine.tensor import Tensor

Tensors = Tensor | Iterable[Tensor]


def _listed(tensors: Tensors) -> list[Tensor]:
    found = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not found and isinstance(tensors, Iterator):
        warnings.warn(
            "the generator of parameters is empty, perhaps used up; nothing is clipped",
            UserWarning,
            stacklevel=3,
        )
    return found


@no_grad()
def get_total_norm(
    tensors: Tensors,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of several tensors as if they were one vector; 0 if there are none.

    RuntimeError with ``error_if_nonfinite`` when it is infinite or nan. ``foreach`` is accepted,
    and changes nothing.
    """
    del foreach
    found = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    kind = float(norm_type)
    if not found:
        return tensor(0.0)
    norm = function_of(TABLE["linalg.vector_norm"])
    total: Tensor = norm(function_of(TABLE["stack"])([norm(x, kind) for x in found]), kind)
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(
            f"the norm of the gradients is {total.item()}; it must be finite to clip by, "
            "or pass error_if_nonfinite=False"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales all gradients in place by ``max_norm / total_norm``, if that is less than 1."""
    del foreach
    factor: Tensor = ((total_norm + 1e-6).reciprocal() * float(max_norm)).clamp(max=1.0)
    for p in [parameters] if isinstance(parameters, Tensor) else parameters:
        if p.grad is not None:
            p.grad.mul_(factor.to(p.grad.dtype))


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales all gradients in place so that their joint norm is at most ``max_norm``.

    Returns the norm before. RuntimeError with ``error_if_nonfinite`` when it is infinite or nan.
    """
    listed = _listed(parameters)
    grads = [p.grad for p in listed if p.grad is not None]
    total = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(listed, max_norm, total, foreach)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Limits every element of all gradients to ±``clip_value``, in place."""
    del foreach
    for p in [parameters] if isinstance(parameters, Tensor) else parameters:
        if p.grad is not None:
            p.grad.clamp_(-float(clip_value), float(clip_value))
