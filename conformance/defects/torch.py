"""Defects of PyTorch: derivatives that are not those of the function that is computed."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = """import torch
number = lambda value: torch.tensor(value, dtype=torch.float64, requires_grad=True)
"""
_VERSIONS = "2.13.0"


def _wrong(number: int, clause: str, sentence: str, script: str, documented: str = "") -> Defect:
    return Defect(
        f"torch-{number}", "torch", _VERSIONS, (clause,), "silently-wrong", sentence,
        _HEAD + script, documented,
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
        7,
        "LEAF-1",
        "The gradient of polar with respect to a negative absolute value has the wrong sign.",
        """
import math
size = number(-2.0)
torch.polar(size, number(0.3)).real.backward()  # size · cos 0.3
assert abs(size.grad - math.cos(0.3)) < 1e-12, f"{size.grad.item()} is not {math.cos(0.3)}"
""",
        "The input `abs` is called the absolute value; negative ones are taken without an error.",
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
        "The second derivative of the determinant of a zero matrix is nan; that of 2 × 2 matrices is"
        " 1 or -1 everywhere.",
        """
x = number([[0.0, 0.0], [0.0, 0.0]])
cofactors, = torch.autograd.grad(torch.linalg.det(x), x, create_graph=True)
second, = torch.autograd.grad(cofactors[0, 0], x)  # the cofactor of x[0, 0] is x[1, 1]
assert second.tolist() == [[0, 0], [0, 1]], f"{second.tolist()} is not [[0, 0], [0, 1]]"
""",
    ),
)
