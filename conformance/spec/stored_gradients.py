"""Stored gradients: what belongs to a leaf's gradient, and what must be kept apart from it."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.accumulation import THEME
from conformance.spec.clause import scenario

_ADDS = ("accumulates",)

THEME.clause(
    7,
    "A backward that does not reach a leaf must leave the leaf's accumulated gradient as it is.",
    why="Alternating losses, as of a generator and a discriminator, reach different parameters"
    " in turn: clearing or touching the others loses the work of the step before.",
    source=sources.GRAD,
    generated=("accumulation.alias",),
    scenarios=[
        scenario(
            """
            a = leaf([1.0, 2.0], requires_grad=True)
            b = leaf([3.0, 4.0], requires_grad=True)
            ab = mul(a, b)
            s = sum(ab)
            backward(s)
            only = mul(b, b)
            t = sum(only)
            backward(t)
            assert grad(a) == [3.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    8,
    "The gradients of different tensors, and a cotangent passed by the user, must not share"
    " memory: a change to one of them must not be seen in another.",
    why="Addition hands the same gradient to both of its inputs. An engine that stores it twice"
    " without a copy lets clipping or accumulating one parameter's gradient alter the other's.",
    source=sources.OWN_REASONING,
    generated=("accumulation.alias",),
    scenarios=[
        scenario(
            """
            a = leaf([1.0, 2.0], requires_grad=True)
            b = leaf([3.0, 4.0], requires_grad=True)
            ab = add(a, b)
            s = sum(ab)
            backward(s)
            again = sum(a)
            backward(again)
            assert grad(b) == [1.0, 1.0]
            """
        ),
        scenario(
            """
            a = leaf([1.0, 2.0], requires_grad=True)
            b = leaf([3.0, 4.0], requires_grad=True)
            v = leaf([5.0, 6.0])
            ab = add(a, b)
            backward(ab, gradient=v)
            more = add(a, b)
            backward(more, gradient=v)
            assert value(v) == [5.0, 6.0]
            """
        ),
        scenario(
            """
            a = leaf([1.0, 2.0], requires_grad=True)
            b = leaf([3.0, 4.0], requires_grad=True)
            v = leaf([5.0, 6.0])
            ab = add(a, b)
            backward(ab, gradient=v)
            g = grad(a)
            mul_(g, other=10.0)
            assert grad(a) == [50.0, 60.0]
            assert grad(b) == [5.0, 6.0]
            assert value(v) == [5.0, 6.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "Backward from a leaf itself must give it the cotangent as its gradient, and add it again on"
    " each further call.",
    why="Regularisers and tests reduce to this edge case: a root without any operation has"
    " nothing to free and nothing to walk, and is easily forgotten.",
    source=sources.BACKWARD,
    needs=_ADDS,
    scenarios=[
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            backward(x)
            assert grad(x) == 1.0
            backward(x)
            assert grad(x) == 2.0
            """
        ),
        scenario(
            """
            x = leaf([3.0, 4.0], requires_grad=True)
            backward(x, gradient=[0.5, 2.0])
            assert grad(x) == [0.5, 2.0]
            """
        ),
    ],
)

THEME.clause(
    10,
    "The gradient that backward leaves on a leaf must not itself require gradients, unless a"
    " graph of the gradient was asked for.",
    why="A tracked gradient keeps the whole graph of its backward alive, and each accumulation"
    " chains one more graph to it: memory grows with every step.",
    source=sources.AUTOGRAD_BACKWARD,
    needs=_ADDS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            g = grad(x)
            assert not requires_grad(g)
            z = mul(x, x)
            t = sum(z)
            backward(t)
            h = grad(x)
            assert not requires_grad(h)
            """
        ),
    ],
)

THEME.clause(
    11,
    "Where inputs are given to backward, it must accumulate into those leaves only and leave"
    " every other gradient as it is.",
    why="Meta-learning and adversarial training ask for the gradients of some leaves; gradients"
    " that leak into the others are added to the next real step.",
    source=sources.BACKWARD,
    generated=("accumulation.inputs",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = mul(x, w)
            s = sum(y)
            backward(s, inputs=[x])
            assert grad(x) == [3.0, 4.0]
            assert grad(w) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = mul(w, w)
            s = sum(y)
            backward(s)
            z = mul(x, w)
            u = sum(z)
            backward(u, inputs=[x])
            assert grad(x) == [3.0, 4.0]
            assert grad(w) == [6.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    12,
    "The gradient that retain_grad keeps on an intermediate tensor must accumulate over several"
    " backward passes as a leaf's does.",
    why="Who compares the gradient of an activation with the gradients of parameters compares"
    " two different sums if one accumulates and the other is replaced.",
    source=sources.RETAIN_GRAD,
    needs=_ADDS,
    unless=("overwrites_intermediates",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            retain_grad(y)
            s = sum(y)
            backward(s, retain_graph=True)
            assert grad(y) == [1.0, 1.0]
            backward(s)
            assert grad(y) == [2.0, 2.0]
            assert grad(x) == [4.0, 8.0]
            """
        ),
    ],
)
