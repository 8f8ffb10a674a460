"""The sentences with which the engine refuses: each names the value, what was expected, what to do.

The engine raises what PyTorch raises (RuntimeError, TypeError, …); here is only the wording that
several places share.
"""

from __future__ import annotations


def freed(name: str) -> RuntimeError:
    """A node's saved values are asked for after a backward freed them."""
    return RuntimeError(
        f"the values that {name} saved for its gradient have been freed by an earlier backward; "
        "call that one with retain_graph=True to go through the graph again"
    )


def leaf_in_place(op: str, what: str) -> RuntimeError:
    """An in-place write to a leaf that requires grad, or to a view of one."""
    return RuntimeError(
        f"{op} would modify {what} that requires grad in place; do it under no_grad(), or out of "
        "place"
    )
