"""Defects of PaddlePaddle."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = """
import numpy as np, paddle
def leaf(values, tracked=True):
    return paddle.to_tensor(values, dtype="float64", stop_gradient=not tracked)
"""


def _defect(
    number: int,
    clauses: str,
    kind: str,
    sentence: str,
    script: str,
    documented: str = "",
    issue: str = "",
) -> Defect:
    return Defect(
        f"paddle-{number}", "paddle", "3.3.1", tuple(clauses.split()), kind,  # type: ignore[arg-type]
        sentence, _HEAD.lstrip() + script.lstrip(), documented, issue,
    )  # fmt: skip


DEFECTS = (
    _defect(
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
    _defect(
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
    _defect(
        3,
        "DAT-5",
        "silently-wrong",
        "copy_ does not raise inplace_version, so that backward uses overwritten values unnoticed.",
        """
x = leaf([1.0, 2.0])
y = (x * x).sum()
with paddle.no_grad():
    x.copy_(leaf([5.0, 6.0], tracked=False), True)
try:
    y.backward()
except RuntimeError:
    raise SystemExit(0)  # refused, as after every other in-place operation
np.testing.assert_array_equal(x.grad.numpy(), [2.0, 4.0])
""",
        documented="Other in-place operations raise inplace_version, and backward then refuses.",
    ),
    _defect(
        4,
        "DAT-1 DAT-12",
        "silently-wrong",
        "copy_ from a tracked tensor leaves the overwritten tensor's old history in the graph:"
        " gradients go to what was overwritten, and none to the source.",
        """
x, w = leaf([1.0, 2.0]), leaf([5.0, 6.0])
y = x * 2
y.copy_(w, True)
(y * y).sum().backward()
np.testing.assert_array_equal(y.numpy(), w.numpy())
assert w.grad is not None, f"w got no gradient, x got {x.grad.numpy()}"
""",
    ),
    _defect(
        5,
        "DAT-13",
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
    _defect(
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
    _defect(
        7,
        "DAT-16",
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
    _defect(
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
    _defect(
        9,
        "DET-7 DAT-13 DAT-14",
        "refused-loudly",
        "A tensor without axes cannot be viewed as one of shape [1].",
        """
x = leaf(1.0)
assert paddle.reshape(x, [1]).shape == [1]
assert paddle.view(x, [1]).shape == [1]
""",
        documented="paddle.view: x is an N-D tensor.",
    ),
    _defect(
        10,
        "RET-9",
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
    _defect(
        11,
        "DAT-11",
        "silently-wrong",
        "A tensor that stops gradients still does after a tracked tensor was copied into it: no"
        " gradient passes, where one does after add_.",
        """
x = leaf([1.0, 2.0])
added, copied = leaf([0.0, 0.0], tracked=False), leaf([0.0, 0.0], tracked=False)
added.add_(x)
copied.copy_(x, True)
assert not added.stop_gradient
assert not copied.stop_gradient
""",
    ),
    _defect(
        12,
        "COT-11",
        "not-refused",
        "Backward from a tensor that stops gradients does nothing, without an error.",
        """
x = leaf(1.0, tracked=False)
y = x * x
try:
    y.backward()
except (ValueError, RuntimeError):
    raise SystemExit(0)  # refused
raise AssertionError(f"no error; y.stop_gradient is {y.stop_gradient}, x.grad is {x.grad}")
""",
    ),
    _defect(
        13,
        "LEAF-5",
        "silently-wrong",
        "The gradient of narrow is wrong where its operand is transposed.",
        """
x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
part = paddle.narrow(paddle.transpose(x, [1, 0]), 0, 0, 2)
np.testing.assert_array_equal(part.numpy(), [[1.0, 4.0], [2.0, 5.0]])
part.sum().backward()
np.testing.assert_array_equal(x.grad.numpy(), [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
""",
    ),
    _defect(
        14,
        "DAT-13 DAT-14",
        "refused-loudly",
        "Backward is refused after an in-place operation on the result of narrow, as if the"
        " gradient of narrow depended on its operand's values.",
        """
x = leaf([1.0, 2.0, 3.0])
base = x * 1
part = paddle.narrow(base, 0, 0, 2)
part.multiply_(leaf(2.0, tracked=False))
part.sum().backward()
np.testing.assert_array_equal(x.grad.numpy(), [2.0, 2.0, 0.0])
""",
        documented="The same program with base[0:2] in place of narrow runs.",
    ),
    _defect(
        15,
        "COT-8 COT-9",
        "refused-loudly",
        "paddle.grad refuses to be asked twice for the same tensor.",
        """
x = leaf([1.0, 2.0])
first, second = paddle.grad([(x * x).sum()], [x, x])
np.testing.assert_array_equal(first.numpy(), second.numpy())
""",
        documented="paddle.grad: inputs is a list of tensors; that they must differ is not said.",
    ),
)
