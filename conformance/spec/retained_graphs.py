"""Retained and freed graphs: how often backward may walk a graph, and what it leaves behind."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario
from conformance.verdict import Level

THEME = Theme("retained_graphs", "RET", "Retained and freed graphs")
_ADDS = ("accumulates",)
_FREES = ("frees_graph",)

THEME.clause(
    1,
    "A second backward through a graph that the first one freed must be refused where it needs"
    " saved values, and must add nothing to the gradients of leaves that lie behind the freed"
    " operations.",
    why="A second pass over freed or half-freed values adds garbage, or the same gradient twice,"
    " to the step; the error is what tells people that their loop reuses a graph.",
    source=sources.BACKWARD,
    needs=_FREES,
    generated=("retained.freed",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0, 6.0]
            with raises():
                backward(s)
            assert grad(x) == [2.0, 4.0, 6.0]
            """,
            "A3",
        ),
        scenario(
            """
            x = leaf([0.0, 0.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            e = exp(x)
            y = mul(e, w)
            s = sum(y)
            backward(s)
            with raises():
                backward(s)
            assert grad(x) == [3.0, 4.0]
            assert grad(w) == [1.0, 1.0]
            """,
            "A3",
        ),
    ],
)

THEME.clause(
    2,
    "Backward with retain_graph must leave the graph usable: each further backward through it"
    " must add the same gradients again.",
    why="Jacobians row by row and alternating penalties walk one graph many times; a graph that"
    " decays with each walk gives a first row that is right and others that are not.",
    source=sources.BACKWARD,
    needs=_ADDS,
    generated=("retained.repeat",),
    scenarios=[
        scenario(
            """
            inp = leaf(
                [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]],
                requires_grad=True,
            )
            ones = leaf([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]])
            more = add(inp, other=1.0)
            squared = pow(more, exponent=2)
            out = t(squared)
            backward(out, gradient=ones, retain_graph=True)
            assert grad(inp) == [[4, 2, 2, 2, 2], [2, 4, 2, 2, 2], [2, 2, 4, 2, 2], [2, 2, 2, 4, 2]]
            backward(out, gradient=ones, retain_graph=True)
            assert grad(inp) == [[8, 4, 4, 4, 4], [4, 8, 4, 4, 4], [4, 4, 8, 4, 4], [4, 4, 4, 8, 4]]
            g = grad(inp)
            zero_(g)
            backward(out, gradient=ones, retain_graph=True)
            assert grad(inp) == [[4, 2, 2, 2, 2], [2, 4, 2, 2, 2], [2, 2, 4, 2, 2], [2, 2, 2, 4, 2]]
            """,
            "C4",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s, retain_graph=True)
            backward(s, retain_graph=True)
            backward(s, retain_graph=True)
            assert grad(x) == [6.0, 12.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Backward from several losses on one forward pass, with retain_graph on all but the last,"
    " must accumulate the gradient of the sum of the losses, in whatever order they are taken.",
    why="Models with several heads train this way; a trunk walked once learns from one of them.",
    source=sources.BACKWARD,
    needs=_ADDS,
    generated=("retained.losses",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            trunk = mul(x, x)
            first = sum(trunk)
            cubes = mul(trunk, x)
            second = sum(cubes)
            twice = mul(trunk, other=2.0)
            third = sum(twice)
            backward(first, retain_graph=True)
            assert grad(x) == [2.0, 4.0]
            backward(second, retain_graph=True)
            assert grad(x) == [5.0, 16.0]
            backward(third)
            assert grad(x) == [9.0, 24.0]
            """,
            "E6",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            trunk = mul(x, x)
            first = sum(trunk)
            cubes = mul(trunk, x)
            second = sum(cubes)
            backward(second, retain_graph=True)
            backward(first)
            assert grad(x) == [5.0, 16.0]
            """,
            "E6",
        ),
        scenario(
            """
            x = leaf(2.0, requires_grad=True)
            mid = mul(x, x)
            out = mul(mid, mid)
            backward(mid, retain_graph=True)
            assert grad(x) == 4.0
            backward(out)
            assert grad(x) == 36.0
            """
        ),
    ],
)

THEME.clause(
    4,
    "After a backward without retain_graph, backward from another root that shares freed"
    " operations with the first must be refused.",
    why="The second head would otherwise train on what is left of the trunk: its own layers"
    " learn, the trunk gets nothing or noise.",
    source=sources.BACKWARD,
    needs=_FREES,
    generated=("retained.shared",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            trunk = mul(x, x)
            first = sum(trunk)
            twice = mul(trunk, other=2.0)
            second = sum(twice)
            backward(first)
            with raises():
                backward(second)
            assert grad(x) == [2.0, 4.0]
            """,
            "E6",
        ),
        scenario(
            """
            x = leaf(2.0, requires_grad=True)
            mid = mul(x, x)
            out = mul(mid, mid)
            backward(mid)
            with raises():
                backward(out)
            assert grad(x) == 4.0
            """
        ),
    ],
)

THEME.clause(
    5,
    "A backward without retain_graph must free the graph also where an earlier one retained it.",
    why="A retain that sticks keeps every saved activation alive; the loop runs and its memory"
    " grows until it is killed.",
    source=sources.BACKWARD,
    needs=_ADDS + _FREES,
    generated=("retained.freed",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s, retain_graph=True)
            backward(s)
            with raises():
                backward(s)
            assert grad(x) == [4.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "Losses whose graphs share leaves but no operation must each allow a backward without"
    " retain_graph.",
    why="Every training loop shares its parameters between steps; a leaf that is freed with the"
    " graph makes the second step fail or train on nothing.",
    source=sources.NOTE_HISTORY,
    needs=_ADDS,
    generated=("retained.disjoint",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            c = mul(x, x)
            d = mul(c, x)
            t = sum(d)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            backward(t)
            assert grad(x) == [5.0, 16.0]
            """
        ),
        scenario(
            """
            w = leaf([1.0, 2.0], requires_grad=True)
            y1 = mul(w, w)
            s1 = sum(y1)
            backward(s1)
            y2 = mul(w, w)
            s2 = sum(y2)
            backward(s2)
            y3 = mul(w, w)
            s3 = sum(y3)
            backward(s3)
            assert grad(w) == [6.0, 12.0]
            """
        ),
    ],
)

