"""Defects of MyGrad."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = "import mygrad as mg, numpy as np\n"

DEFECTS = (
    Defect(
        "mygrad-1",
        "mygrad",
        "2.5.0",
        ("NUM-10",),
        "silently-wrong",
        "At equal operands maximum gives both a gradient of zero, where it should be the one that"
        " is documented.",
        _HEAD
        + """
x, w = mg.tensor([3.0]), mg.tensor([3.0])
mg.maximum(x, w).backward()
assert x.grad + w.grad == 1.0, f"{x.grad} and {w.grad}"  # that of where(x >= w, x, w)
""",
        documented="mygrad.maximum: equivalent to mg.where(x1 >= x2, x1, x2).",
        operations=(
            "maximum",
            "minimum",
        ),
    ),
    Defect(
        "mygrad-2",
        "mygrad",
        "2.5.0",
        ("NUM-12",),
        "refused-loudly",
        "where with a condition that is a tensor recurses without end.",
        _HEAD
        + """
condition = mg.tensor([True, False])
y = mg.where(condition, mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]))
np.testing.assert_array_equal(y.data, [1.0, 4.0])
""",
        documented="mygrad.where: condition is ArrayLike.",
        operations=("where",),
    ),
    Defect(
        "mygrad-3",
        "mygrad",
        "2.5.0",
        ("TYPE-1", "TYPE-2", "TYPE-4", "TYPE-7"),
        "silently-wrong",
        "A float32 tensor times a Python number is float64, where NumPy's product is float32.",
        _HEAD
        + """
for x in (np.array([1.0, 2.0], dtype="float32"), np.array(1.0, dtype="float32")):
    assert (x * 2.0).dtype == np.float32
    assert (mg.tensor(x) * 2.0).dtype == np.float32
""",
    ),
)
