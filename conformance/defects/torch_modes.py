"""Defects of PyTorch that show in forward mode, in single precision or to second order only."""

from __future__ import annotations

from conformance.defects.defect import Defect

_VERSIONS = "2.13.0"

DEFECTS = (
    Defect(
        "torch-57", "torch", _VERSIONS, ("FWD-1",), "silently-wrong",
        "Forward mode of a write of a tensor into itself, d.mul_(d), overwrites the tangent that"
        " it is still to read: that of d² at 3 comes out as 12 instead of 6.",
        """
import torch
from torch.autograd import forward_ad
x, along = torch.tensor([3.0]), torch.tensor([1.0])
with forward_ad.dual_level():
    dual = forward_ad.make_dual(x, along)
    dual.mul_(dual)
    tangent = forward_ad.unpack_dual(dual).tangent
assert tangent.item() == 6, f"{tangent.item()} is not 6"
""",
    ),
    Defect(
        "torch-64", "torch", _VERSIONS, ("FWD-1",), "silently-wrong",
        "Forward mode of triangular_solve takes the tangent of the whole matrix, also of the half"
        " that the function never reads.",
        """
import torch
from torch.autograd import forward_ad
a, b = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0], [1.0]])
unread = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
moved = [torch.triangular_solve(b, a + step * unread).solution for step in (0, 1)]
with forward_ad.dual_level():
    dual = torch.triangular_solve(b, forward_ad.make_dual(a, unread)).solution
    tangent = forward_ad.unpack_dual(dual).tangent
assert torch.equal(*moved) and not tangent.any(), f"{tangent.tolist()} for a constant"
""",
    ),
    Defect(
        "torch-58", "torch", _VERSIONS, ("HIGH-1",), "silently-wrong",
        "The gradient of native_layer_norm's second and third outputs, the mean and 1/std, is a"
        " constant when a graph is created: the second derivative lacks their part.",
        """
import torch
x = torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64, requires_grad=True)
def second(y, rstd):
    g, = torch.autograd.grad(y[0, 0] + rstd.sum(), x, create_graph=True)
    return torch.autograd.grad(g[0, 0], x)[0]
y, _, rstd = torch.native_layer_norm(x, (3,), None, None, 1e-5)
scale = (x.var(-1, keepdim=True, correction=0) + 1e-5) ** -0.5
exact = second((x - x.mean(-1, keepdim=True)) * scale, scale)
assert torch.allclose(rstd, scale)
found = second(y, rstd)
assert torch.allclose(found, exact), f"{found.tolist()} is not {exact.tolist()}"
""",
    ),
    Defect(
        "torch-59", "torch", _VERSIONS, ("HIGH-1",), "refused-loudly",
        "backward through the gradient of linalg.cond in the Frobenius norm raises: a tensor that"
        " it needs has been written in place, by cond itself.",
        """
import torch
x = torch.tensor([[2.0, 1.0], [0.5, 3.0]], dtype=torch.float64, requires_grad=True)
g, = torch.autograd.grad(torch.linalg.cond(x, "fro"), x, create_graph=True)
g.sum().backward()
""",
    ),
    Defect(
        "torch-60", "torch", _VERSIONS, ("LEAF-1",), "silently-wrong",
        "The gradient of sinc in float32 loses all digits near 0, the difference of two numbers"
        " that are nearly equal: at 1e-4 it is 2.8 times too large, at 1e-5 it is 0.",
        """
import torch
x = torch.tensor(1e-4, requires_grad=True)
torch.sinc(x).backward()
exact = -torch.pi**2 * 1e-4 / 3  # to 1e-8 of it
assert abs(x.grad.item() / exact - 1) < 1e-3, f"{x.grad.item()} is not {exact}"
""",
    ),
    Defect(
        "torch-65", "torch", _VERSIONS, ("HIGH-1",), "silently-wrong",
        "The second derivative of sinc at 0 is nan instead of -π²/3: the gradient's formula divides"
        " by the input, and only its value is replaced there. Forward mode over either gives 0.",
        """
import torch
x = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
g, = torch.autograd.grad(torch.sinc(x), x, create_graph=True)
second, = torch.autograd.grad(g, x)
exact = -torch.pi**2 / 3
assert abs(second.item() - exact) < 1e-12, f"{second.item()} is not {exact}"
""",
    ),
    Defect(
        "torch-66", "torch", _VERSIONS, ("NUM-9",), "silently-wrong",
        "The gradient of linalg.pinv of a complex matrix is wrong in a function that torch.compile"
        " has compiled with aot_eager: conjugate views inside its backward are lost.",
        """
import torch
x = torch.tensor([[0.5 + 0.25j, -1.0 + 0.5j]], dtype=torch.complex128, requires_grad=True)
cotangent = torch.tensor([[1.0 + 0.5j], [0.25 - 1.0j]], dtype=torch.complex128)
compiled = torch.compile(torch.linalg.pinv, backend="aot_eager")
exact, got = (
    torch.autograd.grad(function(x), x, cotangent)[0] for function in (torch.linalg.pinv, compiled)
)
assert torch.allclose(got, exact), f"{got.tolist()} compiled, {exact.tolist()} otherwise"
""",
        issue="https://github.com/pytorch/pytorch/issues/197084",
        operations=("pinverse", "linalg.pinv"),
    ),
    Defect(
        "torch-67", "torch", _VERSIONS, ("FWD-9",), "silently-wrong",
        "The tangents of det, slogdet and logdet cannot be differentiated again: backward through"
        " one, and forward mode over forward mode, take the inverse for a constant. That of"
        " logdet has derivatives of zero.",
        """
import torch
from torch.func import grad, jvp
x = torch.tensor([[2.0, 1.0], [0.0, 4.0]], dtype=torch.float64)
eye = torch.eye(2, dtype=torch.float64)
got = grad(lambda a: jvp(torch.logdet, (a,), (eye,))[1])(x)  # of tr(a^-1)
inverse = torch.linalg.inv(x)
exact = -(inverse @ inverse).mT
assert torch.allclose(got, exact), f"{got.tolist()} is not {exact.tolist()}"
""",
        issue="https://github.com/pytorch/pytorch/issues/192540",
        operations=("det", "linalg.det", "slogdet", "linalg.slogdet", "logdet"),
    ),
    Defect(
        "torch-68", "torch", _VERSIONS, ("VIEW-6",), "refused-loudly",
        "A view of a constant base into which a tracked tensor was then written is taken for a leaf"
        " when it is itself written, and refused, unless its grad_fn was looked at before.",
        """
import torch
x = torch.tensor(1.0, requires_grad=True)
def written(looks):
    base = torch.tensor(2.0)
    view = base.unsqueeze(0)
    base.add_(x)
    assert not looks or view.grad_fn is not None
    return view.add_(2.0).item()
assert written(looks=True) == 5.0
try:
    written(looks=False)
except RuntimeError as error:
    raise AssertionError(error) from None
""",
    ),
    Defect(
        "torch-69", "torch", _VERSIONS, ("FWD-9",), "silently-wrong",
        "Inside func.grad, or any other transform that takes gradients, the function that"
        " linearize returns gives numbers that it has read from memory that nobody wrote, the same"
        " for every direction, and its gradient by the direction is zero.",
        """
import torch
from torch.func import grad_and_value, linearize
x, along = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.5])
def slope(direction):
    return linearize(torch.square, x)[1](direction).sum()
assert slope(along).item() == 4
g, value = grad_and_value(slope)(along)
found = f"{value.item()} is not 4, or its gradient {g.tolist()} not {(2 * x).tolist()}"
assert value.item() == 4 and torch.equal(g, 2 * x), found
""",
        operations=("func.linearize",),  # which no program applies
    ),
    Defect(
        "torch-70", "torch", _VERSIONS, ("DAT-10",), "silently-wrong",
        "logical_and_, logical_or_, logical_xor_ and logical_not_ leave their target the history of"
        " the values that they overwrite: the gradient of these comes out, where it is zero.",
        """
import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
y = x * 3
y.logical_and_(torch.tensor([True, True]))
y.sum().backward()
assert y.tolist() == [1, 1] and not x.grad.any(), f"{x.grad.tolist()} for a constant"
""",
        operations=("logical_and", "logical_or", "logical_xor", "logical_not"),
    ),
    Defect(
        "torch-61", "torch", _VERSIONS, ("FUN-14",), "not-refused",
        "A second backward through a once_differentiable function is refused, except with inputs="
        " and in autograd.grad with allow_unused=True: there its part counts as zero.",
        """
import torch
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g
x, cotangent = (torch.tensor(3.0, requires_grad=True) for _ in range(2))
g, = torch.autograd.grad(Square.apply(x), x, cotangent, create_graph=True)
try:
    (g * x).backward(inputs=[x])
except RuntimeError:
    pass
else:
    raise AssertionError(f"not refused: gradient {x.grad.item()}")
""",
    ),
)  # fmt: skip
