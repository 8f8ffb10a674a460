"""Defects of DeZero."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = """import numpy as np
import dezero.functions as F
from dezero import Variable
"""

DEFECTS = (
    Defect(
        "dezero-1",
        "dezero",
        "0.0.13",
        ("COT-1", "ACC-1", "ACC-3", "ACC-4", "LEAF-2"),
        "silently-wrong",
        "matmul takes a matrix and a vector, and gives the matrix one number as its gradient, or"
        " raises where the matrix is not square.",
        _HEAD
        + """
w, x = Variable(np.array([[1.0, 2.0], [3.0, 4.0]])), Variable(np.array([5.0, 6.0]))
F.sum(F.matmul(w, x)).backward()
np.testing.assert_array_equal(w.grad.data, [[5.0, 6.0], [5.0, 6.0]])
""",
        operations=("matmul",),
    ),
    Defect(
        "dezero-2",
        "dezero",
        "0.0.13",
        (
            "LEAF-16",
            "TYPE-1",
            "TYPE-3",
        ),
        "silently-wrong",
        "The gradient of a float32 variable is float64 where it was multiplied by a float64 one.",
        _HEAD
        + """
x = Variable(np.array([1.0, 2.0], dtype="float32"))
F.sum(x * Variable(np.array([3.0, 4.0], dtype="float64"))).backward()
assert x.grad.dtype == x.dtype, f"the gradient of {x.dtype} is {x.grad.dtype}"
""",
    ),
    Defect(
        "dezero-4",
        "dezero",
        "0.0.13",
        ("ACC-9",),
        "refused-loudly",
        "Backward from a leaf fails by an AttributeError.",
        _HEAD
        + """
x = Variable(np.array(2.0))
x.backward()
assert x.grad.data == 1.0
""",
        documented="Variable.backward (dezero/core.py) gives its root a gradient of ones, and then"
        " takes the generation of a function that is None.",
    ),
)
