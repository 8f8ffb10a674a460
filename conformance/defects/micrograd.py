"""Defects of micrograd."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = "from micrograd.engine import Value\n"

DEFECTS = (
    Defect(
        "micrograd-1",
        "micrograd",
        "0.1.0",
        ("ACC-1", "RET-2", "RET-3"),
        "silently-wrong",
        "A second backward through intermediate values adds their stored gradients once more: three"
        " times the gradient instead of twice.",
        _HEAD
        + """
x = Value(2.0)
y = (x * x) * 3.0
y.backward()
once = x.grad
y.backward()
assert x.grad == 2 * once, f"{x.grad / once} times the gradient after two passes"
""",
        issue="https://github.com/karpathy/micrograd/issues/53",
    ),
    Defect(
        "micrograd-2",
        "micrograd",
        "0.1.0",
        ("ACC-9",),
        "silently-wrong",
        "Backward from a value overwrites that value's gradient, where it adds to all others.",
        _HEAD
        + """
x = Value(3.0)
(x * 2.0).backward()
assert x.grad == 2.0
x.backward()
assert x.grad == 3.0, f"{x.grad}: the gradient accumulated before is lost"
""",
    ),
)
