"""Defects of MindSpore."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = """import mindspore as ms, numpy as np
from mindspore import ops
ms.set_context(mode=ms.PYNATIVE_MODE, device_target="CPU")
ms.runtime.launch_blocking()
def tensor(values):
    return ms.Tensor(np.array(values, dtype="float64"))
"""

DEFECTS = (
    Defect(
        "mindspore-1",
        "mindspore",
        "2.10.0",
        (
            "HIGH-3",
            "HIGH-6",
            "HIGH-9",
            "HIGH-11",
            "HIGH-1",
            "HIGH-4",
            "HIGH-5",
            "HIGH-7",
        ),
        "silently-wrong",
        "Second derivatives are wrong where what was summed or reshaped is used in a product: the"
        " gradient of a gradient takes it for a constant.",
        _HEAD
        + """
def f(x):
    s = ops.sum(x)
    return s * s

x = tensor([1.0, 2.0])
first = ms.grad(f)
np.testing.assert_array_equal(first(x).asnumpy(), [6.0, 6.0])
second = ms.grad(first)(x)  # of the sum of the gradient
np.testing.assert_array_equal(second.asnumpy(), [4.0, 4.0])
""",
        documented="Advanced Automatic Differentiation, on second-order derivation: grad of grad.",
    ),
    Defect(
        "mindspore-2",
        "mindspore",
        "2.10.0",
        ("LEAF-1", "LEAF-2", "TRN-2", "NUM-1", "NUM-2"),
        "silently-wrong",
        "Of float64 tensors, softplus, mish, l1_loss and the gradients of hypot, fmax and rad2deg"
        " have the accuracy of float32.",
        _HEAD
        + """
soft = np.log1p(np.e)
x, two, seed = tensor([1.0]), tensor([2.0]), tensor([0.1])
results = (
    (ops.softplus(x), soft),
    (ops.mish(x), np.tanh(soft)),
    (ops.l1_loss(x, tensor([0.9])), 1.0 - 0.9),
    (ms.vjp(ops.hypot, x, two)[1](seed)[0], 0.1 / np.sqrt(5.0)),
    (ms.vjp(ops.fmax, x, two)[1](seed)[1], 0.1),
    (ms.vjp(ops.rad2deg, x)[1](seed)[0], 18.0 / np.pi),
)
for result, expected in results:
    assert result.dtype == ms.float64
    np.testing.assert_allclose(result.asnumpy(), expected, rtol=1e-12)
""",
        documented="mindspore.ops.softplus, mish: on CPU the dtypes are float16, float32, float64.",
        operations=(
            "nn.functional.softplus",
            "nn.functional.mish",
            "nn.functional.l1_loss",
            "hypot",
            "fmax",
            "rad2deg",
        ),
    ),
    Defect(
        "mindspore-3",
        "mindspore",
        "2.10.0",
        ("TRN-1",),
        "silently-wrong",
        "A Python number combined with a float64 tensor is rounded to float32 first: 1 / 0.01 is"
        " 100.0000022 in float64.",
        _HEAD
        + """
x = tensor([1.0])
for result, expected in ((x / 0.01, 100.0), (x * 0.01, 0.01), (x + 0.01, 1.01)):
    assert result.dtype == ms.float64
    np.testing.assert_allclose(result.asnumpy(), [expected], rtol=1e-12)
""",
        documented="Implicit Type Conversion: the scalar is converted to the tensor's data type.",
    ),
    Defect(
        "mindspore-4",
        "mindspore",
        "2.10.0",
        ("LEAF-3",),
        "silently-wrong",
        "The sum over an axis without elements is what happens to be in memory; so is the gradient"
        " of what was broadcast against an empty tensor.",
        _HEAD
        + """
for _ in range(200):
    used = [tensor([7.0, 7.0, 7.0]) + 1.0 for _ in range(20)]
    del used
    total = ops.sum(tensor(np.zeros((0, 3))), 0)
    np.testing.assert_array_equal(total.asnumpy(), [0.0, 0.0, 0.0])
""",
    ),
    Defect(
        "mindspore-5",
        "mindspore",
        "2.10.0",
        ("COT-4", "ERR-2"),
        "silently-wrong",
        "The function that vjp returns takes two elements for a scalar, and adds them up.",
        _HEAD
        + """
value, pull = ms.vjp(lambda x: ops.sum(x * x), tensor([1.0, 2.0]))
assert value.shape == ()
try:
    (gradient,) = pull(tensor([1.0, 10.0]))
except (ValueError, TypeError):
    raise SystemExit(0)  # refused, as a wrong shape is for a matrix
