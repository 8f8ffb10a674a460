"""Several roots: one backward, or one question for gradients, from more than one tensor."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("several_roots", "ROOT", "Several roots")

THEME.clause(
    1,
    "Gradients asked for from several outputs must be the sum of those of each output, weighted"
    " by its own cotangent.",
    why="Adjoint methods pass one cotangent for each state; paired with the wrong output, they are"
    " right whenever the cotangents happen to be equal.",
    source=sources.AUTOGRAD_GRAD,
    generated=("roots.asked",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            a = mul(x, x)
            b = mul(x, other=3.0)
            g = grad_of(outputs=[a, b], inputs=[x], grad_outputs=[[1.0, 10.0], [100.0, 1000.0]])
            assert value(g) == [302.0, 3040.0]
            """
        ),
    ],
)

THEME.clause(
    2,
    "A root that is given twice must count twice.",
    why="Lists of losses are built by programs; a set in place of a list drops the loss that two"
    " tasks share.",
    source=sources.OWN_REASONING,
    generated=("roots.twice",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s, s)
            assert grad(x) == [4.0, 8.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            backward(y, y, gradient=[[1.0, 1.0], [10.0, 100.0]])
            assert grad(x) == [22.0, 404.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Where one of several roots does not require gradients, backward must be refused and must"
    " leave every gradient as it is.",
    why="A loss that lost its history is no less broken for the company of others; half a backward"
    " before the error would be worse than none.",
    source=sources.AUTOGRAD_BACKWARD,
    generated=("roots.refused",),
    unless=("untracked_roots",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            y = mul(x, x)
            s = sum(y)
            k = sum(c)
            with raises():
                backward(s, k)
            assert grad(x) is None
            """
        ),
    ],
)

THEME.clause(
    4,
    "Where one of several roots has more than one element and no cotangent, backward must be"
    " refused and must leave every gradient as it is.",
    why="Ones in place of what is missing turn a forgotten reduction into a loss that is larger by"
    " the size of the batch.",
    source=sources.AUTOGRAD_BACKWARD,
    generated=("roots.refused",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            with raises():
                backward(s, y)
            assert grad(x) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            z = mul(x, other=3.0)
            with raises():
                backward(y, z, gradient=[[1.0, 1.0], None])
            assert grad(x) is None
            """
        ),
    ],
)

THEME.clause(
    5,
    "Backward from several roots must be one walk: what the roots share must be walked once, with"
    " the sum of what arrives, and needs no retained graph.",
    why="Root after root, the second one finds the shared part freed, and hooks on it see every"
    " share by itself in place of the whole gradient.",
    source=sources.AUTOGRAD_BACKWARD,
    generated=("cotangents.many",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            trunk = mul(x, x)
            hook(trunk, action="record")
            a = mul(trunk, other=3.0)
            b = mul(trunk, trunk)
            sa = sum(a)
            sb = sum(b)
            backward(sa, sb)
            assert hook_log() == [[5.0, 11.0]]
            assert grad(x) == [10.0, 44.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            trunk = mul(x, x)
            a = sin(trunk)
            b = mul(trunk, trunk)
            backward(a, b, gradient=[[0.0, 0.0], [1.0, 1.0]])
            assert grad(x) == [4.0, 32.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "A leaf that requires gradients may itself be one of several roots: it must get its cotangent"
    " beside what the other roots bring it.",
    why="Regularisers are often the parameter itself among the outputs; a leaf that is taken for"
    " the end of every path before it is a root loses one of the two.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            backward(y, x, gradient=[[1.0, 1.0], [10.0, 100.0]])
            assert grad(x) == [12.0, 104.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            g = grad_of(outputs=[y, x], inputs=[x], grad_outputs=[[1.0, 1.0], [10.0, 100.0]])
            assert value(g) == [12.0, 104.0]
            """
        ),
    ],
)
