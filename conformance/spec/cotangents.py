"""Cotangents: the gradients that backward starts with, and those that it must refuse."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("cotangents", "COT", "Non-scalar backward and cotangents")
_JUDGED = ("differential", "finite_difference", "adjoint")

THEME.clause(
    1,
    "Backward from a root y with a cotangent v of y's shape must give each leaf the product of v"
    " and the Jacobian of y, summed over all elements of y.",
    why="This product is the whole contract of reverse mode: custom losses, multi-output layers"
    " and pipeline stages pass their gradients on through it.",
    source=sources.BACKWARD,
    oracles=_JUDGED,
    generated=("cotangents.vjp",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0, 4.0], requires_grad=True)
            y = mul(x, other=2.0)
            z = reshape(y, shape=[2, 2])
            v = leaf([[1.0, 0.1], [0.01, 0.001]])
            backward(z, gradient=v)
            assert grad(x) == [2.0, 0.2, 0.02, 0.002]
            """,
            "B7",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0, 4.0], dtype="float32", requires_grad=True)
            y = mul(x, other=2.0)
            z = view(y, size=[2, 2])
            v = leaf([[1.0, 0.1], [0.01, 0.001]], dtype="float32")
            backward(z, gradient=v)
            assert grad(x) == [2.0, 0.2, 0.02, 0.002]
            """,
            "B7",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0, 4.0], requires_grad=True)
            a = leaf([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]])
            squares = mul(x, x)
            y = matmul(a, squares)
            backward(y, gradient=[10.0, 100.0])
            jacobian = leaf([[2.0, 0.0, 16.0], [0.0, 12.0, 8.0]])
            v = leaf([10.0, 100.0])
            contracted = matmul(v, jacobian)
            assert grad(x) == contracted
            assert grad(x) == [20.0, 1200.0, 960.0]
            """,
            "B18",
        ),
        scenario(
            """
            a = leaf([[1.0, 2.0, 3.0]], dtype="float64", requires_grad=True)
            b = leaf([[4.0], [5.0], [6.0]], dtype="float64", requires_grad=True)
            y = mm(a, b)
            backward(y, gradient=[[1.0]])
            assert grad(a) == [[4.0, 5.0, 6.0]]
            assert grad(b) == [[1.0], [2.0], [3.0]]
            """,
            "B17",
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            u = leaf([[1.0, 10.0], [100.0, 1000.0]])
            turned = t(u)
            y = mul(x, x)
            backward(y, gradient=turned)
            assert grad(x) == [[2.0, 400.0], [60.0, 8000.0]]
            a = leaf([1.0, 2.0], requires_grad=True)
            long = leaf([7.0, 1.0, 10.0])
            part = narrow(long, dim=0, start=1, length=2)
            b = mul(a, a)
            backward(b, gradient=part)
            assert grad(a) == [2.0, 40.0]
            c = leaf([1.0, 2.0, 3.0], requires_grad=True)
            one = leaf([5.0])
            wide = expand(one, size=[3])
            d = mul(c, c)
            backward(d, gradient=wide)
            assert grad(c) == [10.0, 20.0, 30.0]
            q = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            r = t(q)
            backward(r, gradient=[[1.0, 10.0], [100.0, 1000.0]])
            assert grad(q) == [[1.0, 100.0], [10.0, 1000.0]]
            """
        ),
    ],
)

THEME.clause(
    2,
    "Backward from a root of a single element without a cotangent must start from one, whatever"
    " the number of its axes.",
    why="Losses of shape (1,) and (1, 1) are common after keepdim reductions; they must train"
    " like those of shape ().",
    source=sources.BACKWARD,
    generated=("cotangents.ones",),
    scenarios=[
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            y = mul(x, x)
            backward(y)
            assert grad(x) == 6.0
            """
        ),
        scenario(
            """
            x = leaf([[3.0]], requires_grad=True)
            y = mul(x, x)
            backward(y)
            assert grad(x) == [[6.0]]
            """
        ),
        scenario(
            """
            x = leaf([3.0], requires_grad=True)
            y = mul(x, x)
            backward(y, gradient=[1.0])
            assert grad(x) == [6.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Backward without a cotangent from a root of more than one element must be refused and must"
    " leave all gradients as they are.",
    why="An implicit sum hides a loss that was never reduced: the step is then larger by the"
    " number of elements, which looks like a learning rate that is too high.",
    source=sources.BACKWARD,
    generated=("cotangents.missing",),
    unless=("implicit_cotangent",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0, 4.0], requires_grad=True)
            y = mul(x, other=2.0)
            z = reshape(y, shape=[2, 2])
            with raises():
                backward(z)
            assert grad(x) is None
            """,
            "B8",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with raises():
                backward(x)
            assert grad(x) is None
            """,
            "B8",
        ),
    ],
)

THEME.clause(
    4,
    "A cotangent whose shape is not that of the root must be refused, also where it could be"
    " broadcast to it.",
    why="A cotangent that is broadcast or reshaped in silence weights the outputs in a way that"
    " nobody wrote; with a transposed one even the sizes agree.",
    source=sources.BACKWARD,
    generated=("cotangents.mismatch",),
    unless=("broadcasts_cotangent",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            y = mul(x, other=2.0)
            with raises():
                backward(y, gradient=[[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
            assert grad(x) is None
            """,
            "B9",
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            y = mul(x, other=2.0)
            with raises():
                backward(y, gradient=[1.0, 1.0, 1.0])
            assert grad(x) is None
            """,
            "B9",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            with raises():
                backward(y, gradient=1.0)
            assert grad(x) is None
            """,
            "B9",
        ),
    ],
)

