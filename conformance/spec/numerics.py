"""Numerics: what each operation computes, and what its derivatives are.

Points at which a function itself is undefined are not judged.
"""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario
from conformance.verdict import Level

THEME = Theme("numerics", "NUM", "Numerics per operation")

THEME.clause(
    1,
    "The result of an operation must be the value of the function that it is named after.",
    why="Every derivative is checked against the values; an operation that computes something"
    " else has the right derivative of the wrong function.",
    source=sources.OWN_REASONING,
    generated=("numerics.value",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 4.0])
            y = log2(x)
            z = square(x)
            m = matmul(x, x)
            assert value(y) == [0.0, 1.0, 2.0]
            assert value(z) == [1.0, 4.0, 16.0]
            assert value(m) == 21.0
            """
        ),
    ],
)

THEME.clause(
    2,
    "The gradient that an operation passes on to each operand must be its cotangent times the"
    " derivative of its result with respect to that operand.",
    why="This is the one promise that all training rests on; a rule that is wrong for one"
    " operand, one shape or one parameter trains something else in silence.",
    source=sources.GRIEWANK,
    generated=("numerics.gradient",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([4.0, 8.0], requires_grad=True)
            y = div(x, w)
            backward(y, gradient=[1.0, 2.0])
            assert grad(x) == [0.25, 0.25]
            assert grad(w) == [-0.0625, -0.0625]
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            y = cumsum(x, dim=0)
            backward(y, gradient=[[1.0, 2.0], [3.0, 4.0]])
            assert grad(x) == [[4.0, 6.0], [3.0, 4.0]]
            """
        ),
        scenario(
            """
            x = leaf([0.0, 2.0, 3.0], requires_grad=True)
            y = prod(x)
            backward(y)
            assert grad(x) == [6.0, 0.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "The tangent of an operation's result must be the sum, over its operands, of the derivative"
    " with respect to the operand times the operand's tangent.",
    why="Forward rules are written apart from backward rules; Jacobians and second derivatives"
    " mix both, and are wrong where the two disagree.",
    source=sources.GRIEWANK,
    generated=("numerics.tangent",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            w = leaf([4.0, 8.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 2.0])
                e = make_dual(w, tangent=[4.0, 0.0])
                y = div(d, e)
                assert tangent(y) == [0.0, 0.25]
            """
        ),
    ],
)

