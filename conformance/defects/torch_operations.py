"""Defects of PyTorch: derivatives that are not those of the function that is computed."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = """import torch
number = lambda value: torch.tensor(value, dtype=torch.float64, requires_grad=True)
"""
_VERSIONS = "2.13.0"


def _wrong(number: int, clause: str, sentence: str, script: str, issue: str = "") -> Defect:
    return Defect(
        f"torch-{number}", "torch", _VERSIONS, (clause,), "silently-wrong", sentence,
        _HEAD + script, issue=issue,
    )  # fmt: skip


DEFECTS = (
    _wrong(
        1,
        "LEAF-1",
        "The gradient of hardsigmoid in float64 is 1/6 rounded to float32, off by 5e-9.",
        """
x = number(0.5)
torch.nn.functional.hardsigmoid(x).backward()
assert abs(x.grad - 1 / 6) < 1e-15, f"{x.grad.item()} is not 1/6"
""",
    ),
    _wrong(
        2,
        "LEAF-1",
        "The trigamma function, polygamma(1, x) and the derivative of digamma, has 9 digits in"
        " float64, and with it the second derivative of lgamma and mvlgamma.",
        """
x = number(1.5)
torch.digamma(x).backward()
exact = torch.pi**2 / 2 - 4  # Abramowitz and Stegun 6.4.4
assert abs(x.grad / exact - 1) < 1e-13, f"{x.grad.item()} is not {exact}"
""",
    ),
    _wrong(
        3,
        "HIGH-1",
        "The second derivative of binary_cross_entropy adds 1e-12 to x(1 - x), where the first"
        " clamps at it: at x = 1e-9 it is off by 0.2 %.",
        """
x = number(1e-9)
loss = torch.nn.functional.binary_cross_entropy(x, torch.ones_like(x))  # -log x
first, = torch.autograd.grad(loss, x, create_graph=True)
second, = torch.autograd.grad(first, x)
assert abs(first * x + 1) < 1e-12  # -1/x, as it should be
assert abs(second * x * x - 1) < 1e-9, f"{second.item()} is not 1/x² = {1 / x.item()**2}"
""",
    ),
    _wrong(
        4,
        "LEAF-1",
        "The gradients of logsumexp and logcumsumexp lose a digit for each digit of the input: they"
        " take exp(x - y), y having been rounded, and are 3 % wrong at 1e15, where softmax is"
        " right.",
        """
x = number([1e15, 1e15 + 1, 1e15 + 2])
torch.logsumexp(x, 0).backward()
exact = torch.softmax(x.detach(), 0)
assert torch.allclose(x.grad, exact, rtol=1e-6), f"{x.grad.tolist()} is not {exact.tolist()}"
""",
    ),
    _wrong(
        5,
        "LEAF-1",
        "special.ndtr takes (1 + erf(x/√2))/2, which cancels for negative x: it is 0 from x = -8.4"
        " on, and a gradient through its logarithm is infinite.",
        """
x = number(-9.0)
torch.log(torch.special.ndtr(x)).backward()
exact = number(-9.0)
torch.special.log_ndtr(exact).backward()  # 9.1
assert abs(x.grad / exact.grad - 1) < 1e-9, f"{x.grad.item()} is not {exact.grad.item()}"
""",
    ),
    _wrong(
        6,
        "HIGH-1",
        "The mixed second derivative of x**n is 0 at n = 0 when taken by x first, and 1/x when"
        " taken by n first.",
        """
x, n = number(4.0), number(0.0)
by_n, = torch.autograd.grad(x**n, n, create_graph=True)  # log x
by_n_x, = torch.autograd.grad(by_n, x)
by_x, = torch.autograd.grad(x**n, x, create_graph=True)  # n x**(n - 1)
by_x_n, = torch.autograd.grad(by_x, n)
assert by_n_x == 0.25
assert by_x_n == by_n_x, f"{by_x_n.item()} by x first, {by_n_x.item()} by n first"
""",
    ),
    _wrong(
        8,
        "HIGH-1",
        "The gradient of a p-norm at 0 is given as 0, and its derivative by its cotangent as nan,"
        " where p is not 0, 1, 2 or inf; also of no elements at all.",
        """
x, cotangent = number([]), number(1.0)
norm = torch.linalg.vector_norm(x, 3.5)
gradient, = torch.autograd.grad(norm, x, cotangent, create_graph=True)
along, = torch.autograd.grad(gradient, cotangent, torch.zeros(0, dtype=torch.float64))
assert along == 0, f"{along.item()} is not 0"
""",
    ),
    _wrong(
        9,
        "HIGH-1",
        "The derivative of the gradient of masked.logsumexp by its cotangent is nan where a row is"
        " masked entirely; the gradient there is 0 for every cotangent.",
        """
