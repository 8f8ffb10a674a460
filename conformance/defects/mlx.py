"""Defects of MLX."""

from __future__ import annotations

from conformance.defects.defect import Defect

DEFECTS = (
    Defect(
        "mlx-1",
        "mlx",
        "0.32.4",
        (
            "ACC-11",
            "DET-1",
            "DET-2",
            "DET-3",
            "ROOT-2",
        ),
        "crashed",
        "log_softmax of a (1, 1) array ends the process by a segmentation fault after a few hundred"
        " calls on the CPU.",
        """import subprocess, sys

program = '''
import mlx.core as mx, mlx.nn as nn
mx.set_default_device(mx.cpu)
x = mx.array([[1.0]])
for _ in range(5000):
    mx.eval(nn.log_softmax(x, axis=-1))
'''
code = subprocess.run([sys.executable, "-c", program]).returncode
assert code == 0, f"the process ended with code {code}"
""",
        operations=("log_softmax",),
    ),
    Defect(
        "mlx-2",
        "mlx",
        "0.32.4",
        ("COT-1",),
        "silently-wrong",
        "erf near zero has a relative error of 4e-4, in float64 too.",
        """import math
import mlx.core as mx

mx.set_default_device(mx.cpu)
x = 1e-4
for dtype, allowed in ((mx.float32, 1e-6), (mx.float64, 1e-12)):
    value = mx.erf(mx.array(x, dtype=dtype)).item()
    error = abs(value / math.erf(x) - 1)
    assert error <= allowed, f"{dtype}: relative error {error:.1e}"
""",
        operations=("erf",),
    ),
)
