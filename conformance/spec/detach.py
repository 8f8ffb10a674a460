"""Detach and detach_: cutting a graph without copying values."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("detach", "DET", "detach and detach_")

THEME.clause(
    1,
    "The result of detach must have the values of its source, must not require gradients and"
    " must be a leaf.",
    why="Targets, metrics and replay buffers are built from detached tensors: one that is still"
    " tracked drags every past graph along.",
    source=sources.DETACH,
    generated=("detach.cut",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            d = detach(y)
            assert value(d) == [1.0, 4.0]
            assert not requires_grad(d)
            z = mul(d, d)
            assert not requires_grad(z)
            """,
            "C3",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            d = detach(y)
            e = detach(d)
            assert is_leaf(d)
            assert is_leaf(e)
            assert value(e) == [1.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            d = detach(y)
            assert grad_fn(d) is None
            """,
            "C3",
        ),
    ],
)

THEME.clause(
    2,
    "No gradient must flow through detach: what lies upstream of the cut gets none through it,"
    " and what lies downstream gets what it would get from a constant.",
    why="Stop-gradients hold up target networks, self-supervised pairs and straight-through"
    " estimators; one that leaks lets both sides collapse together.",
    source=sources.DETACH,
    generated=("detach.cut",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            a = leaf([3.0, 4.0], requires_grad=True)
            b = leaf([5.0, 6.0], requires_grad=True)
            ya = mul(x, a)
            cut = detach(ya)
            yb = mul(cut, b)
            loss = sum(yb)
            backward(loss)
            assert grad(a) is None
            assert grad(b) == [3.0, 8.0]
            """,
            "E3",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            d = detach(x)
            w = leaf([5.0, 6.0], requires_grad=True)
            y = mul(d, w)
            loss = sum(y)
            backward(loss)
            assert grad(x) is None
            assert grad(w) == [1.0, 2.0]
            """,
            "E3",
        ),
    ],
)

THEME.clause(
    3,
    "Detach must cut only its own path: the source must stay tracked, and its other uses must"
    " pass gradients on.",
    why="x times detach(x) is the idiom of weighting by a constant: an engine that cuts the"
    " source gives nothing, one that cuts nothing gives twice too much.",
    source=sources.DETACH,
    generated=("detach.cut",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            d = detach(x)
            y = mul(x, d)
            s = sum(y)
            backward(s)
            assert grad(x) == [1.0, 2.0, 3.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            d = detach(y)
            assert requires_grad(y)
            both = mul(y, d)
            s = sum(both)
            backward(s)
            assert grad(x) == [2.0, 16.0]
            """
        ),
    ],
)

THEME.clause(
    4,
    "The result of detach must share memory with its source: a write through either must be seen"
    " by both.",
    why="Buffers such as running averages are updated through detached names; on a copy the"
    " update is lost.",
    source=sources.DETACH,
    generated=("detach.share",),
    unless=("detach_copies",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=3.0)
            d = detach(y)
            mul_(d, other=10.0)
            assert value(d) == [30.0, 60.0]
            assert value(y) == [30.0, 60.0]
            add_(y, other=1.0)
            assert value(d) == [31.0, 61.0]
            assert value(x) == [1.0, 2.0]
            """,
            "E4",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            d = detach(x)
            add_(d, other=5.0)
            assert value(x) == [6.0, 7.0]
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [12.0, 14.0]
            """,
            "E4",
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            y = mul(x, other=1.0)
            turned = t(y)
            column = select(y, dim=1, index=0)
            d = detach(turned)
            e = detach(column)
            mul_(d, other=10.0)
            zero_(e)
            assert value(y) == [[0.0, 20.0], [0.0, 40.0]]
            """,
            "E4",
        ),
    ],
)

THEME.clause(
    5,
    "A write through a detached tensor must count as a write to its source: backward that needs"
    " the old values must be refused.",
    why="Detach is the documented safe way to look at values: it is safe only because a careless"
    " write through it cannot falsify gradients in silence.",
    source=sources.DETACH,
    generated=("data.hazard",),
    unless=("keeps_saved_values",),
    scenarios=[
        scenario(
            """
            a = leaf([1.0, 2.0, 3.0], requires_grad=True)
            out = sigmoid(a)
            c = detach(out)
            zero_(c)
            assert value(out) == [0.0, 0.0, 0.0]
            s = sum(out)
            with raises():
                backward(s)
            assert grad(a) is None
            """,
            "B13",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=3.0)
            z = mul(y, y)
            d = detach(y)
            add_(d, other=1.0)
            s = sum(z)
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
    ],
)

THEME.clause(
    6,
    "After detach_, a tensor must itself be a leaf that does not require gradients, and no"
    " gradient must flow through its later uses.",
    why="Truncated backpropagation through time detaches the carried state in place at every"
    " chunk; a cut that does not hold makes each step as long as the whole history.",
    source=sources.DETACH_,
    generated=("detach.inplace",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            detach_(y)
            assert not requires_grad(y)
            assert value(y) == [1.0, 4.0]
            w = leaf([3.0, 4.0], requires_grad=True)
            z = mul(y, w)
            s = sum(z)
            backward(s)
            assert grad(x) is None
            assert grad(w) == [1.0, 4.0]
            """,
            "E5",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            detach_(y)
            assert is_leaf(y)
            assert grad_fn(y) is None
            """,
            "E5",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            detach_(x)
            assert not requires_grad(x)
            y = mul(x, x)
            assert not requires_grad(y)
            """
        ),
    ],
)

THEME.clause(
    7,
    "detach_ on a view must be refused.",
    why="A view shares its history with its base: cutting one of two names for the same memory"
    " would leave the other with a graph that no longer describes it.",
    source=sources.DETACH_,
    unless=("detaches_views",),
    generated=("detach.view",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            y = mul(x, other=3.0)
            v = view(y, size=[4])
            with raises():
                detach_(v)
            s = sum(v)
            backward(s)
            assert grad(x) == [[3.0, 3.0], [3.0, 3.0]]
            """,
            "E5",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            y = mul(x, other=3.0)
            v = narrow(y, dim=0, start=1, length=2)
            with raises():
                detach_(v)
            """,
            "E5",
        ),
    ],
)

THEME.clause(
    8,
    "detach_ must not change the graphs of results that were computed from the tensor before.",
    why="The loss of the last chunk is often still waiting for its backward when the state is"
    " detached; cutting backwards in time would drop its gradient.",
    source=sources.OWN_REASONING,
    generated=("detach.inplace",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            z = mul(y, other=3.0)
            detach_(y)
            s = sum(z)
            backward(s)
            assert grad(x) == [6.0, 6.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "A detached tensor that is asked to require gradients must become a leaf of its own, with a"
    " gradient of its own, and its source must not get any through it.",
    why="Attacks, layer-wise training and re-computation restart graphs from activations; one"
    " shared gradient would mix the old graph into the new.",
    source=sources.REQUIRES_GRAD_,
    generated=("detach.leaf",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            d = detach(y)
            requires_grad_(d, flag=True)
            z = mul(d, d)
            s = sum(z)
            backward(s)
            assert grad(d) == [2.0, 8.0]
            assert grad(x) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            d = detach(y)
            requires_grad_(d, flag=True)
            z = mul(d, d)
            s = sum(z)
            backward(s)
            g = grad(d)
            backward(y, gradient=g)
            assert grad(x) == [4.0, 32.0]
            """
        ),
    ],
)