x, cotangent = number([1.0, 2.0]), number(1.0)
hidden = torch.zeros(2, dtype=torch.bool)
y = torch.masked.logsumexp(x, 0, mask=hidden)
gradient, = torch.autograd.grad(y, x, cotangent, create_graph=True)
assert gradient.tolist() == [0, 0]
along, = torch.autograd.grad(gradient, cotangent, torch.ones(2, dtype=torch.float64))
assert along == 0, f"{along.item()} is not 0"
""",
    ),
    _wrong(
        10,
        "LEAF-1",
        "The gradient of as_strided_scatter goes to the elements of the input that the source"
        " overwrote, and not to those that it left.",
        """
x, source = number([1.0, 2.0]), number([5.0])
torch.as_strided_scatter(x, source, (1,), (1,), 0).sum().backward()
assert x.grad.tolist() == [0, 1], f"{x.grad.tolist()} is not [0, 1]"
""",
    ),
    _wrong(
        11,
        "HIGH-1",
        "The second derivative of the determinant of a zero matrix is nan; that of 2 × 2 matrices"
        " is 1 or -1 everywhere.",
        """
x = number([[0.0, 0.0], [0.0, 0.0]])
cofactors, = torch.autograd.grad(torch.linalg.det(x), x, create_graph=True)
second, = torch.autograd.grad(cofactors[0, 0], x)  # the cofactor of x[0, 0] is x[1, 1]
assert second.tolist() == [[0, 0], [0, 1]], f"{second.tolist()} is not [[0, 0], [0, 1]]"
""",
    ),
    _wrong(
        31,
        "FWD-1",
        "Forward mode of cholesky_inverse is wrong, also for tangents of lower triangles; reverse"
        " mode is right.",
        """
import torch.autograd.forward_ad as forward
lower = torch.tensor([[2.0, 0.0], [0.5, 3.0]], dtype=torch.float64)
along = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
with forward.dual_level():
    dual = torch.cholesky_inverse(forward.make_dual(lower, along))
    tangent = forward.unpack_dual(dual).tangent
by_reverse = torch.autograd.functional.jvp(torch.cholesky_inverse, lower, along)[1]
assert torch.allclose(tangent, by_reverse), f"{tangent.tolist()} is not {by_reverse.tolist()}"
""",
    ),
    _wrong(
        32,
        "FWD-1",
        "Forward mode of scatter_reduce with `prod` gives no tangent, which counts as zero.",
        """
