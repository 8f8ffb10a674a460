"""Roots: what backward may start from, and how far it reaches."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import scenario
from conformance.spec.cotangents import THEME
from conformance.verdict import Level

THEME.clause(
    11,
    "Backward from a tensor that does not require gradients must be refused.",
    why="The commonest broken training loop is one whose loss lost its history: it runs, it"
    " prints losses, and nothing ever learns.",
    source=sources.BACKWARD,
    needs=("requires_grad",),
    generated=("cotangents.untracked",),
    unless=("untracked_roots",),
    scenarios=[
        scenario(
            """
            x = leaf(1.0, requires_grad=True)
            with no_grad():
                y2 = pow(x, exponent=3)
            assert not requires_grad(y2)
            with raises():
                backward(y2)
            assert grad(x) is None
            """,
            "B11",
        ),
        scenario(
            """
            c = leaf([1.0, 2.0])
            y = mul(c, c)
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
    ],
)

THEME.clause(
    12,
    "Backward from an intermediate tensor must reach what it was computed from and nothing that"
    " was computed from it later.",
    why="Deep supervision and auxiliary heads start from inside the network: gradients that run"
    " on into later layers train them on a loss that does not concern them.",
    source=sources.BACKWARD,
    generated=("cotangents.inner",),
    scenarios=[
        scenario(
            """
            x = leaf(2.0, requires_grad=True)
            w = leaf(5.0, requires_grad=True)
            mid = mul(x, x)
            out = mul(mid, w)
            backward(mid)
            assert grad(x) == 4.0
            assert grad(w) is None
            """
        ),
        scenario(
            """
            inp = leaf([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
            more = add(inp, other=1.0)
            squared = pow(more, exponent=2)
            turned = t(squared)
            later = sum(turned)
            backward(squared, gradient=[[1.0, 10.0], [100.0, 1000.0]])
            assert grad(inp) == [[4.0, 20.0], [200.0, 4000.0]]
            """
        ),
    ],
)

THEME.clause(
    13,
    "Backward must not change the cotangent that it was given.",
    why="Cotangents are often constants or another graph's results; an engine that accumulates"
    " into its argument makes the second backward start from a sum.",
    source=sources.OWN_REASONING,
    generated=("accumulation.alias",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            v = leaf([10.0, 100.0])
            y = mul(x, x)
            z = add(y, x)
            backward(z, gradient=v)
            assert value(v) == [10.0, 100.0]
            assert grad(x) == [30.0, 500.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            v = leaf([10.0, 100.0])
            y = add(x, x)
            backward(y, gradient=v)
            assert value(v) == [10.0, 100.0]
            assert grad(x) == [20.0, 200.0]
            """
        ),
    ],
)

THEME.clause(
    14,
    "A complex root must not be given an implicit cotangent, and a real root must not be given a"
    " complex one: both must be refused.",
    why="A complex number has no one direction of increase; taking its real part in silence"
    " drops half of the gradient of every spectral model.",
    source=sources.AUTOGRAD_BACKWARD,
    scenarios=[
        scenario(
            """
            z = leaf([(1+2j), (2-1j)], dtype="complex128", requires_grad=True)
            y = mul(z, z)
            s = sum(y)
            with raises():
                backward(s)
            assert grad(z) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float64", requires_grad=True)
            y = mul(x, x)
            v = leaf([1j, 1.0], dtype="complex128")
            with raises():
                backward(y, gradient=v)
            assert grad(x) is None
            """
        ),
    ],
)

THEME.clause(
    15,
    "A real cotangent of another floating-point precision than the root's should be accepted,"
    " and the gradients should have the dtype of their leaves all the same.",
    why="Cotangents are written as float64 literals and logged arrays; refusing them is loud,"
    " but a gradient in the cotangent's precision fails only at the optimizer.",
    source=sources.TENSOR_ATTRIBUTES,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float32", requires_grad=True)
            y = mul(x, x)
            v = leaf([1.0, 10.0], dtype="float64")
            backward(y, gradient=v)
            expected = leaf([2.0, 40.0], dtype="float32")
            assert grad(x) == expected
            """
        ),
    ],
)

THEME.clause(
    16,
    "A hook on a tensor must be called once per backward with the whole gradient of the root with"
    " respect to the tensor, and the gradient that it returns must take the place of that one, for"
    " the tensor and for all that it was computed from.",
    why="Clipping, masking and reversal of gradients are written as hooks: one that hears parts, or"
    " whose answer is dropped, leaves a network that trains, only not as it was meant to.",
    source=sources.REGISTER_HOOK,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=3.0)
            hook(y, action="double")
            square = mul(y, y)
            both = add(square, y)
            s = sum(both)
            backward(s)
            assert hook_log() == [[7.0, 13.0]]
            assert grad(x) == [42.0, 78.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            hook(x, action="double")
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [4.0, 8.0]
            z = mul(x, other=5.0)
            u = sum(z)
            backward(u)
            assert hook_log() == [[2.0, 4.0], [5.0, 5.0]]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            h = hook(y, action="zero")
            hook(y, action="record")
            remove_hook(h)
            s = sum(y)
            backward(s)
            assert hook_log() == [[1.0, 1.0]]
            assert grad(x) == [2.0, 2.0]
            """
        ),
    ],
)
