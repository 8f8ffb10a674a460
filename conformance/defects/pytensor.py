"""Defects of PyTensor."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = "import numpy as np, pytensor\n"

DEFECTS = (
    Defect(
        "pytensor-1",
        "pytensor",
        "3.0.7",
        ("COT-4",),
        "silently-wrong",
        "grad takes a known gradient of another shape than its variable's, and returns a gradient"
        " of another shape than the input's.",
        _HEAD
        + """
x = pytensor.shared(np.ones((2, 3)), shape=(2, 3))
y = x * 2.0
v = pytensor.shared(np.ones(3), shape=(3,))
try:
    gradient = pytensor.grad(None, x, known_grads={y: v}).eval()
except (TypeError, ValueError):
    raise SystemExit(0)  # refused
assert gradient.shape == (2, 3), f"the gradient of (2, 3) has the shape {gradient.shape}"
""",
    ),
    Defect(
        "pytensor-2",
        "pytensor",
        "3.0.7",
        ("LEAF-16",),
        "silently-wrong",
        "The gradient of a float32 variable is float64 where it was multiplied by a float64 one.",
        _HEAD
        + """
x = pytensor.shared(np.array([1.0, 2.0], dtype="float32"))
d = pytensor.shared(np.array([3.0, 4.0], dtype="float64"))
gradient = pytensor.grad((x * d).sum(), x)
assert gradient.dtype == x.dtype, f"the gradient of {x.dtype} is {gradient.dtype}"
""",
    ),
)
