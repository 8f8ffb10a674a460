"""Boundaries of grad modes: what a mode leaves as it is, and what may cross into and out of it."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import scenario
from conformance.spec.grad_modes import THEME
from conformance.verdict import Level

THEME.clause(
    8,
    "A graph recorded before must be unaffected by the mode in which backward is called.",
    why="Optimizers and hooks call backward from inside no_grad; a walk that consults the mode"
    " then leaves no gradients, and the step does nothing.",
    source=sources.NOTE_GRAD_MODE,
    generated=("modes.backward",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            with no_grad():
                backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            with no_grad():
                z = mul(y, other=3.0)
            assert requires_grad(x)
            assert requires_grad(y)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "A leaf made inside no_grad must keep the requires_grad that it was given, and must be"
    " tracked as usual after the block.",
    why="Initialisers create parameters under no_grad; if the flag is dropped there, the model"
    " has parameters that are never trained.",
    source=sources.NO_GRAD,
    generated=("modes.leaves",),
    scenarios=[
        scenario(
            """
            with no_grad():
                x = leaf([1.0, 2.0], requires_grad=True)
                a = mul(x, x)
            assert requires_grad(x)
            assert not requires_grad(a)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            c = leaf([1.0, 2.0])
            with no_grad():
                x = mul(c, other=3.0)
                requires_grad_(x, flag=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [6.0, 12.0]
            """
        ),
    ],
)

THEME.clause(
    10,
    "Inside no_grad, a leaf that requires gradients may be written in place: it must take the"
    " new values, stay a leaf, still require gradients and keep its gradient.",
    why="This is the optimizer's step. If the write is recorded or the flag lost, the second"
    " iteration trains another tensor than the first.",
    source=sources.NOTE_NO_GRAD,
    generated=("modes.update",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            g = grad(x)
            step = mul(g, other=0.25)
            with no_grad():
                sub_(x, step)
            assert value(x) == [0.5, 1.0]
            assert grad(x) == [2.0, 4.0]
            assert requires_grad(x)
            set_grad(x, value=None)
            z = mul(x, x)
            t = sum(z)
            backward(t)
            assert grad(x) == [1.0, 2.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with no_grad():
                mul_(x, other=3.0)
            assert is_leaf(x)
            assert requires_grad(x)
            assert value(x) == [3.0, 6.0]
            """
        ),
    ],
)

THEME.clause(
    11,
    "A write in place, in grad mode, through a view that was made inside no_grad should be"
    " refused where the viewed tensor requires gradients.",
    why="The view has no grad_fn, and the write would give it one: whether the base's gradient"
    " then includes the write has no answer that everybody expects.",
    source=sources.TENSOR_VIEWS,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            base = mul(x, other=1.0)
            with no_grad():
                v = view(base, size=[2, 1])
            with raises():
                mul_(v, other=2.0)
            """
        ),
    ],
)
