"""Defects of PaddlePaddle."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = """
import numpy as np, paddle
def leaf(values, tracked=True):
    return paddle.to_tensor(values, dtype="float64", stop_gradient=not tracked)
"""


def defect(
    number: int,
    clauses: str,
    kind: str,
    sentence: str,
    script: str,
    documented: str = "",
    issue: str = "",
    operations: str = "",
) -> Defect:
    """Return a row: Paddle's version and the head of its scripts are always the same."""
    return Defect(
        f"paddle-{number}", "paddle", "3.3.1", tuple(clauses.split()), kind,  # type: ignore[arg-type]
        sentence, _HEAD.lstrip() + script.lstrip(), documented, issue,
        tuple(operations.split()),
    )  # fmt: skip


DEFECTS = (
    defect(
        1,
        "COT-8 COT-9",
        "silently-wrong",
        "paddle.grad with respect to a tensor and to its reshape, asked for together, gives the"
        " gradient of the first for both.",
        """
x = leaf(0.5)
y = paddle.reshape(paddle.sin(x), [1])
z = y * y
dx, dy = paddle.grad([z], [x, y], retain_graph=True)
(alone,) = paddle.grad([z], [y])
np.testing.assert_allclose(alone.numpy(), 2 * y.numpy())  # right when asked for alone
np.testing.assert_allclose(dy.numpy(), 2 * y.numpy())
""",
    ),
    defect(
        2,
        "DAT-15 DAT-16",
        "silently-wrong",
        "An in-place operation on a leaf raises, and changes the leaf's values all the same.",
        """
x = leaf([1.0, 2.0])
try:
    x.add_(leaf([1.0, 1.0], tracked=False))
except ValueError:
    pass
np.testing.assert_array_equal(x.numpy(), [1.0, 2.0])
""",
        documented="The error says that a leaf that does not stop gradients cannot be written.",
    ),
    defect(
        5,
        "DAT-13 VIEW-1 VIEW-2 VIEW-5 VIEW-6",
        "silently-wrong",
        "An in-place operation on a slice changes the values of the sliced tensor, but not its"
        " gradients.",
        """
x = leaf([1.0, 2.0, 3.0])
base = x * 1
base[0:2].multiply_(leaf(10.0, tracked=False))
np.testing.assert_array_equal(base.numpy(), [10.0, 20.0, 3.0])
base.sum().backward()
np.testing.assert_array_equal(x.grad.numpy(), [10.0, 10.0, 1.0])
""",
        documented="paddle.view: the output shares data with the origin tensor.",
    ),
    defect(
        6,
        "DAT-14",
        "silently-wrong",
        "An in-place operation on a tensor changes the values of an earlier view of it, but not the"
        " gradients through that view.",
        """
x = leaf([[1.0, 2.0], [3.0, 4.0]])
base = x * 1
flat = paddle.view(base, [4])
base.multiply_(leaf(10.0, tracked=False))
np.testing.assert_array_equal(flat.numpy(), [10.0, 20.0, 30.0, 40.0])
flat.sum().backward()
np.testing.assert_array_equal(x.grad.numpy(), [[10.0, 10.0], [10.0, 10.0]])
""",
        documented="paddle.view: the output shares data with the origin tensor.",
    ),
    defect(
        7,
        "DAT-15 DAT-16",
        "not-refused",
        "A leaf that requires gradients can be written in place through a view of it.",
        """
x = leaf([1.0, 2.0, 3.0])
try:
    paddle.view(x, [3, 1]).add_(leaf(1.0, tracked=False))
except ValueError:
    raise SystemExit(0)  # refused, as a write to x itself is
raise AssertionError(f"no error; x is now {x.numpy()}")
""",
        documented="A direct in-place operation on the leaf is refused.",
    ),
    defect(
        8,
        "COT-14",
        "silently-wrong",
        "Backward from a real tensor takes a complex gradient and drops its imaginary part.",
        """
x = leaf([1.0, 2.0])
y = x * x
try:
    y.backward(paddle.to_tensor([1j, 1.0]))
except (ValueError, RuntimeError):
    raise SystemExit(0)  # refused
raise AssertionError(f"no error; x.grad is {x.grad.numpy()}")
""",
        documented="Tensor.backward: grad_tensor is the initial gradient of the tensor.",
    ),
    defect(
        10,
        "RET-9 RET-11",
        "not-refused",
        "paddle.grad does not free the graph: with retain_graph=False a second call works.",
        """
x = leaf([1.0, 2.0])
y = (x * x).sum()
paddle.grad([y], [x], retain_graph=False)
try:
    paddle.grad([y], [x], retain_graph=False)
except RuntimeError:
    raise SystemExit(0)  # refused, as a second backward is
raise AssertionError("no error: the graph was kept")
""",
        documented="paddle.grad: when retain_graph is False, the graph would be freed.",
    ),
    defect(
        17,
        "ERR-2",
        "crashed",
        "paddle.grad takes a cotangent of any shape: a shorter one is read beyond its end,"
        " and a longer one can take the process down.",
        """
x = leaf([1.0, 2.0, 3.0, 4.0])
y = x * x
try:
    (dx,) = paddle.grad([y], [x], [leaf([1.0, 1.0], tracked=False)])
except (AssertionError, ValueError, RuntimeError):
    raise SystemExit(0)  # refused, as by Tensor.backward
raise AssertionError(f"no error; the gradient is {dx.numpy()}")
""",
        documented="Tensor.backward: grad_tensor must have the length of the tensor, which it"
        " checks.",
    ),
    defect(
        18,
        "ERR-1 TYPE-9",
        "silently-wrong",
        "A gradient of another dtype or shape can be assigned; the next backward adds to it"
        " what its memory holds, or takes the process down.",
        """
x = leaf([1.0, 2.0])
try:
    x.grad = paddle.to_tensor([10.0, 20.0], dtype="float32")
except (AssertionError, ValueError, TypeError, RuntimeError):
    raise SystemExit(0)  # refused
(x * x).sum().backward()
np.testing.assert_array_equal(x.grad.numpy(), [12.0, 24.0])
""",
    ),
    defect(
        19,
        "TYPE-7 TYPE-8",
        "silently-wrong",
        "In-place arithmetic with an operand of a wider dtype changes the dtype of its"
        " target; through a view, the wider numbers' bytes overwrite those of the base.",
        """
base = paddle.to_tensor([1.0, 2.0], dtype="float32")
view = base[0:1]
try:
    view.add_(leaf([10.0], tracked=False))
except (ValueError, TypeError, RuntimeError):
    raise SystemExit(0)  # refused
np.testing.assert_array_equal(base.numpy(), [11.0, 2.0])
""",
        documented="Tensor.add_: the inplace version of add, the output is inplaced with the"
        " input.",
    ),
    defect(
        20,
        "HOOK-8 HOOK-10",
        "silently-wrong",
        "paddle.grad does not call the hooks of a leaf, though it calls those of the tensors"
        " computed from it.",
        """
x = leaf([1.0, 2.0])
x.register_hook(lambda gradient: gradient * 2)
y = (x * x).sum()
(dx,) = paddle.grad([y], [x], retain_graph=True)
y.backward()
np.testing.assert_array_equal(x.grad.numpy(), [4.0, 8.0])
np.testing.assert_array_equal(dx.numpy(), [4.0, 8.0])
""",
        documented="Tensor.register_hook: the hook is called every time the gradient of the"
        " tensor is computed.",
    ),
    defect(
        21,
        "KEEP-4",
        "silently-wrong",
        "The gradient that retain_grads keeps is not the one that a hook returned, where the"
        " hook was registered later.",
        """
kept = []
for order in ("hook first", "retain_grads first"):
    y = leaf([1.0, 2.0]) * 1
    if order == "retain_grads first":
        y.retain_grads()
    y.register_hook(lambda gradient: gradient * 2)
    y.retain_grads()
    y.sum().backward()
    kept.append(y.grad.numpy())
np.testing.assert_array_equal(kept[0], [2.0, 2.0])
np.testing.assert_array_equal(kept[1], [2.0, 2.0])
""",
        documented="Tensor.register_hook: what the hook returns is used in place of the tensor's"
        " gradient.",
    ),
    defect(
        22,
        "KEEP-3",
        "silently-wrong",
        "After an in-place operation the gradient that retain_grads keeps is that with"
        " respect to the overwritten values.",
        """
x = leaf([1.0, 2.0])
y = x * 2
y.retain_grads()
y.multiply_(leaf(3.0, tracked=False))
(y * y).sum().backward()
np.testing.assert_array_equal(y.grad.numpy(), 2 * y.numpy())
""",
    ),
    defect(
        23,
        "PATH-5",
        "silently-wrong",
        "paddle.grad with respect to an output and to what it was computed from finds no"
        " gradient for the latter: an error, or None where unused inputs are allowed.",
        """
x = leaf([1.0, 2.0])
y = x.sum()
(alone,) = paddle.grad([y], [x], retain_graph=True)
dy, dx = paddle.grad([y], [y, x], allow_unused=True)
np.testing.assert_array_equal(alone.numpy(), [1.0, 1.0])
assert dx is not None, "no gradient with respect to x"
""",
        documented="paddle.grad: None is returned for inputs that cannot be reached in the graph.",
    ),
    defect(
        30,
        "DAT-1 DAT-11 DAT-12",
        "silently-wrong",
        "assign from a tensor that stops gradients writes the values of its output, and"
        " leaves the output's history: backward gives the gradients of what was overwritten.",
        """
x = leaf([1.0, 2.0])
y = x * x
paddle.assign(leaf([5.0, 6.0], tracked=False), y)
np.testing.assert_array_equal(y.numpy(), [5.0, 6.0])
y.sum().backward()
assert x.grad is None or not x.grad.numpy().any(), f"x.grad is {x.grad.numpy()}"
""",
        documented="paddle.assign: copies the value of x to the output.",
    ),
)
