"""Hooks on accumulated gradients: what runs once a leaf has its gradient."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import scenario
from conformance.spec.hooks import THEME

THEME.clause(
    11,
    "A hook on a leaf's accumulated gradient must be called once in each backward pass that"
    " reaches the leaf, after the gradient has been added.",
    why="Optimisers that step inside backward rely on it: called before, they apply the gradient"
    " of the last step; called per use, they apply parts.",
    source=sources.POST_ACCUMULATE,
    needs=("accumulates",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            post_hook(x, action="record")
            a = mul(x, x)
            b = mul(x, other=3.0)
            y = add(a, b)
            s = sum(y)
            backward(s)
            assert hook_log() == [[5.0, 7.0]]
            t = sum(w)
            backward(t)
            u = sum(x)
            backward(u)
            assert hook_log() == [[5.0, 7.0], [6.0, 8.0]]
            assert grad(x) == [6.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    12,
    "A hook on a leaf's accumulated gradient must be able to clear it: the leaf must then have none"
    " after backward.",
    why="Stepping and clearing parameter by parameter halves the memory of training; a gradient"
    " that comes back afterwards is applied twice.",
    source=sources.POST_ACCUMULATE,
    needs=("set_grad",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            post_hook(x, action="clear")
            y = mul(x, w)
            s = sum(y)
            backward(s)
            assert grad(x) is None
            assert grad(w) == [1.0, 2.0]
            assert hook_log() == [[3.0, 4.0]]
            """
        ),
    ],
)

THEME.clause(
    13,
    "A hook on a leaf's accumulated gradient must run after the hooks on the leaf, and see what"
    " they have made of the gradient.",
    why="Clipping hooks come first and the optimiser last; in the other order the step is taken"
    " with the gradient that was to be clipped.",
    source=sources.HOOK_ORDER,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            post_hook(x, action="record")
            hook(x, action="double")
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert hook_log() == [[2.0, 4.0], [4.0, 8.0]]
            assert grad(x) == [4.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    14,
    "Registering a hook on the accumulated gradient of a tensor that is no leaf, or that does"
    " not require gradients, must be refused.",
    why="Nothing is ever accumulated there: the optimiser step that hangs on it would never be"
    " taken.",
    source=sources.POST_ACCUMULATE,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            with raises():
                post_hook(y, action="record")
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0])
            with raises():
                post_hook(x, action="record")
            """
        ),
    ],
)

THEME.clause(
    15,
    "Gradients asked for as a result must not call the hooks on accumulated gradients: nothing"
    " is accumulated.",
    why="A gradient penalty that is computed on the side would take an optimiser step.",
    source=sources.POST_ACCUMULATE,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            post_hook(x, action="record")
            y = mul(x, x)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x])
            assert value(g) == [2.0, 4.0]
            assert hook_log() == []
            assert grad(x) is None
            """
        ),
    ],
)
