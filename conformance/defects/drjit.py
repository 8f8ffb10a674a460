"""Defects of Dr.Jit."""

from __future__ import annotations

from conformance.defects.defect import Defect

DEFECTS = (
    Defect(
        "drjit-2",
        "drjit",
        "1.5.0",
        ("NUM-2",),
        "silently-wrong",
        "The gradient of prod is zero everywhere where one element is zero.",
        """import drjit as dr, numpy as np
from drjit.llvm.ad import TensorXf64

x = TensorXf64([0.0, 2.0, 3.0])
dr.enable_grad(x)
dr.backward(dr.prod(x))
np.testing.assert_array_equal(dr.grad(x).numpy(), [6.0, 0.0, 0.0])
""",
        operations=("prod",),
    ),
    Defect(
        "drjit-3",
        "drjit",
        "1.5.0",
        ("NUM-10",),
        "silently-wrong",
        "The gradient of max is one for each of several largest elements: along the direction in"
        " which they all grow, max grows twice as fast by it as it does.",
        """import drjit as dr
from drjit.llvm.ad import TensorXf64

x = TensorXf64([1.0, 3.0, 3.0])
dr.enable_grad(x)
dr.backward(dr.max(x))
assert dr.grad(x).numpy().sum() == 1.0, dr.grad(x)  # max(x + t) = max(x) + t
""",
        operations=(
            "amax",
            "amin",
        ),
    ),
    Defect(
        "drjit-4",
        "drjit",
        "1.5.0",
        ("NUM-1",),
        "silently-wrong",
        "lgamma of double precision has the digits of single precision's formula: it is off by"
        " 2.5e-11 between 0 and 1, where a neighbouring number is 1e-16 away.",
        """import math
import drjit as dr
from drjit.llvm.ad import TensorXf64

for x in (0.6, 2.25):
    value = dr.lgamma(TensorXf64([x])).numpy()[0]
    error = abs(value / math.lgamma(x) - 1)
    assert error < 1e-14, f"lgamma({x}) is {value!r}: a relative error of {error:.1e}"
""",
        documented="drjit.lgamma: its implementation is based on the CEPHES library. The installed"
        " drjit/math.h has a Lanczos approximation of six terms instead.",
        operations=("lgamma",),
    ),
    Defect(
        "drjit-5",
        "drjit",
        "1.5.0",
        ("NUM-1",),
        "refused-loudly",
        "hypot does not take a tensor without axes and one with axes, as maximum, atan2 and"
        " arithmetic do.",
        """import drjit as dr, numpy as np
from drjit.llvm.ad import TensorXf64

x, y = TensorXf64(np.array(3.0)), TensorXf64([4.0, -4.0])
assert dr.maximum(x, y).shape == (2,)
np.testing.assert_allclose(dr.hypot(x, y).numpy(), [5.0, 5.0])
""",
        documented="drjit.hypot: its arguments are any arithmetic types of Dr.Jit.",
        operations=("hypot",),
    ),
)
