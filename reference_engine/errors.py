"""The sentences with which the engine refuses: each names the value, what was expected, what to do.

The engine raises what PyTorch raises (RuntimeError, TypeError, …); here is only the wording that
several places share.
"""

from __future__ import annotations

FREED = (
    "the values that {name} saved for its gradient have been freed by an earlier backward; "
    "call that one with retain_graph=True to go through the graph again"
)


def freed(name: str) -> RuntimeError:
    """A node's saved values are asked for after a backward freed them."""
    return RuntimeError(FREED.format(name=name))


def modified(name: str, shape: tuple[int, ...], saved: int, now: int) -> RuntimeError:
    """A value needed for a gradient was modified in place since it was saved."""
    return RuntimeError(
        f"{name} needs a tensor of shape {list(shape)} as it was at version {saved}, but an "
        f"in-place operation has since modified it (version {now}); modify a clone() instead"
    )


def detached(name: str, shape: tuple[int, ...]) -> RuntimeError:
    """A value needed for a gradient was taken out of the graph in place since it was saved."""
    return RuntimeError(
        f"{name} needs a tensor of shape {list(shape)} that has since been detached in place; use "
        "detach() instead of detach_()"
    )


def leaf_in_place(op: str, what: str) -> RuntimeError:
    """An in-place write to a leaf that requires grad, or to a view of one."""
    return RuntimeError(
        f"{op} would modify {what} that requires grad in place; do it under no_grad(), or out of "
        "place"
    )


def not_scalar(shape: tuple[int, ...], dtype: object) -> RuntimeError:
    """A gradient was left out for an output that is not a real scalar."""
    return RuntimeError(
        f"backward without a gradient needs a real scalar, got shape {list(shape)} of {dtype}; "
        "pass gradient=, a tensor of that shape"
    )
