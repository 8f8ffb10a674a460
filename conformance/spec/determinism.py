"""Determinism: the same program must give the same bits."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("determinism", "SAME", "Determinism")

THEME.clause(
    1,
    "The same program, run twice in one process, must give the same bits: in its values and in"
    " its gradients.",
    why="A run that cannot be repeated cannot be debugged; a sum over a set of nodes in the order"
    " of their addresses is enough to lose it.",
    source=sources.DETERMINISM,
    generated=("same.twins",),
    scenarios=[
        scenario(
            """
            x = leaf(shape=[4, 3], seed=5, requires_grad=True)
            w = leaf(shape=[3, 2], seed=6, requires_grad=True)
            y = matmul(x, w)
            z = tanh(y)
            s = sum(z)
            backward(s)
            t = leaf(shape=[4, 3], seed=5, requires_grad=True)
            u = leaf(shape=[3, 2], seed=6, requires_grad=True)
            yy = matmul(t, u)
            zz = tanh(yy)
            ss = sum(zz)
            backward(ss)
            same = eq(s, ss)
            assert value(same) == True
            gx = grad(x)
            gt = grad(t)
            alike = eq(gx, gt)
            every = all(alike)
            assert value(every) == True
            """
        ),
    ],
)

THEME.clause(
    2,
    "Each further backward through a retained graph must add the same bits again: after two, the"
    " gradient must be exactly twice that of one.",
    why="Doubling is exact in binary numbers, so a difference is not rounding: the second walk"
    " took another way.",
    source=sources.DETERMINISM,
    needs=("accumulates",),
    generated=("same.again",),
    scenarios=[
        scenario(
            """
            x = leaf(shape=[4], seed=7, requires_grad=True)
            y = sin(x)
            z = mul(y, x)
            u = mul(y, y)
            v = add(z, u)
            s = sum(v)
            backward(s, retain_graph=True)
            g = grad(x)
            once = mul(g, other=2.0)
            backward(s)
            twice = grad(x)
            alike = eq(twice, once)
            every = all(alike)
            assert value(every) == True
            """
        ),
    ],
)

THEME.clause(
    3,
    "What is observed must not change what is computed: keeping the gradient of a result, or a"
    " hook that only looks, must leave the bits of all gradients as they are.",
    why="A fault that disappears when one looks at it is the most expensive kind; here the engine"
    " would add it to faults that had nothing of it.",
    source=sources.OWN_REASONING,
    generated=("same.observed",),
    scenarios=[
        scenario(
            """
            x = leaf(shape=[5], seed=8, requires_grad=True)
            t = leaf(shape=[5], seed=8, requires_grad=True)
            y = exp(x)
            u = exp(t)
            retain_grad(y)
            hook(y, action="none")
            z = mul(y, x)
            v = mul(u, t)
            a = add(z, y)
            b = add(v, u)
            sa = sum(a)
            sb = sum(b)
            backward(sa)
            backward(sb)
            gx = grad(x)
            gt = grad(t)
            alike = eq(gx, gt)
            every = all(alike)
            assert value(every) == True
            """
        ),
    ],
)

THEME.clause(
    4,
    "Backward and asking for gradients as a result must give the same bits.",
    why="They are one walk with two ends; where the bits differ, a line search by one of them"
    " judges the steps of the other.",
    source=sources.AUTOGRAD_GRAD,
    generated=("same.asked",),
    scenarios=[
        scenario(
            """
            x = leaf(shape=[5], seed=9, requires_grad=True)
            y = sigmoid(x)
            z = mul(y, x)
            a = add(z, y)
            s = sum(a)
            g = grad_of(outputs=[s], inputs=[x], retain_graph=True)
            backward(s)
            gx = grad(x)
            alike = eq(gx, g)
            every = all(alike)
            assert value(every) == True
            """
        ),
    ],
)

THEME.clause(
    5,
    "Programs must not depend on each other: work on other tensors between the steps of one must"
    " leave the bits of its results as they are.",
    why="Numbering nodes over all graphs and walking by number, or buffers that are used again,"
    " make a model's result depend on what else is in memory.",
    source=sources.OWN_REASONING,
    generated=("same.between",),
    scenarios=[
        scenario(
            """
            x = leaf(shape=[5], seed=10, requires_grad=True)
            t = leaf(shape=[5], seed=10, requires_grad=True)
            other = leaf(shape=[5], seed=11, requires_grad=True)
            y = exp(x)
            z = mul(y, x)
            a = add(z, y)
            s = sum(a)
            backward(s)
            u = exp(t)
            o = sin(other)
            v = mul(u, t)
            p = mul(o, o)
            po = sum(p)
            backward(po)
            b = add(v, u)
            ss = sum(b)
            backward(ss)
            gx = grad(x)
            gt = grad(t)
            alike = eq(gx, gt)
            every = all(alike)
            assert value(every) == True
            """
        ),
    ],
)
