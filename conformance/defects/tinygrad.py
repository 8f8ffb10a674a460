"""Defects of tinygrad."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = 'import os; os.environ["DEV"] = "PYTHON"\nimport numpy as np\nfrom tinygrad import Tensor\n'

DEFECTS = (
    Defect(
        "tinygrad-1",
        "tinygrad",
        "0.14.0",
        ("ACC-8", "COT-13"),
        "silently-wrong",
        "The gradients of different tensors, and the gradient passed to backward, are one buffer: a"
        " later backward into one of them changes the others.",
        _HEAD
        + """
a, b, v = (Tensor(row).realize() for row in ([1.0, 2.0], [3.0, 4.0], [5.0, 6.0]))
(a + b).backward(v)
(a * 2).sum().backward()  # does not depend on b
np.testing.assert_array_equal(a.grad.numpy(), [7.0, 8.0])
np.testing.assert_array_equal(b.grad.numpy(), [5.0, 6.0])
np.testing.assert_array_equal(v.numpy(), [5.0, 6.0])
""",
    ),
    Defect(
        "tinygrad-2",
        "tinygrad",
        "0.14.0",
        ("ACC-1", "ACC-5"),
        "silently-wrong",
        "What was computed from a gradient changes its value when a later backward accumulates into"
        " that gradient.",
        _HEAD
        + """
x = Tensor([1.0, 2.0]).realize()
(x * x).sum().backward()
x.grad.realize()
twice = x.grad * 2
(x * x).sum().backward()
x.grad.realize()
np.testing.assert_array_equal(x.grad.numpy(), [4.0, 8.0])
np.testing.assert_array_equal(twice.numpy(), [4.0, 8.0])
""",
    ),
    Defect(
        "tinygrad-3",
        "tinygrad",
        "0.14.0",
        ("COT-4",),
        "silently-wrong",
        "A backward that is refused for the shape of its gradient has written gradients by then.",
        _HEAD
        + """
x = Tensor([1.0, 2.0]).realize()
y = x * x
try:
    y.backward(Tensor(2.0))
except AssertionError:
    pass
assert x.grad is None, f"x.grad is {x.grad.numpy()} after an error"
""",
    ),
    Defect(
        "tinygrad-4",
        "tinygrad",
        "0.14.0",
        ("LEAF-1",),
        "silently-wrong",
        "erf has a relative error of 4e-4 near zero, and of 1e-7 at one in double precision too.",
        _HEAD
        + """
import math
for dtype, x, allowed in (("float", 1e-4, 1e-6), ("double", 1.0, 1e-12)):
    error = abs(Tensor([x], dtype=dtype).erf().item() / math.erf(x) - 1)
    assert error <= allowed, f"{dtype}: relative error {error:.1e} at {x}"
""",
        operations=("erf",),
    ),
    Defect(
        "tinygrad-5",
        "tinygrad",
        "0.14.0",
        (
            "ERR-4",
            "NUM-2",
        ),
        "silently-wrong",
        "The gradient of atan has a relative error of 1e-3 at 100, and of 8e-8 at one in"
        " double precision.",
        _HEAD
        + """
for dtype, x, allowed in (("float", 100.0, 1e-5), ("double", 1.0, 1e-12)):
    leaf = Tensor([x], dtype=dtype).realize()
    leaf.atan().sum().backward()
    error = abs(leaf.grad.item() * (1 + x * x) - 1)
    assert error <= allowed, f"{dtype}: relative error {error:.1e} at {x}"
""",
        operations=("atan",),
    ),
)
