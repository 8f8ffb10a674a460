"""Lifetime: what is kept for backward, and when it is let go, the garbage collector being off."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("lifetime", "LIFE", "Lifetime")

THEME.clause(
    1,
    "The memory of a tensor that nobody refers to and no recorded operation needs must be"
    " released at once.",
    why="Where release waits for a garbage collector, a loop that allocates fast runs out of"
    " memory that is not in use.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            w = watch(y)
            z = add(y, other=1.0)
            assert alive(w)
            drop(y)
            assert not alive(w)
            assert value(z) == [3.0, 5.0]
            """
        ),
    ],
)

THEME.clause(
    2,
    "What a recorded operation saved must be kept for backward, and must be released once the"
    " result is dropped.",
    why="An evaluation that forgets no_grad is slow, but it must not fill the memory: its graph"
    " has to go with its result.",
    source=sources.NOTE_HISTORY,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            w = watch(y)
            z = mul(y, y)
            drop(y)
            assert alive(w)
            s = sum(z)
            drop(z)
            assert alive(w)
            drop(s)
            assert not alive(w)
            """
        ),
    ],
)

THEME.clause(
    3,
    "Backward without retain_graph must release what was saved, even while the root is kept.",
    why="Losses are collected in lists for a plot; if each holds its activations, memory grows"
    " with every step.",
    source=sources.BACKWARD,
    needs=("frees_graph",),
    generated=("lifetime.graphs",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            w = watch(y)
            z = mul(y, y)
            s = sum(z)
            drop(y, z)
            backward(s)
            assert not alive(w)
            assert grad(x) == [8.0, 16.0]
            assert value(s) == 20.0
            """
        ),
    ],
)

THEME.clause(
    4,
    "A graph that backward retained must be released with its root.",
    why="retain_graph is meant for one more pass; what it keeps must not outlive the last tensor"
    " through which a pass could start.",
    source=sources.BACKWARD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            w = watch(y)
            z = mul(y, y)
            s = sum(z)
            drop(y, z)
            backward(s, retain_graph=True)
            assert alive(w)
            drop(s)
            assert not alive(w)
            """
        ),
    ],
)

THEME.clause(
    5,
    "Inside no_grad nothing must be kept: an intermediate must be released as soon as its name"
    " is dropped.",
    why="Evaluation under no_grad has room for batches that training has not, because of this"
    " and nothing else.",
    source=sources.NO_GRAD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with no_grad():
                y = mul(x, other=2.0)
                w = watch(y)
                z = mul(y, y)
                drop(y)
                assert not alive(w)
                assert value(z) == [4.0, 16.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "A detached result must not keep alive the graph that it was detached from.",
    why="Running averages of the loss are detached so that the graph can go; if it stays, every"
    " step of the epoch is held.",
    source=sources.DETACH,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            w = watch(y)
            z = mul(y, y)
            s = sum(z)
            d = detach(s)
            drop(y, z, s)
            assert not alive(w)
            assert value(d) == 20.0
            """
        ),
    ],
)

THEME.clause(
    7,
    "A stored gradient that is cleared must be released.",
    why="Clearing gradients to nothing is done to save memory; a second reference inside the"
    " engine takes the saving away.",
    source=sources.ZERO_GRAD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            g = grad(x)
            w = watch(g)
            drop(g)
            assert alive(w)
            set_grad(x, value=None)
            assert not alive(w)
            """
        ),
    ],
)

THEME.clause(
    8,
    "A gradient with a graph of its own must be released, together with all that it was computed"
    " from, once it and the results are dropped.",
    why="Penalties on gradients are computed in every step; a cycle between a gradient and its"
    " graph leaks one graph per step.",
    source=sources.AUTOGRAD_GRAD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            k = mul(x, other=1.0)
            w = watch(k)
            y = pow(k, exponent=3)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            drop(k, y, s)
            assert alive(w)
            drop(g)
            assert not alive(w)
            """
        ),
    ],
)

THEME.clause(
    9,
    "A hook must not keep the tensor alive that it is registered on.",
    why="Hooks are often left in place; each would hold an activation for as long as the program"
    " runs.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            hook(y, action="double")
            w = watch(y)
            z = mul(y, y)
            s = sum(z)
            backward(s)
            drop(y, z, s)
            assert not alive(w)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            hook(y, action="double")
            w = watch(y)
            drop(y)
            assert not alive(w)
            """
        ),
    ],
)

THEME.clause(
    10,
    "What a custom function saved must be released with its graph.",
    why="A context that refers to its own result, and the result to it, is a cycle in every call"
    " of a hand-written layer.",
    source=sources.EXTENDING_SAVING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = custom_function(x, forward="exp(a)", backward="mul(g, y)")
            w = watch(y)
            s = sum(y)
            drop(y)
            assert alive(w)
            drop(s)
            assert not alive(w)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            k = mul(x, other=2.0)
            w = watch(k)
            y = custom_function(k, forward="mul(a, a)", backward="mul(mul(g, a), other=2.0)")
            s = sum(y)
            drop(k, y)
            backward(s)
            assert not alive(w)
            """
        ),
    ],
)
