"""Defects of PaddlePaddle in single operations."""

from __future__ import annotations

from conformance.defects.paddle import defect

DEFECTS = (
    defect(
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
        operations="view",
    ),
    defect(
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
        operations="narrow",
    ),
    defect(
        14,
        "DAT-13 DAT-14 VIEW-1 VIEW-2 VIEW-5",
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
        operations="narrow",
    ),
    defect(
        16,
        "VIEW-1 VIEW-2 VIEW-5",
        "silently-wrong",
        "narrow of a view reads the memory of the view's base from its start: other elements"
        " than those asked for.",
        """
base = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], tracked=False)
row = base[1]
np.testing.assert_array_equal(row[1:3].numpy(), [5.0, 6.0])
np.testing.assert_array_equal(paddle.narrow(row, 0, 1, 2).numpy(), [5.0, 6.0])
""",
        documented="paddle.narrow: the result is a narrowed view of its input.",
        operations="narrow",
    ),
    defect(
        24,
        "HIGH-9",
        "refused-loudly",
        "The gradient of pow cannot be differentiated with respect to its cotangent alone.",
        """
x, u = leaf([1.0, 2.0]), leaf([1.0, 1.0])
(g,) = paddle.grad([paddle.sin(x)], [x], [u], create_graph=True)
paddle.grad([g], [u])
(g,) = paddle.grad([paddle.pow(x, 3.0)], [x], [u], create_graph=True)
(gu,) = paddle.grad([g], [u])
np.testing.assert_allclose(gu.numpy(), [3.0, 12.0])
""",
    ),
    defect(
        25,
        "NUM-1",
        "silently-wrong",
        "selu in double precision computes with constants of single precision.",
        """
value = paddle.nn.functional.selu(leaf(1.0)).item()
assert abs(value - 1.0507009873554805) < 1e-15, value
""",
        documented="paddle.nn.functional.selu: scale is 1.0507009873554804934193349852946 by"
        " default.",
        operations="nn.functional.selu",
    ),
    defect(
        26,
        "NUM-2",
        "silently-wrong",
        "The gradient of prod is NaN at an element that is zero.",
        """
x = leaf([0.0, 2.0, 3.0])
paddle.prod(x).backward()
np.testing.assert_array_equal(x.grad.numpy(), [6.0, 0.0, 0.0])
""",
        operations="prod",
    ),
    defect(
        27,
        "NUM-2",
        "silently-wrong",
        "diag_embed passes no gradient on: its result stops gradients.",
        """
x = leaf([1.0, 2.0])
y = paddle.diag_embed(x)
assert not paddle.diag(x).stop_gradient
assert not y.stop_gradient
""",
        operations="diag_embed",
    ),
    defect(
        28,
        "NUM-1 NUM-9",
        "silently-wrong",
        "exp and sigmoid of complex128 tensors have the errors of single precision.",
        """
z = np.linspace(-2, 2, 101) + 1j * np.linspace(1, 3, 101)
tensor = paddle.to_tensor(z)
assert tensor.dtype == paddle.complex128
error = abs(paddle.exp(tensor).numpy() / np.exp(z) - 1).max()
assert error < 1e-14, f"relative error {error:.1e}"
""",
        operations="exp sigmoid",
    ),
    defect(
        29,
        "NUM-2",
        "silently-wrong",
        "The gradient of vector_norm is wrong for small vectors: a constant of 1e-12 is added"
        " to the norm that it divides by.",
        """
x = leaf([3e-12, 4e-12])
y = paddle.linalg.vector_norm(x)
np.testing.assert_allclose(y.numpy(), 5e-12)
y.backward()
np.testing.assert_allclose(x.grad.numpy(), [0.6, 0.8], rtol=1e-9)
""",
        operations="linalg.vector_norm",
    ),
    defect(
        31,
        "NUM-6",
        "crashed",
        "A second derivative through transpose takes the process down where the cotangent of the"
        " first was a constant.",
        """
import subprocess, sys
program = '''
import paddle
x = paddle.to_tensor([[1.0, 2.0]], stop_gradient=False)
u = paddle.to_tensor([[1.0], [1.0]], stop_gradient={})
(g,) = paddle.grad([paddle.transpose(x, [1, 0])], [x], [u], create_graph=True)
(g * x).sum().backward()
assert x.grad.tolist() == [[1.0, 1.0]]
'''
for constant in (False, True):
    ran = subprocess.run([sys.executable, "-c", program.format(constant)], capture_output=True)
    assert ran.returncode == 0, f"stop_gradient={constant}: exit code {ran.returncode}"
""",
        documented="paddle.grad: with create_graph, higher-order gradients can be computed.",
        operations="transpose permute movedim t",
    ),
    defect(
        32,
        "NUM-2 NUM-9",
        "silently-wrong",
        "The gradient of masked_fill with respect to its value is zero, or that of other elements"
        " than the filled ones.",
        """
x, value = leaf([1.0, 2.0, 3.0]), leaf(2.5)
y = paddle.masked_fill(x, paddle.to_tensor([True, True, False]), value)
np.testing.assert_array_equal(y.numpy(), [2.5, 2.5, 3.0])
y.backward(leaf([1.0, 10.0, 100.0], tracked=False))
np.testing.assert_array_equal(x.grad.numpy(), [0.0, 0.0, 100.0])
np.testing.assert_array_equal(value.grad.numpy(), 11.0)
""",
        documented="paddle.masked_fill: value is a scalar or 0-D tensor.",
        operations="masked_fill",
    ),
    defect(
        33,
        "NUM-2",
        "silently-wrong",
        "lerp has no gradient with respect to its weight: a weight that does not stop gradients"
        " gets None.",
        """
x, y, weight = leaf([1.0, 2.0]), leaf([3.0, 5.0]), leaf([0.25, 0.5])
paddle.lerp(x, y, weight).sum().backward()
np.testing.assert_array_equal(y.grad.numpy(), [0.25, 0.5])
assert weight.grad is not None, "no gradient with respect to the weight"
np.testing.assert_array_equal(weight.grad.numpy(), [2.0, 3.0])
""",
        documented="paddle.lerp: x + weight * (y - x), where weight is a float or a tensor.",
        operations="lerp",
    ),
)
