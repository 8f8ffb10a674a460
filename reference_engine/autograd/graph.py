"""The names of ``torch.autograd.graph``."""

from __future__ import annotations

from collections.abc import Iterable

from reference_engine.graph import GradientEdge, Node
from reference_engine.hooks import register_multi_grad_hook
from reference_engine.inplace import bump
from reference_engine.saved_tensors import (
    allow_mutation_on_saved_tensors,
    disable_saved_tensors_hooks,
    save_on_cpu,
    saved_tensors_hooks,
)
from reference_engine.tensor import Tensor


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The place in the graph where a tensor was computed, or a leaf accumulates.

    RuntimeError when it requires no grad.
    """
    node, nr = tensor._edge()
    if node is None:
        raise RuntimeError("a gradient edge needs a tensor that requires grad; this one does not")
    return GradientEdge(node, nr)


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Counts a write to a tensor's memory that the engine did not see."""
    for x in (tensor,) if isinstance(tensor, Tensor) else tensor:
        bump(x)


__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu",
    "saved_tensors_hooks",
]  # fmt: skip
