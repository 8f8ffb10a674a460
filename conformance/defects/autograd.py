"""Defects of HIPS autograd."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = "import autograd, autograd.numpy as np\n"

DEFECTS = (
    Defect(
        "autograd-1",
        "autograd",
        "1.9.1",
        ("LEAF-2", "RET-8", "MOD-8", "TRN-6"),
        "refused-loudly",
        "The gradient of broadcast_to fails where the result has more axes than its operand.",
        _HEAD
        + """
gradient = autograd.grad(lambda x: np.sum(np.broadcast_to(x, (3, 2))))(np.array([1.0, 2.0]))
assert (gradient == 3.0).all()
""",
        issue="https://github.com/HIPS/autograd/issues/384",
        operations=(
            "expand",
            "broadcast_to",
        ),
    ),
    Defect(
        "autograd-2",
        "autograd",
        "1.9.1",
        ("COT-4", "ERR-2"),
        "silently-wrong",
        "make_vjp takes a vector of another shape than the result's, and returns a gradient of"
        " another shape than the input's.",
        _HEAD
        + """
x = np.ones((2, 3))
pull, result = autograd.make_vjp(lambda x: x * 2.0)(x)
try:
    gradient = pull(np.ones(3))
except (ValueError, AssertionError):
    raise SystemExit(0)  # refused
assert gradient.shape == x.shape, f"the gradient of {x.shape} has the shape {gradient.shape}"
""",
    ),
    Defect(
        "autograd-3",
        "autograd",
        "1.9.1",
        ("NUM-8",),
        "silently-wrong",
        "The gradient of tile adds up the wrong elements where there are fewer repetitions than"
        " axes.",
        _HEAD
        + """
x = np.array([[1.0, 2.0], [3.0, 4.0]])
gradient = autograd.grad(lambda x: np.sum(np.tile(x, 2) ** 2))(x)
same = autograd.grad(lambda x: np.sum(np.tile(x, (1, 2)) ** 2))(x)
assert (same == 4.0 * x).all()
assert (gradient == 4.0 * x).all(), gradient
""",
        operations=(
            "tile",
            "repeat",
        ),
    ),
    Defect(
        "autograd-4",
        "autograd",
        "1.9.1",
        ("NUM-7",),
        "silently-wrong",
        "The gradients of where are not summed over broadcast axes: an operand gets a gradient of"
        " another shape.",
        _HEAD
        + """
x, condition = np.array([1.0, 2.0, 3.0]), np.array([[True], [False]])
gradient = autograd.grad(lambda x: np.sum(np.where(condition, x, 0.0)))(x)
assert gradient.shape == x.shape, f"the gradient of {x.shape} has the shape {gradient.shape}"
""",
        operations=("where",),
    ),
    Defect(
        "autograd-5",
        "autograd",
        "1.9.1",
        ("NUM-2",),
        "silently-wrong",
        "The gradient of prod is nan where an element is zero.",
        _HEAD
        + """
gradient = autograd.grad(np.prod)(np.array([0.0, 2.0, 3.0]))
assert (gradient == np.array([6.0, 0.0, 0.0])).all(), gradient
""",
        operations=("prod",),
    ),
    Defect(
        "autograd-6",
        "autograd",
        "1.9.1",
        ("NUM-5", "NUM-7"),
        "refused-loudly",
        "The gradient of roll fails where several axes are rolled.",
        _HEAD
        + """
x = np.array([[1.0, 2.0], [3.0, 4.0]])
gradient = autograd.grad(lambda x: np.sum(np.roll(x, (1, 1), (0, 1)) * x))(x)
assert (gradient == 2.0 * x[::-1, ::-1]).all()
""",
        operations=("roll",),
    ),
    Defect(
        "autograd-7",
        "autograd",
        "1.9.1",
        ("FWD-8",),
        "silently-wrong",
        "make_jvp takes a tangent of another shape than its input's, and computes with it.",
        _HEAD
        + """
x = np.array([[1.0, 2.0], [3.0, 4.0]])
try:
    _, tangent = autograd.make_jvp(np.sum)(x)(np.array([1.0, 0.5]))
except (TypeError, ValueError):
    raise SystemExit(0)  # refused
raise AssertionError(f"no error; the tangent of the sum of four elements is {tangent}")
""",
    ),
    Defect(
        "autograd-8",
        "autograd",
        "1.9.1",
        ("NUM-4",),
        "silently-wrong",
        "The gradient of transpose is permuted wrongly where axes are negative, or cannot be"
        " computed: the inverse permutation is taken of the numbers as they stand.",
        _HEAD
        + """
w = np.arange(8.0).reshape(2, 2, 2)
for axes in ((2, 0, 1), (-1, 0, 1)):
    gradient = autograd.grad(lambda x: np.sum(np.transpose(x, axes) * w))(np.ones((2, 2, 2)))
    assert (gradient == np.transpose(w, (1, 2, 0))).all(), f"{axes}: {gradient}"
""",
        operations=("permute",),
    ),
    Defect(
        "autograd-9",
        "autograd",
        "1.9.1",
        ("NUM-3",),
        "refused-loudly",
        "The tangents of var and std over a tuple of axes raise NameError: their rule names numpy"
        " by an alias that it does not import.",
        _HEAD
        + """
x = np.array([[1.0, 2.0]])
value, tangent = autograd.make_jvp(lambda a: np.var(a, axis=(0, 1)))(x)(x)
assert tangent == 2 * value, f"{tangent} is not {2 * value}"
""",
        operations=("var", "std"),
    ),
)
