"""What the tests of behaviours look at: values, and where a tensor stands in the graph."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

#: that a warning is given: its words are each library's own
warns = partial(pytest.warns, UserWarning)


def assert_values(x: Any, expected: Any) -> None:
    """The same shape, and the same values to the accuracy of float64 (or float32)."""
    assert x is not None, "expected a tensor, got None"
    wanted = expected.detach().tolist() if hasattr(expected, "detach") else expected
    assert tuple(x.shape) == tuple(getattr(expected, "shape", np.shape(wanted)))
    coarse = str(x.dtype).rsplit(".", 1)[-1] in ("float32", "complex64")
    tolerance = 1e-5 if coarse else 1e-12
    np.testing.assert_allclose(np.array(x.detach().tolist()), wanted, tolerance, tolerance)


def counting(torch: Any, *shape: int, requires_grad: bool = True) -> Any:
    """A leaf that counts 1, 2, 3, … in the given shape."""
    n = 1
    for size in shape:
        n *= size
    x = torch.arange(1, n + 1, dtype=torch.float64).reshape(shape).clone()
    return x.requires_grad_(requires_grad)


def standing(x: Any) -> tuple[bool, bool, bool]:
    """(requires_grad, is_leaf, has a grad_fn)."""
    return x.requires_grad, x.is_leaf, x.grad_fn is not None


def node_names(x: Any) -> list[str]:
    """The names of the nodes of a tensor's graph, depth first, each once."""
    seen: list[Any] = []
    stack = [x.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.append(node)
            stack += [parent for parent, _ in reversed(node.next_functions)]
    return [node.name().split("::")[-1] for node in seen]