raise AssertionError(f"no error; the gradient is {gradient.asnumpy()}")
""",
        documented="mindspore.vjp: vectors whose shape and type should be the same as net_output.",
    ),
    Defect(
        "mindspore-6",
        "mindspore",
        "2.10.0",
        ("NUM-1",),
        "silently-wrong",
        "expm1 near zero has the error of exp(x) - 1: 8e-8 at 1e-10, in float64.",
        _HEAD
        + """
y = ops.expm1(tensor([1e-10]))
np.testing.assert_allclose(y.asnumpy(), [np.expm1(1e-10)], rtol=1e-12)
""",
        documented="mindspore.ops.expm1: e to the power of x, less 1; nothing of its accuracy.",
        operations=("expm1",),
    ),
    Defect(
        "mindspore-7",
        "mindspore",
        "2.10.0",
        ("NUM-8",),
        "silently-wrong",
        "The gradient of selu is wrong for negative operands: -0.55 instead of 0.24 at -2.",
        _HEAD
        + """
def slope(x, step=1e-4):
    return (ops.selu(tensor(x + step)).asnumpy() - ops.selu(tensor(x - step)).asnumpy()) / step / 2

gradient = ms.grad(ops.selu)(tensor(-2.0)).asnumpy()
np.testing.assert_allclose(gradient, slope(-2.0), rtol=1e-2)
""",
        documented="mindspore.ops.selu: scale * alpha * (exp(x) - 1) for negative x.",
        operations=("nn.functional.selu",),
    ),
    Defect(
        "mindspore-8",
        "mindspore",
        "2.10.0",
        ("NUM-8",),
        "silently-wrong",
        "A tensor that is not a number divided by zero is minus infinity, and so is the gradient of"
        " a division by zero.",
        _HEAD
        + """
with np.errstate(all="ignore"):
    expected = np.array([np.nan]) / np.array([0.0])
np.testing.assert_array_equal((tensor([np.nan]) / tensor([0.0])).asnumpy(), expected)
""",
    ),
    Defect(
        "mindspore-9",
        "mindspore",
        "2.10.0",
        ("NUM-1",),
        "silently-wrong",
        "leaky_relu of a float64 tensor rounds its slope to float32.",
        _HEAD
        + """
value = ops.leaky_relu(tensor([-0.5]), 0.01).asnumpy()[0]
assert abs(value + 0.005) < 1e-15, value
""",
        operations=("nn.functional.leaky_relu",),
    ),
    Defect(
        "mindspore-10",
        "mindspore",
        "2.10.0",
        ("HIGH-3",),
        "refused-loudly",
        "The second derivative of softmax fails by an internal error that asks to be reported.",
        _HEAD
        + """
x, seed = (ms.Tensor(np.array(row, dtype="float32")) for row in ([1, 2, 3], [1, 0.5, 0.25]))

def f(x):
    return ops.sum(ops.softmax(x, 0) * ops.softmax(x, 0))

first = ms.grad(f)
first(x)
ms.grad(lambda x: ops.sum(first(x) * seed))(x)
""",
        operations=("softmax",),
    ),
    Defect(
        "mindspore-11",
        "mindspore",
        "2.10.0",
        ("NUM-1", "NUM-2"),
        "silently-wrong",
        "var and std of float64 tensors have the accuracy of float32 where the divisor is one less"
        " than the number of elements: the variance of 1 and 2 is 0.49999998.",
        _HEAD
        + """
x = tensor([1.0, 2.0])
np.testing.assert_allclose(ops.var(x).asnumpy(), 0.25, rtol=1e-12)  # by default right
for result, expected in ((ops.var(x, ddof=1), 0.5), (ops.std(x, ddof=1), np.sqrt(0.5))):
    assert result.dtype == ms.float64
    np.testing.assert_allclose(result.asnumpy(), expected, rtol=1e-12)
""",
        documented="mindspore.ops.var: ddof is an integer or a boolean, the divisor is N - ddof.",
        operations=("var", "std"),
    ),
    Defect(
        "mindspore-12",
        "mindspore",
        "2.10.0",
        ("HIGH-8", "MOD-8", "COT-2"),
        "silently-wrong",
        "Where the first softmax to be differentiated has a single element along its axis, every"
        " later gradient of a softmax of that rank and axis is wrong, for the rest of the process:"
        " that of its sum is y * (1 - y) and not 0.",
        _HEAD
        + """
def gradient(*values):
    x = ms.Tensor(np.array(values, dtype="float32"))
    return ms.grad(lambda x: ops.sum(ops.softmax(x, -1)))(x).asnumpy()

gradient(1.0)  # right, and so is what follows where this line is left out
for values in ((1.0, 2.0), (1.0, 2.0, 3.0)):
    np.testing.assert_allclose(gradient(*values), 0.0, atol=1e-6)  # the sum is 1 for every x
""",
        documented="mindspore.ops.softmax: of shape (N, *), along any axis, float16 or float32.",
        operations=("softmax",),
    ),
)
