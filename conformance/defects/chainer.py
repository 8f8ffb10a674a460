"""Defects of Chainer."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = """import numpy as np, chainer
import chainer.functions as F
from chainer import Variable
"""

DEFECTS = (
    Defect(
        "chainer-1",
        "chainer",
        "7.8.1",
        ("HIGH-3", "HIGH-6", "HIGH-9", "HIGH-11"),
        "refused-loudly",
        "The second derivative of maximum and minimum fails by an AttributeError where the gradient"
        " of one operand only is differentiated.",
        _HEAD
        + """
x, w = Variable(np.array(3.0)), Variable(np.array(2.0))
y = F.maximum(x, w)
(first,) = chainer.grad([y * y], [x], enable_double_backprop=True)
assert first.array == 6.0
(second,) = chainer.grad([first], [x])
assert second.array == 2.0
""",
        documented="maximum is a function with differentiable backprop (a FunctionNode).",
        operations=(
            "maximum",
            "minimum",
            "fmax",
            "fmin",
        ),
    ),
    Defect(
        "chainer-2",
        "chainer",
        "7.8.1",
        ("ERR-2",),
        "silently-wrong",
        "chainer.grad takes grad_outputs of another shape than the output's, and returns a gradient"
        " of another shape than the input's.",
        _HEAD
        + """
x = Variable(np.ones((2, 2)))
try:
    (gradient,) = chainer.grad([x + 1.0], [x], [Variable(np.ones(3))])
except ValueError:
    raise SystemExit(0)  # refused, as the assignment of such a gradient to a variable is
assert gradient.shape == x.shape, f"the gradient of {x.shape} has the shape {gradient.shape}"
""",
        documented="chainer.grad: grad_outputs gives the initial value of each output gradient.",
    ),
    Defect(
        "chainer-4",
        "chainer",
        "7.8.1",
        ("NUM-10",),
        "silently-wrong",
        "The gradient of max is one for each of several largest elements: along the direction in"
        " which they all grow, max grows twice as fast by it as it does.",
        _HEAD
        + """
x = Variable(np.array([1.0, 3.0, 3.0]))
F.max(x).backward()
assert x.grad.sum() == 1.0, x.grad  # max(x + t) = max(x) + t
""",
        operations=(
            "amax",
            "amin",
        ),
    ),
    Defect(
        "chainer-5",
        "chainer",
        "7.8.1",
        ("NUM-8",),
        "refused-loudly",
        "The gradients of fmod are not summed over broadcast axes: backward fails, and asks"
        " to be reported.",
        _HEAD
        + """
x = chainer.Variable(np.array([1.0, 5.0, 7.0]))
divisor = chainer.Variable(np.array([[2.0], [3.0]]))
y = F.fmod(x, divisor)
y.grad = np.ones_like(y.array)
y.backward()
np.testing.assert_array_equal(x.grad, [2.0, 2.0, 2.0])
""",
        operations=("fmod",),
    ),
    Defect(
        "chainer-6",
        "chainer",
        "7.8.1",
        ("NUM-2", "NUM-5", "NUM-7"),
        "silently-wrong",
        "The gradients of arctan2 are not summed over broadcast axes: chainer.grad returns them in"
        " the shape of the result, and backward fails.",
        _HEAD
        + """
x, other = Variable(np.array([1.0, 2.0, -1.0])), Variable(np.array([[2.0], [-1.0]]))
y = F.arctan2(x, other)
gx, _ = chainer.grad([y], [x, other], [Variable(np.ones((2, 3)))])
assert gx.shape == x.shape, f"the gradient of {x.shape} has the shape {gx.shape}"
""",
        documented="Variable.grad: assigning a gradient checks that it has the shape of the array.",
        operations=("atan2",),
    ),
    Defect(
        "chainer-7",
        "chainer",
        "7.8.1",
        ("NUM-2", "NUM-5", "NUM-7"),
        "refused-loudly",
        "Backward through arctan2 of operands that were broadcast fails, and asks to be reported.",
        _HEAD
        + """
x, other = Variable(np.array([1.0])), Variable(np.array(2.0))
y = F.arctan2(x, other)
y.backward()
np.testing.assert_allclose(x.grad, [0.4])
""",
        operations=("atan2",),
    ),
)
