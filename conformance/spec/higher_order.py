"""Higher order: gradients that are themselves recorded and differentiated."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("higher_order", "HIGH", "Higher-order gradients")

THEME.clause(
    1,
    "A gradient that was asked for with create_graph must require gradients, and its own gradient"
    " must be the second derivative.",
    why="Everything of second order rests on it: a gradient that is a constant makes penalties and"
    " Newton steps silently do nothing.",
    source=sources.AUTOGRAD_GRAD,
    generated=("higher.second",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = pow(x, exponent=3)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            assert value(g) == [3.0, 12.0]
            t = sum(g)
            h = grad_of(outputs=[t], inputs=[x])
            assert value(h) == [6.0, 12.0]
            """
        ),
        scenario(
            """
            x = leaf(2.0, requires_grad=True)
            y = mul(x, x)
            g = grad_of(outputs=[y], inputs=[x], create_graph=True)
            assert requires_grad(g)
            """
        ),
    ],
)

THEME.clause(
    2,
    "A gradient that was asked for without create_graph, from a cotangent that does not require"
    " gradients, must not require them, and differentiating it must be refused.",
    why="A graph of the gradient that nobody asked for doubles memory; and a constant that is"
    " differentiated in silence looks like a vanishing second derivative.",
    source=sources.AUTOGRAD_GRAD,
    generated=("higher.constant",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = pow(x, exponent=3)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x])
            assert value(g) == [3.0, 12.0]
            assert not requires_grad(g)
            t = sum(g)
            with raises():
                h = grad_of(outputs=[t], inputs=[x])
            """
        ),
    ],
)

THEME.clause(
    3,
    "Gradients must be differentiable again and again: each pass with create_graph must give the"
    " derivative of the next order.",
    why="Rules that are recorded once but not in their own turn give right second derivatives and"
    " wrong third ones, as physics-informed losses need them.",
    source=sources.AUTOGRAD_GRAD,
    generated=("higher.third",),
    scenarios=[
        scenario(
            """
            x = leaf(2.0, requires_grad=True)
            y = pow(x, exponent=4)
            a = grad_of(outputs=[y], inputs=[x], create_graph=True)
            b = grad_of(outputs=[a], inputs=[x], create_graph=True)
            c = grad_of(outputs=[b], inputs=[x], create_graph=True)
            d = grad_of(outputs=[c], inputs=[x])
            assert value(a) == 32.0
            assert value(b) == 48.0
            assert value(c) == 48.0
            assert value(d) == 24.0
            """
        ),
        scenario(
            """
            x = leaf(0.5, requires_grad=True)
            y = sin(x)
            a = grad_of(outputs=[y], inputs=[x], create_graph=True)
            b = grad_of(outputs=[a], inputs=[x], create_graph=True)
            c = grad_of(outputs=[b], inputs=[x])
            assert value(b) == approx(-0.479425538604203, 12)
            assert value(c) == approx(-0.877582561890373, 12)
            """
        ),
    ],
)

THEME.clause(
    4,
    "The gradient of the inner product of a gradient with a constant vector must be the product"
    " of the Hessian with that vector.",
    why="Hessian-vector products drive conjugate gradients and influence functions; there the"
    " matrix is never seen, so a wrong product is not either.",
    source=sources.PEARLMUTTER,
    generated=("higher.second", "higher.symmetric"),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            v = leaf([10.0, 1.0])
            a = select(x, dim=0, index=0)
            b = select(x, dim=0, index=1)
            aa = mul(a, a)
            f = mul(aa, b)
            g = grad_of(outputs=[f], inputs=[x], create_graph=True)
            assert value(g) == [4.0, 1.0]
            gv = mul(g, v)
            s = sum(gv)
            hv = grad_of(outputs=[s], inputs=[x])
            assert value(hv) == [42.0, 20.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "Mixed second derivatives must be given with respect to other tensors than the first ones,"
    " and must not depend on the order in which the two are taken.",
    why="Bilevel optimisation differentiates the gradient of the weights with respect to"
    " hyperparameters; a missing cross term is a missing hypergradient.",
    source=sources.GRIEWANK,
    generated=("higher.symmetric",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 5.0], requires_grad=True)
            xx = mul(x, x)
            y = mul(xx, w)
            s = sum(y)
            gx, gw = grad_of(outputs=[s], inputs=[x, w], create_graph=True)
            sx = sum(gx)
            sw = sum(gw)
            xw = grad_of(outputs=[sx], inputs=[w], retain_graph=True)
            wx = grad_of(outputs=[sw], inputs=[x])
            assert value(xw) == [2.0, 4.0]
            assert value(wx) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "Backward from a loss that contains a gradient must accumulate the derivatives of both: of"
    " the loss itself and of the gradient in it.",
    why="This is the gradient penalty: if either part is lost the training still runs, as another"
    " method.",
    source=sources.AUTOGRAD_GRAD,
    generated=("higher.penalty",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 5.0], requires_grad=True)
            xx = mul(x, x)
            y = mul(xx, w)
            loss = sum(y)
            g = grad_of(outputs=[loss], inputs=[x], create_graph=True)
            gg = mul(g, g)
            penalty = sum(gg)
            both = add(loss, penalty)
            backward(both)
            assert grad(x) == [78.0, 420.0]
            assert grad(w) == [25.0, 164.0]
            """
        ),
    ],
)

