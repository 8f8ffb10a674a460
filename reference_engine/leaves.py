"""What a leaf may be asked about its gradient: the dtype it must have, and hooks for when it has
been accumulated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reference_engine.backends.dtypes import dtype
from reference_engine.hooks import RemovableHandle

if TYPE_CHECKING:
    from reference_engine.tensor import Tensor


def register_post_accumulate_grad_hook(
    tensor: Tensor, hook: Callable[..., None]
) -> RemovableHandle:
    """Calls ``hook(leaf)`` whenever backward has added to this leaf's ``.grad``.

    RuntimeError unless it is a leaf that requires grad.
    """
    if not tensor.requires_grad or not tensor.is_leaf:
        raise RuntimeError(
            "a post-accumulate hook needs a leaf that requires grad; on other tensors use "
            "register_hook()"
        )
    return RemovableHandle(tensor._extras().accumulated, hook)


def run_post_accumulate_hooks(leaf: Tensor) -> None:
    """As in PyTorch, RuntimeError when one returns another tensor, TypeError for anything else."""
    for hook in list(leaf._rare.accumulated.values()):
        result = hook(leaf)
        if result is not None and result is not leaf:
            raise (RuntimeError if hasattr(result, "grad_fn") else TypeError)(
                f"a post-accumulate hook must return None, got {result!r}; it may assign .grad"
            )


def grad_dtype(tensor: Tensor) -> dtype | None:
    """The dtype that a leaf's ``.grad`` must have, its own unless set; None for any.

    RuntimeError for a non-leaf, and when it is set to another than a ``.grad`` has already.
    """
    if not tensor.is_leaf:
        raise RuntimeError("grad_dtype is a property of leaves; this tensor was computed")
    found = tensor._rare.grad_dtype
    return tensor.dtype if found == "own" else found


def set_grad_dtype(tensor: Tensor, value: dtype | None) -> None:
    """Sets :func:`grad_dtype`."""
    grad_dtype(tensor)
    rare = tensor._extras()
    if rare.grad is not None and value is not None and rare.grad.dtype is not value:
        raise RuntimeError(
            f"grad_dtype cannot become {value} while .grad has {rare.grad.dtype}; set .grad to "
            "None first"
        )
    rare.grad_dtype = value
    accumulator = rare.accumulator and rare.accumulator()
    if accumulator is not None:
        accumulator.describe()


def check_grad(tensor: Tensor, value: Tensor) -> None:
    """Refuses what cannot be a tensor's ``.grad``: TypeError for no tensor, else RuntimeError."""
    from reference_engine.tensor import Tensor

    if not isinstance(value, Tensor):
        raise TypeError(f"grad must be a Tensor or None, got {type(value).__name__}")
    if value is tensor:
        raise RuntimeError("a tensor cannot be its own grad; assign a clone()")
    kind = grad_dtype(tensor) if tensor.is_leaf else tensor.dtype
    for what, mine in (("dtype", kind), ("device", tensor.device), ("shape", tensor.shape)):
        theirs = getattr(value, what)
        if mine is not None and mine != theirs:
            raise RuntimeError(f"grad has {what} {theirs}, but its tensor needs {what} {mine}")