THEME.clause(
    5,
    "Backward must be linear in the cotangent: for a v + b w it must give a times the gradients"
    " for v plus b times those for w.",
    why="A backward that clips, normalises or saves state of its own breaks data parallelism,"
    " which averages gradients of parts and relies on nothing but linearity.",
    source=sources.GRIEWANK,
    generated=("cotangents.linear",),
    scenarios=[
        scenario(
            """
            x1 = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            x2 = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            x3 = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            y1 = matmul(x1, x1)
            y2 = matmul(x2, x2)
            y3 = matmul(x3, x3)
            backward(y1, gradient=[[1.0, 0.0], [2.0, 1.0]])
            backward(y2, gradient=[[0.0, 4.0], [1.0, 0.0]])
            backward(y3, gradient=[[2.0, -12.0], [1.0, 2.0]])
            g1 = grad(x1)
            g2 = grad(x2)
            twice = mul(g1, other=2.0)
            less = mul(g2, other=-3.0)
            combined = add(twice, less)
            assert grad(x3) == combined
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            backward(y, gradient=[0.0, 0.0])
            assert grad(x) == [0.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "Backward from a root with a cotangent of ones must give the gradients of the sum of the"
    " root's elements.",
    why="Both spellings are in daily use for the same thing; where they differ, one of them"
    " trains another model.",
    source=sources.AUTOGRAD_BACKWARD,
    generated=("cotangents.ones",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            t = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            y = matmul(x, x)
            backward(y, gradient=[[1.0, 1.0], [1.0, 1.0]])
            u = matmul(t, t)
            s = sum(u)
            backward(s)
            assert grad(x) == [[7.0, 11.0], [9.0, 13.0]]
            assert grad(t) == [[7.0, 11.0], [9.0, 13.0]]
            """
        ),
    ],
)

THEME.clause(
    7,
    "Backward from several roots at once must give the sum of what backward from each of them"
    " gives, also where the roots share parts of their graphs.",
    why="The shared part is walked once with the sum of what arrives: an engine that starts"
    " before all of it has arrived loses the rest of the roots.",
    source=sources.AUTOGRAD_BACKWARD,
    needs=("accumulates",),
    generated=("cotangents.many",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            z = mul(y, other=3.0)
            s = sum(y)
            backward(s, z, gradient=[None, [1.0, 10.0]])
            assert grad(x) == [8.0, 124.0]
            """
        ),
        scenario(
            """
            x = leaf(2.0, requires_grad=True)
            w = leaf(5.0, requires_grad=True)
            y = mul(x, x)
            z = mul(y, w)
            backward(y, z)
            assert grad(x) == 24.0
            assert grad(w) == 4.0
            """
        ),
    ],
)

THEME.clause(
    8,
    "Asking for gradients as a result (autograd.grad) must return what backward would accumulate,"
    " and must leave every stored gradient as it is.",
    why="Gradient penalties and line searches call it between forward and the real backward:"
    " what it leaves behind is added to the step.",
    source=sources.AUTOGRAD_GRAD,
    generated=("cotangents.grad_of",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = mul(x, w)
            s = sum(y)
            gx, gw = grad_of(outputs=[s], inputs=[x, w])
            assert value(gx) == [3.0, 4.0]
            assert value(gw) == [1.0, 2.0]
            assert grad(x) is None
            assert grad(w) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            earlier = sum(x)
            backward(earlier)
            y = mul(x, x)
            v = leaf([10.0, 100.0])
            g = grad_of(outputs=[y], inputs=[x], grad_outputs=v)
            assert value(g) == [20.0, 400.0]
            assert grad(x) == [1.0, 1.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "Gradients asked for as a result must also be given with respect to tensors that are not"
    " leaves.",
    why="Saliency maps and style losses differentiate with respect to activations; without this"
    " they are computed with respect to copies, which are not in the graph.",
    source=sources.AUTOGRAD_GRAD,
    generated=("cotangents.grad_of",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            mid = mul(x, x)
            again = mul(mid, mid)
            s = sum(again)
            gmid, gx = grad_of(outputs=[s], inputs=[mid, x])
            assert value(gmid) == [2.0, 8.0]
            assert value(gx) == [4.0, 32.0]
            """
        ),
    ],
)

THEME.clause(
    10,
    "Asking for the gradient with respect to a tensor that the output does not depend on must be"
    " refused, unless unused inputs were allowed; then the answer for it must be None.",
    why="A silent zero hides the commonest mistake in meta-learning: differentiating with"
    " respect to a copy that took no part in the forward pass.",
    source=sources.AUTOGRAD_GRAD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            unused = leaf([3.0, 4.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            with raises():
                gx, gu = grad_of(outputs=[s], inputs=[x, unused])
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            unused = leaf([3.0, 4.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            gx, gu = grad_of(outputs=[s], inputs=[x, unused], allow_unused=True)
            assert value(gx) == [2.0, 4.0]
            assert value(gu) is None
            """
        ),
    ],
)
