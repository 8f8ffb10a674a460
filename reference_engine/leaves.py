"""What a leaf may be asked about its gradient: the dtype it must have, and hooks for when it has
been accumulated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from reference_engine.backends.dtypes import dtype

if TYPE_CHECKING:
    from reference_engine.hooks import RemovableHandle
    from reference_engine.tensor import Tensor


class LeafOptions:
    """What few leaves have."""

    __slots__ = ("grad_dtype", "hooks")

    def __init__(self) -> None:
        #: ``"own"``: the leaf's; None: any
        self.grad_dtype: dtype | Literal["own"] | None = "own"
        self.hooks: dict[int, Callable[..., None]] = {}

    def run_hooks(self, leaf: Tensor) -> None:
        """Calls the post-accumulate hooks.

        As in PyTorch, RuntimeError when one returns another tensor, TypeError for anything else.
        """
        from reference_engine.tensor import Tensor

        for hook in list(self.hooks.values()):
            result: object = hook(leaf)
            if result is not None and result is not leaf:
                raise (RuntimeError if isinstance(result, Tensor) else TypeError)(
                    f"a post-accumulate hook must return None, got {result!r}; it may assign .grad"
                )


def _options(leaf: Tensor) -> LeafOptions:
    rare = leaf._extras()
    if rare.leaf is None:
        rare.leaf = LeafOptions()
    return rare.leaf


def register_post_accumulate_grad_hook(
    tensor: Tensor, hook: Callable[..., None]
) -> RemovableHandle:
    """Calls ``hook(leaf)`` whenever backward has added to this leaf's ``.grad``.

    RuntimeError unless it is a leaf that requires grad.
    """
    from reference_engine.hooks import RemovableHandle

    if not tensor.requires_grad or not tensor.is_leaf:
        raise RuntimeError(
            "a post-accumulate hook needs a leaf that requires grad; on other tensors use "
            "register_hook()"
        )
    return RemovableHandle(_options(tensor).hooks, hook)


def grad_dtype(tensor: Tensor) -> dtype | None:
    """The dtype that a leaf's ``.grad`` must have, its own unless set; None for any.

    RuntimeError for a non-leaf, and when it is set to another than a ``.grad`` has already.
    """
    if not tensor.is_leaf:
        raise RuntimeError("grad_dtype is a property of leaves; this tensor was computed")
    options = None if tensor._rare is None else tensor._rare.leaf
    found = "own" if options is None else options.grad_dtype
    return tensor.dtype if found == "own" else found


def set_grad_dtype(tensor: Tensor, value: dtype | None) -> None:
    """Sets :func:`grad_dtype`."""
    if not tensor.is_leaf:
        raise RuntimeError("grad_dtype can be set on leaves only, and this tensor was computed")
    rare = tensor._extras()
    if rare.grad is not None and value is not None and rare.grad.dtype is not value:
        raise RuntimeError(
            f"grad_dtype cannot become {value} while .grad has {rare.grad.dtype}; set .grad to "
            "None first"
        )
    _options(tensor).grad_dtype = value
    accumulator = None if rare.accumulator is None else rare.accumulator()
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
