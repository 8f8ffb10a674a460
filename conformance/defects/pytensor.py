"""Defects of PyTensor."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = "import numpy as np, pytensor\n"

DEFECTS = (
    Defect(
        "pytensor-1",
        "pytensor",
        "3.0.7",
        (
            "COT-4",
            "ERR-2",
        ),
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
        (
            "LEAF-16",
            "TYPE-1",
            "TYPE-2",
            "TYPE-4",
        ),
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
    Defect(
        "pytensor-3",
        "pytensor",
        "3.0.7",
        (
            "ROOT-2",
            "ROOT-6",
        ),
        "silently-wrong",
        "pullback of an output that is given twice drops the first of its cotangents.",
        _HEAD
        + """
from pytensor.gradient import pullback

x = pytensor.shared(np.array([1.0, 2.0]))
y = x * x
v, w = (pytensor.shared(np.array(row)) for row in ([1.0, 1.0], [10.0, 100.0]))
gradient = pullback([y, y], x, [v, w]).eval()
np.testing.assert_array_equal(gradient, [22.0, 404.0])
""",
        documented="pullback: vJp[j] is the sum over i of cotangents[i] (d f[i] / d wrt[j]).",
    ),
    Defect(
        "pytensor-4",
        "pytensor",
        "3.0.7",
        (
            "FWD-2",
            "FWD-12",
            "NUM-3",
        ),
        "silently-wrong",
        "pushforward of a sum takes the tangent of one operand only.",
        _HEAD
        + """
from pytensor.gradient import pushforward

x, y, v, w = (
    pytensor.shared(np.array(row)) for row in ([1.0, 2.0], [3.0, 4.0], [0.5, 1.0], [10.0, 100.0])
)
np.testing.assert_array_equal(pushforward(x * y, [x, y], [v, w]).eval(), [11.5, 204.0])
np.testing.assert_array_equal(pushforward(x + y, [x, y], [v, w]).eval(), [10.5, 101.0])
""",
        documented="pushforward: Jvp[i] is the sum over j of (d f[i] / d wrt[j]) tangents[j].",
    ),
    Defect(
        "pytensor-5",
        "pytensor",
        "3.0.7",
        ("NUM-8",),
        "silently-wrong",
        "The variance of a float32 variable with degrees of freedom is float64, where without"
        " it is float32.",
        _HEAD
        + """
import pytensor.tensor as pt

x = pytensor.shared(np.array([1.0, 2.0], dtype="float32"))
assert pt.var(x).dtype == "float32"
assert pt.var(x, ddof=1).dtype == "float32", pt.var(x, ddof=1).dtype
""",
        operations=(
            "var",
            "std",
        ),
    ),
    Defect(
        "pytensor-6",
        "pytensor",
        "3.0.7",
        ("NUM-10",),
        "silently-wrong",
        "The gradient of max is one for each of several largest elements: along the direction"
        " in which they all grow, max grows twice as fast by it as it does.",
        _HEAD
        + """
import pytensor.tensor as pt

x = pytensor.shared(np.array([1.0, 3.0, 3.0]))
gradient = pytensor.grad(pt.max(x), x).eval()
assert gradient.sum() == 1.0, f"the gradient is {gradient}"
""",
        operations=(
            "amax",
            "amin",
        ),
    ),
    Defect(
        "pytensor-7",
        "pytensor",
        "3.0.7",
        ("NUM-8",),
        "silently-wrong",
        "The gradient of logsumexp is not a number where exp overflows, in the default mode"
        " too, unless it is the gradient of logsumexp alone.",
        _HEAD
        + """
import pytensor.tensor as pt

x = pytensor.shared(np.array([200.0, 0.0], dtype="float32"))
two = pytensor.shared(np.array(2.0, dtype="float32"))
y = pt.logsumexp(x, axis=0)
np.testing.assert_array_equal(pytensor.function([], pytensor.grad(y, x))(), [1.0, 0.0])
gradient = pytensor.function([], pytensor.grad(y * two, x))()
np.testing.assert_array_equal(gradient, [2.0, 0.0])
""",
        documented="logsumexp: see scipy.special.logsumexp, which does not overflow.",
        operations=("logsumexp",),
    ),
    Defect(
        "pytensor-8",
        "pytensor",
        "3.0.7",
        ("NUM-4", "NUM-5", "NUM-7"),
        "refused-loudly",
        "The gradients of real and imag cannot be computed, for complex variables and real ones:"
        " grad raises that the operation's own rule returned an integer-valued variable.",
        _HEAD
        + """
import pytensor.tensor as pt

for values in ([1.0, -2.0], [1.0 + 1.0j, -2.0]):
    for part in (pt.real, pt.imag):
        x = pytensor.shared(np.array(values))
        assert pytensor.grad(part(x).sum(), x).eval().shape == (2,)
""",
        documented="real: return the real component of a complex-valued tensor.",
        operations=("real", "imag"),
    ),
    Defect(
        "pytensor-9",
        "pytensor",
        "3.0.7",
        ("NUM-1", "NUM-2"),
        "silently-wrong",
        "var and std over several axes take the degrees of freedom off the length of each axis"
        " instead of the number of elements: their values are wrong, and their gradients.",
        _HEAD
        + """
import pytensor.tensor as pt

values = np.array([[1.0, 2.0], [-1.0, -2.0]])
found = pt.var(pytensor.shared(values), ddof=1).eval()
assert np.isclose(found, np.var(values, ddof=1)), f"the variance is {found}"
""",
        operations=("var", "std"),
    ),
)