THEME.clause(
    7,
    "Where a tensor is used several times, the second derivative must sum over the uses in the"
    " gradient as well as in the function.",
    why="The sum at a fan-out is itself an operation of the gradient's graph; left unrecorded, the"
    " first order is right and the second has one path only.",
    source=sources.GRIEWANK,
    generated=("higher.second",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            mid = mul(x, x)
            a = mul(mid, x)
            b = mul(mid, mid)
            y = add(a, b)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            assert value(g) == [7.0, 44.0]
            t = sum(g)
            backward(t)
            assert grad(x) == [18.0, 60.0]
            """
        ),
    ],
)

THEME.clause(
    8,
    "Asking for gradients with create_graph must leave the graph usable, as retain_graph does,"
    " unless it was told to free it.",
    why="The graph of the gradient stands on the graph of the function: freed below it, the"
    " second pass has nothing to walk.",
    source=sources.AUTOGRAD_GRAD,
    generated=("higher.retained",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = pow(x, exponent=3)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            backward(s)
            assert grad(x) == [3.0, 12.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "A gradient must be differentiable with respect to the cotangent that it was seeded with, in"
    " which it is linear.",
    why="Differentiating a pullback by its cotangent is how forward mode is had from reverse mode;"
    " engines that copy the cotangent in lose it.",
    source=sources.DOUBLE_BACKWARD_TRICK,
    generated=("higher.cotangent",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            u = leaf([1.0, 1.0], requires_grad=True)
            y = pow(x, exponent=3)
            g = grad_of(outputs=[y], inputs=[x], grad_outputs=u, create_graph=True)
            jv = grad_of(outputs=[g], inputs=[u], grad_outputs=[10.0, 100.0])
            assert value(jv) == [30.0, 1200.0]
            """
        ),
    ],
)

THEME.clause(
    10,
    "A gradient that was detached must be a constant in what is computed from it, also where it"
    " had been asked for with create_graph.",
    why="First-order meta-learning drops the second derivatives on purpose; if they leak back in,"
    " it is slower and another algorithm.",
    source=sources.DETACH,
    generated=("higher.detached",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = pow(x, exponent=3)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            d = detach(g)
            z = mul(d, x)
            t = sum(z)
            backward(t)
            assert grad(x) == [3.0, 12.0]
            """
        ),
    ],
)

THEME.clause(
    11,
    "Backward with create_graph must leave gradients on the leaves that can themselves be"
    " differentiated.",
    why="Unrolled optimisation reads .grad and goes on computing; where the stored gradient is a"
    " constant, the outer loop gets nothing from the inner one.",
    source=sources.BACKWARD,
    generated=("higher.stored",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 5.0], requires_grad=True)
            xx = mul(x, x)
            y = mul(xx, w)
            s = sum(y)
            backward(s, create_graph=True)
            g = grad(x)
            assert value(g) == [6.0, 20.0]
            t = sum(g)
            h = grad_of(outputs=[t], inputs=[w])
            assert value(h) == [2.0, 4.0]
            """
        ),
    ],
)