THEME.clause(
    4,
    "The gradient that an operation passes on must be linear in its cotangent.",
    why="A rule that clips, rounds or squares what reaches it may be right for a cotangent of"
    " ones and for nothing else.",
    source=sources.GRIEWANK,
    generated=("numerics.linear",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            a = grad_of(outputs=[y], inputs=[x], grad_outputs=[1.0, -3.0], retain_graph=True)
            b = grad_of(outputs=[y], inputs=[x], grad_outputs=[-2.0, -6.0])
            assert value(a) == [2.0, -12.0]
            assert value(b) == [-4.0, -24.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "Where the derivative of an operation is finite, a cotangent of zeros must become a gradient"
    " of zeros.",
    why="Masked losses send zeros to most of their inputs; a rule that divides by them, or adds"
    " a constant, fills the gradient with nan or noise.",
    source=sources.GRIEWANK,
    generated=("numerics.zero",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = log(x)
            backward(y, gradient=[0.0, 0.0])
            assert grad(x) == [0.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "Where a graph of an operation's gradient is asked for, the gradient must have the right"
    " derivative with respect to operands and cotangent alike.",
    why="A backward rule that is right in value may still be cut off from its operands;"
    " penalties on gradients and Newton steps then miss terms.",
    source=sources.GRIEWANK,
    generated=("numerics.second",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([4.0, 8.0], requires_grad=True)
            y = div(x, w)
            s = sum(y)
            p, q = grad_of(outputs=[s], inputs=[x, w], create_graph=True)
            assert value(q) == [-0.0625, -0.03125]
            t = sum(q)
            backward(t)
            assert grad(x) == [-0.0625, -0.015625]
            assert grad(w) == [0.03125, 0.0078125]
            """
        ),
    ],
)

THEME.clause(
    7,
    "Neither an operation nor its backward must change the operands or the cotangent.",
    why="A kernel that uses its input as work space is fast and right once; the next use of the"
    " tensor reads what is left there.",
    source=sources.OWN_REASONING,
    generated=("numerics.intact",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            g = leaf([1.0, -3.0])
            y = exp(x)
            z = mul(y, x)
            backward(z, gradient=g)
            assert value(x) == [1.0, 2.0]
            assert value(g) == [1.0, -3.0]
            """
        ),
    ],
)

THEME.clause(
    8,
    "In single precision, values and gradients must be those of double precision up to the"
    " rounding that the operation's conditioning makes unavoidable.",
    why="Rules are written and tested in double precision and used in single; an overflow or a"
    " cancellation on the way shows there only.",
    source=sources.OWN_REASONING,
    generated=("numerics.single",),
    scenarios=[
        scenario(
            """
            x = leaf([100.0, 0.0, -100.0], dtype="float32", requires_grad=True)
            y = sigmoid(x)
            backward(y, gradient=[1.0, 1.0, 1.0])
            assert value(y) == [1.0, 0.5, 0.0]
            assert grad(x) == [0.0, 0.25, 0.0]
            """
        ),
        scenario(
            """
            x = leaf([200.0, 0.0], dtype="float32", requires_grad=True)
            y = logsumexp(x, dim=0)
            backward(y)
            assert value(y) == 200.0
            assert grad(x) == [1.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "The gradient of an operation with respect to a complex operand must be its cotangent times"
    " the conjugate of the derivative, where the function has one.",
    why="It is the convention under which a step against the gradient lowers a real loss; the"
    " other one, without the conjugate, turns it about the real axis.",
    source=sources.NOTE_COMPLEX,
    generated=("numerics.complex",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0+2.0j, 2.0-1.0j], dtype="complex128", requires_grad=True)
            y = mul(x, x)
            backward(y, gradient=[1.0+0.0j, 0.0+1.0j])
            assert grad(x) == [2.0-4.0j, -2.0+4.0j]
            """
        ),
    ],
)

THEME.clause(
    10,
    "At a point where an operation has no derivative, its gradient must be one of the slopes"
    " between those on both sides of the point.",
    why="There is a choice, but not any choice: outside of these slopes a step against the"
    " gradient may raise the loss however short it is.",
    source=sources.NOTE_NONDIFFERENTIABLE,
    varied=False,  # the slopes on both sides are part of what is said
    scenarios=[
        scenario(
            """
            x = leaf([0.0], requires_grad=True)
            y = relu(x)
            backward(y, gradient=[1.0])
            g = grad(x)
            low = leaf([0.0])
            high = leaf([1.0])
            m = maximum(g, low)
            c = minimum(m, high)
            assert value(c) == g
            """
        ),
        scenario(
            """
            x = leaf([0.0], requires_grad=True)
            y = abs(x)
            backward(y, gradient=[1.0])
            g = grad(x)
            low = leaf([-1.0])
            high = leaf([1.0])
            m = maximum(g, low)
            c = minimum(m, high)
            assert value(c) == g
            """
        ),
        scenario(
            """
            x = leaf([3.0], requires_grad=True)
            w = leaf([3.0], requires_grad=True)
            y = maximum(x, w)
            backward(y, gradient=[1.0])
            g = grad(x)
            h = grad(w)
            t = add(g, h)
            low = leaf([0.0])
            m = maximum(g, low)
            n = maximum(h, low)
            assert value(m) == g
            assert value(n) == h
            assert value(t) == [1.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 3.0, 3.0], requires_grad=True)
            y = amax(x)
            backward(y)
            g = grad(x)
            t = sum(g)
            low = leaf([0.0, 0.0, 0.0])
            m = maximum(g, low)
            assert value(m) == g
            assert value(t) == 1.0
            """
        ),
    ],
)

THEME.clause(
    11,
    "At a point where an operation has no derivative, its gradient should be the one that PyTorch"
    " chooses: zero for relu and abs at zero, equal shares for operands that tie in maximum and"
    " minimum and for elements that tie in amax and amin.",
    why="Models are moved between engines with their numbers; where masks and padding put many"
    " values exactly on the point, another choice trains another model.",
    source=sources.NOTE_NONDIFFERENTIABLE,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([-1.0, 0.0, 1.0], requires_grad=True)
            y = relu(x)
            backward(y, gradient=[1.0, 1.0, 1.0])
            assert grad(x) == [0.0, 0.0, 1.0]
            """
        ),
        scenario(
            """
            x = leaf([-1.0, 0.0, 1.0], requires_grad=True)
            y = abs(x)
            backward(y, gradient=[1.0, 1.0, 1.0])
            assert grad(x) == [-1.0, 0.0, 1.0]
            """
        ),
        scenario(
            """
            x = leaf([3.0], requires_grad=True)
            w = leaf([3.0], requires_grad=True)
            y = maximum(x, w)
            z = minimum(x, w)
            u = mul(z, other=4.0)
            t = add(y, u)
            backward(t, gradient=[1.0])
            assert grad(x) == [2.5]
            assert grad(w) == [2.5]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 3.0, 3.0], requires_grad=True)
            y = amax(x)
            backward(y)
            assert grad(x) == [0.0, 0.5, 0.5]
            """
        ),
    ],
)

THEME.clause(
    12,
    "What an operation leaves out of its result must not reach its gradients: an element that is"
    " not selected gets zero, even where it is infinite or not a number.",
    why="Padding is often not a number; multiplied by zero in a backward rule it is still not a"
    " number, and one such element spoils every weight.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, float("inf"), 3.0], requires_grad=True)
            y = narrow(x, dim=0, start=0, length=1)
            backward(y, gradient=[2.0])
            assert grad(x) == [2.0, 0.0, 0.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, float("inf")], requires_grad=True)
            w = leaf([5.0, 6.0], requires_grad=True)
            c = leaf([True, False], dtype="bool")
            y = where(c, x, w)
            backward(y, gradient=[2.0, 3.0])
            assert grad(x) == [2.0, 0.0]
            assert grad(w) == [0.0, 3.0]
            """
        ),
        scenario(
            """
            x = leaf([[1.0, float("inf")], [3.0, 4.0]], requires_grad=True)
            y = select(x, dim=0, index=1)
            backward(y, gradient=[2.0, 3.0])
            assert grad(x) == [[0.0, 0.0], [2.0, 3.0]]
            """
        ),
    ],
)
