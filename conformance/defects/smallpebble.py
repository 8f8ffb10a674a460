"""Defects of SmallPebble."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = "import numpy as np, smallpebble as sp\n"

DEFECTS = (
    Defect(
        "smallpebble-1",
        "smallpebble",
        "3.0.5",
        ("LEAF-1", "LEAF-4", "COT-12"),
        "refused-loudly",
        "matmul accepts a vector, and its gradient then fails.",
        _HEAD
        + """
x, w = sp.Variable(np.array([1.0, 2.0])), sp.Variable(np.array([3.0, 4.0]))
gradients = sp.get_gradients(sp.matmul(x, w))
assert (gradients[x] == w.array).all()
""",
        operations=("matmul",),
    ),
    Defect(
        "smallpebble-2",
        "smallpebble",
        "3.0.5",
        ("LEAF-3",),
        "refused-loudly",
        "The gradient of an operand that was broadcast against an empty one fails.",
        _HEAD
        + """
empty, column = sp.Variable(np.zeros((2, 0))), sp.Variable(np.ones((2, 1)))
gradients = sp.get_gradients(sp.sum(sp.mul(empty, column)))
assert (gradients[column] == np.zeros((2, 1))).all()
""",
    ),
    Defect(
        "smallpebble-3",
        "smallpebble",
        "3.0.5",
        (
            "LEAF-16",
            "TYPE-1",
        ),
        "silently-wrong",
        "The gradient of a float32 variable is float64 where it was multiplied by a float64 one.",
        _HEAD
        + """
x = sp.Variable(np.array([1.0, 2.0], dtype="float32"))
d = sp.Variable(np.array([3.0, 4.0], dtype="float64"))
gradient = sp.get_gradients(sp.sum(sp.mul(x, d)))[x]
assert gradient.dtype == x.array.dtype, f"the gradient of {x.array.dtype} is {gradient.dtype}"
""",
    ),
)
