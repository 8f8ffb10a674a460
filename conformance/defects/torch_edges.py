"""Defects of PyTorch's derivatives at ties, at zero, far out, and for arguments seldom given."""

from __future__ import annotations

from conformance.defects.defect import Defect

_HEAD = """import torch
import torch.autograd.forward_ad as forward
number = lambda value: torch.tensor(value, dtype=torch.float64, requires_grad=True)
"""


def _wrong(number: int, clause: str, sentence: str, script: str, issue: str = "",
           documented: str = "") -> Defect:  # fmt: skip
    return Defect(
        f"torch-{number}", "torch", "2.13.0", (clause,), "silently-wrong", sentence,
        _HEAD + script, issue=issue, documented=documented,
    )  # fmt: skip


DEFECTS = (
    _wrong(
        72,
        "LEAF-1",
        "The gradient of celu in float64 takes 1/alpha rounded to float32: at alpha = 0.8 it is off"
        " by 4e-9.",
        """
x = number(-1.0)
torch.nn.functional.celu(x, alpha=0.8).backward()
exact = torch.tensor(-1 / 0.8, dtype=torch.float64).exp()
assert abs(x.grad / exact - 1) < 1e-14, f"{x.grad.item()} is not {exact.item()}"
""",
    ),
    _wrong(
        73,
        "LEAF-1",
        "The gradient of frexp takes its power of 2 in float32, also in float64: it is 0 from 2^128"
        " on, and infinite for numbers as small.",
        """
x = number(2.0**200)
torch.frexp(x).mantissa.backward()
assert x.grad == 2.0**-201, f"{x.grad.item()} is not 2^-201"
""",
    ),
    _wrong(
        74,
        "HIGH-1",
        "The second derivative of logaddexp is nan where its inputs are 710 apart or more; it is"
        " 0.",
        """
x, y = number(0.0), torch.tensor(800.0, dtype=torch.float64)
first, = torch.autograd.grad(torch.logaddexp(x, y), x, create_graph=True)
second, = torch.autograd.grad(first, x)
assert second == 0, f"{second.item()} is not 0"
""",
        issue="https://github.com/pytorch/pytorch/issues/196704",
    ),
    _wrong(
        75,
        "HIGH-1",
        "The second derivative of mish is nan from 710 on (in float32, from 89 on): it is 0.",
        """
x = number(800.0)
first, = torch.autograd.grad(torch.nn.functional.mish(x), x, create_graph=True)
second, = torch.autograd.grad(first, x)
assert second == 0, f"{second.item()} is not 0"
""",
    ),
    _wrong(
        76,
        "LEAF-1",
        "The gradient of polar by the absolute value is 0 where that is 0: polar is linear in it.",
        """
size, angle = number(0.0), torch.tensor(1.0, dtype=torch.float64)
torch.polar(size, angle).real.backward()
assert size.grad == angle.cos(), f"{size.grad.item()} is not cos(1) = {angle.cos().item()}"
""",
    ),
    _wrong(
        77,
        "LEAF-1",
        "The gradient of var, and of var_mean, with dim=() is infinite: the value is of all"
        " elements, and the gradient takes their number for 1.",
        """
x, same = number([1.0, 2.0, 4.0]), number([1.0, 2.0, 4.0])
value, all_of_them = torch.var(x, dim=()), torch.var(same)
value.backward()
all_of_them.backward()
assert value == all_of_them
assert torch.equal(x.grad, same.grad), f"{x.grad.tolist()} is not {same.grad.tolist()}"
""",
    ),
    _wrong(
        78,
        "LEAF-1",
        "With include_self=False, scatter_reduce and index_reduce by amax or amin share the"
        " gradient with an element of the input that is as great, and took no part: that share is"
        " lost.",
        """
source = number([1.0])
x, index = torch.ones(1, dtype=torch.float64), torch.tensor([0])
torch.scatter_reduce(x, 0, index, source, "amax", include_self=False).backward()
assert source.grad == 1, f"{source.grad.tolist()} is not [1]"
""",
    ),
    _wrong(
        79,
        "LEAF-1",
        "Where the greatest differences of two rows tie, the gradients of cdist and pdist with"
        " p=inf go to each of them whole: no subgradient. vector_norm shares them.",
        """
x = number([[1.0, 1.0]])
torch.cdist(x, torch.zeros(1, 2, dtype=torch.float64), p=float("inf")).backward()
along = x.grad.sum()  # both grow by 1: so does the distance
assert along == 1, f"{along.item()} is not 1"
""",
    ),
    _wrong(
        80,
        "LEAF-1",
        "The gradient of atan2 is 0 where the sum of the squares overflows or vanishes: below 1e-4"
        " in float16, 1e-23 in float32.",
        """
y = torch.tensor(1e-30, requires_grad=True)
torch.atan2(y, torch.tensor(1e-30)).backward()
assert abs(y.grad / 5e29 - 1) < 1e-5, f"{y.grad.item()} is not 5e29"
""",
    ),
    _wrong(
        81,
        "FWD-1",
        "Forward mode of gaussian_nll_loss takes a variance below eps for a constant: reverse mode"
        " ignores the bound.",
        """
x, target = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
loss = lambda variance: torch.nn.functional.gaussian_nll_loss(x, target, variance)
variance = number([1e-8])
loss(variance).backward()
with forward.dual_level():
    tangent = forward.unpack_dual(loss(forward.make_dual(variance.detach(), x))).tangent
assert tangent == variance.grad, f"{tangent.item()} is not {variance.grad.item()}"
""",
        documented="GaussianNLLLoss: 'the clamping of var is ignored with respect to autograd, and"
        " so the gradients are unaffected by it'",
    ),
    _wrong(
        82,
        "FWD-1",
        "Forward mode of fmax and fmin takes the second input's tangent where both are equal;"
        " reverse mode gives the first one the gradient.",
        """
x, y = number(1.0), torch.tensor(1.0, dtype=torch.float64)
torch.fmax(x, y).backward()
with forward.dual_level():
    dual = torch.fmax(forward.make_dual(x.detach(), torch.ones_like(y)), y)
    tangent = forward.unpack_dual(dual).tangent
assert tangent == x.grad, f"{tangent.item()} is not {x.grad.item()}"
""",
    ),
    _wrong(
        83,
        "HIGH-1",
        "The gradient of std of equal elements is given as 0, and its derivative by its cotangent"
        " as nan.",
        """
x, cotangent = number([2.0, 2.0]), number(1.0)
gradient, = torch.autograd.grad(torch.std(x), x, cotangent, create_graph=True)
assert gradient.tolist() == [0, 0]
along, = torch.autograd.grad(gradient, cotangent, torch.ones(2, dtype=torch.float64))
assert along == 0, f"{along.item()} is not 0"
""",
    ),
    _wrong(
        84,
        "FWD-1",
        "Forward mode of det of a singular matrix is 0 whatever the tangent.",
        """
matrix = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64)
along = torch.ones(2, 2, dtype=torch.float64)
with forward.dual_level():
    tangent = forward.unpack_dual(torch.linalg.det(forward.make_dual(matrix, along))).tangent
assert abs(tangent - 1) < 1e-12, f"{tangent.item()} is not 1"  # 4 - 2 - 2 + 1
""",
    ),
    _wrong(
        85,
        "LEAF-1",
        "With scale_grad_by_freq, the gradient of embedding_bag divides a row's share by the count"
        " of another row where rows of smaller index repeat; embedding divides by its own.",
        """
weight, again = number([[1.0], [2.0], [3.0]]), number([[1.0], [2.0], [3.0]])
rows, whole = torch.tensor([1, 1, 2]), torch.tensor([0])
bag = torch.nn.functional.embedding_bag(rows, weight, whole, scale_grad_by_freq=True, mode="sum")
bag.backward()
torch.nn.functional.embedding(rows, again, scale_grad_by_freq=True).sum().backward()
assert again.grad.tolist() == [[0], [1], [1]]
assert torch.equal(weight.grad, again.grad), f"{weight.grad.tolist()} is not [[0], [1], [1]]"
""",
    ),
)