THEME.clause(
    7,
    "A second backward should be allowed through operations that save no values, such as"
    " addition and summation, and should add the same gradients again.",
    why="The error is owed for lost values, not for a second walk: an engine that refuses here"
    " refuses code that runs on PyTorch.",
    source=sources.NOTE_SAVED_TENSORS,
    level=Level.SHOULD,
    needs=_ADDS,
    generated=("retained.linear",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            y = add(x, other=1.0)
            s = sum(y)
            backward(s)
            backward(s)
            assert grad(x) == [2.0, 2.0, 2.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            trunk = add(x, other=1.0)
            a = mul(trunk, trunk)
            sa = sum(a)
            b = sin(trunk)
            sb = sum(b)
            backward(sa)
            assert grad(x) == [4.0, 6.0]
            set_grad(x, value=None)
            backward(sb)
            slope = cos(trunk)
            assert grad(x) == slope
            """
        ),
    ],
)

THEME.clause(
    8,
    "Freeing a graph must not change the values of any tensor: roots, intermediate tensors and"
    " leaves must read as before backward.",
    why="Losses and predictions are logged after the step; buffers handed back too early are"
    " overwritten by the next batch.",
    source=sources.OWN_REASONING,
    generated=("retained.values",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            z = mul(y, other=3.0)
            s = sum(z)
            backward(s)
            assert value(s) == 15.0
            assert value(z) == [3.0, 12.0]
            assert value(y) == [1.0, 4.0]
            assert value(x) == [1.0, 2.0]
            fresh = mul(y, z)
            assert value(fresh) == [3.0, 48.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "Asking for gradients as a result with retain_graph must leave the graph usable, for the"
    " same question and for backward.",
    why="Per-sample gradients and penalties ask first and call backward after; if asking frees"
    " or spends the graph, the real step is refused or short.",
    source=sources.AUTOGRAD_GRAD,
    generated=("retained.grad_of",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            g1 = grad_of(outputs=[s], inputs=[x], retain_graph=True)
            g2 = grad_of(outputs=[s], inputs=[x], retain_graph=True)
            assert value(g1) == [2.0, 4.0]
            assert value(g2) == [2.0, 4.0]
            assert grad(x) is None
            backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    10,
    "A refused backward must leave the engine usable: the same leaves must give right gradients"
    " in a new forward and backward pass.",
    why="Interactive sessions and retry loops go on after an error; counters or locks left"
    " half-way make every later result wrong.",
    source=sources.OWN_REASONING,
    needs=_ADDS + _FREES,
    generated=("retained.recovery",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            with raises():
                backward(s)
            z = mul(x, x)
            t = sum(z)
            backward(t)
            assert grad(x) == [4.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    11,
    "Asking for gradients as a result without retain_graph must free the graph as backward does.",
    why="A question that keeps what nobody asked it to keep holds the activations of every batch"
    " that was asked about.",
    source=sources.AUTOGRAD_GRAD,
    needs=_FREES,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x])
            assert value(g) == [2.0, 4.0]
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
    ],
)