import torch.autograd.forward_ad as forward
x, index = torch.tensor([2.0, 3.0], dtype=torch.float64), torch.tensor([0, 1])
source, ones = torch.tensor([5.0, 7.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
with forward.dual_level():
    dual = torch.scatter_reduce(x, 0, index, forward.make_dual(source, ones), "prod")
    tangent = forward.unpack_dual(dual).tangent
assert tangent is not None and tangent.tolist() == [2, 3], f"{tangent} is not [2, 3]"
""",
    ),
    _wrong(
        33,
        "LEAF-1",
        "native_group_norm drops the cotangent of its third output, 1/std, where its second, the"
        " mean, is not used.",
        """
x = number([[[1.0, 2.0], [4.0, 8.0]]])
_, mean, rstd = torch.native_group_norm(x, None, None, 1, 2, 2, 1, 1e-5)
both, = torch.autograd.grad([rstd, mean], x, [torch.ones_like(rstd), torch.zeros_like(mean)],
                            retain_graph=True)
alone, = torch.autograd.grad(rstd, x, torch.ones_like(rstd), allow_unused=True)
assert alone is not None and torch.allclose(alone, both), f"{alone} is not {both.tolist()}"
""",
    ),
    _wrong(
        34,
        "LEAF-1",
        "The gradient of cosine_similarity is wrong where the product of the norms, or one of them,"
        " is below eps: the norm is clamped and differentiated nevertheless.",
        """
x = number([[3e-10, 4e-10]])  # its norm counts as 1e-8, so that the cosine is linear in it
y = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
value = torch.nn.functional.cosine_similarity(x, y)
value.sum().backward()
exact = y / (1e-8 * 5**0.5)
assert abs(value.item() - (x * exact).sum().item()) < 1e-12
assert torch.allclose(x.grad, exact), f"{x.grad.tolist()} is not {exact.tolist()}"
""",
    ),
    Defect(
        "torch-38",
        "torch",
        _VERSIONS,
        ("LEAF-1",),
        "refused-loudly",
        "backward of nll_loss of images raises where the input's memory is not contiguous.",
        _HEAD
        + """
x = torch.randn(2, 2, 3, 2, dtype=torch.float64).permute(3, 2, 1, 0).requires_grad_()
torch.nn.functional.nll_loss(x, torch.zeros(2, 2, 2, dtype=torch.long)).backward()
""",
    ),
    _wrong(
        40,
        "LEAF-1",
        "The gradient of ctc_loss is that of a log_softmax before it: exp(log_probs) too much.",
        """
x = torch.tensor([[[0.5, 0.5]]], dtype=torch.float64).log().requires_grad_()
one = torch.tensor([1])
torch.nn.functional.ctc_loss(x, torch.tensor([[1]]), one, one).backward()
assert x.grad.flatten().tolist() == [0, -1], f"{x.grad.flatten().tolist()} is not [0, -1]"
""",
        issue="https://github.com/pytorch/pytorch/issues/52241",
    ),
    Defect(
        "torch-54",
        "torch",
        _VERSIONS,
        ("FWD-1",),
        "silently-wrong",
        "Forward mode of logcumsumexp scales by the largest element of all, not of those so far:"
        " the tangents of early sums lose digits as what follows grows, and all of them at 30.",
        _HEAD
        + """
import torch.autograd.forward_ad as forward
with forward.dual_level():
    x = torch.tensor([-30.0, 0.0], dtype=torch.float64)
    dual = torch.logcumsumexp(forward.make_dual(x, torch.ones_like(x)), 0)
    tangent = forward.unpack_dual(dual).tangent
assert abs(tangent[0] - 1) < 1e-12, f"{tangent[0].item()} is not 1"
""",
        issue="https://github.com/pytorch/pytorch/issues/196705",
    ),
    Defect(
        "torch-55",
        "torch",
        _VERSIONS,
        ("LEAF-1",),
        "refused-loudly",
        "backward of pixel_shuffle, and of pixel_unshuffle, raises where the batch is empty.",
        _HEAD
        + """
x = torch.zeros(0, 4, 2, 2, dtype=torch.float64, requires_grad=True)
torch.nn.functional.pixel_shuffle(x, 2).sum().backward()
""",
    ),
    _wrong(
        62,
        "LEAF-1",
        "The gradient of special.log_ndtr loses digits as its input falls: at -1e6 it is off by a"
        " ten-thousandth.",
        """
x = number(-1e6)
torch.special.log_ndtr(x).backward()
exact = 1e6 + 1e-6  # -x - 1/x + ..., Abramowitz and Stegun 26.2.12
assert abs(x.grad / exact - 1) < 1e-9, f"{x.grad.item()} is not {exact}"
""",
    ),
    _wrong(
        63,
        "LEAF-1",
        "masked.std of a single unmasked element is 0 whatever it is, and its gradient nan; that of"
        " std is 0.",
        """
x, same = number([2.0, 3.0]), number([2.0])
one = torch.masked.std(x, 0, mask=torch.tensor([True, False]), unbiased=False)
one.backward()
torch.std(same, 0, correction=0).backward()
assert one.item() == 0 and same.grad.item() == 0
assert x.grad.tolist() == [0, 0], f"{x.grad.tolist()} is not [0, 0]"
""",
    ),
    Defect(
        "torch-71",
        "torch",
        _VERSIONS,
        ("NUM-9", "NUM-2", "NUM-4"),
        "silently-wrong",
        "The gradient of linalg.matrix_exp loses as many digits as its cotangent is larger than 1:"
        " in float32 it is wrong by 13 % for one of 2^20, such as loss scaling makes.",
        """
import torch
x = torch.tensor([[0.5, 1.0], [-1.0, 0.25]], requires_grad=True)
y, ones = torch.linalg.matrix_exp(x), torch.ones(2, 2)
exact, = torch.autograd.grad(y, x, ones, retain_graph=True)
got, = torch.autograd.grad(y, x, 2.0**20 * ones)
got /= 2.0**20
assert torch.allclose(got, exact, rtol=1e-4, atol=1e-4), f"{got.tolist()} is not {exact.tolist()}"
""",
        operations=("matrix_exp", "linalg.matrix_exp"),
    ),
)
