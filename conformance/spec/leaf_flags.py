"""Leaf flags: requires_grad, is_leaf and grad_fn, by which an engine decides what it tracks."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import scenario
from conformance.spec.leaves import THEME
from conformance.verdict import Level

THEME.clause(
    8,
    "While operations are recorded, the result of a differentiable operation must require gradients"
    " exactly when at least one of its inputs does.",
    why="A flag lost on the way ends learning upstream of that point without a word; a flag"
    " gained records graphs during evaluation until memory is exhausted.",
    source=sources.NOTE_REQUIRES_GRAD,
    generated=("leaves.flags",),
    scenarios=[
        scenario(
            """
            a = leaf([1.0])
            b = leaf([2.0])
            p = leaf([3.0], requires_grad=True)
            q = leaf([4.0], requires_grad=True)
            ab = add(a, b)
            ap = add(a, p)
            pa = add(p, a)
            pq = add(p, q)
            assert not requires_grad(ab)
            assert requires_grad(ap)
            assert requires_grad(pa)
            assert requires_grad(pq)
            """,
            "E1",
        ),
        scenario(
            """
            a = leaf([1.0, 2.0])
            p = leaf([3.0, 4.0], requires_grad=True)
            y = mul(a, p)
            z = sin(y)
            s = sum(z)
            t = mul(s, other=2.0)
            assert requires_grad(t)
            b = mul(a, a)
            c = sin(b)
            assert not requires_grad(c)
            """,
            "E1",
        ),
    ],
)

THEME.clause(
    9,
    "A tensor made by the user, and any tensor that does not require gradients, must be a leaf"
    " with no grad_fn; the result of an operation on a tensor that requires gradients must not"
    " be a leaf.",
    why="Optimizers, hooks and serialisation ask is_leaf to tell parameters from results: a"
    " wrong answer makes them update or save the wrong tensors.",
    source=sources.IS_LEAF,
    generated=("leaves.flags",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            y = mul(x, c)
            d = mul(c, c)
            assert is_leaf(x)
            assert is_leaf(c)
            assert is_leaf(d)
            assert not is_leaf(y)
            """,
            "A1",
        ),
        scenario(
            """
            x = leaf([[1.0, 1.0], [1.0, 1.0]], requires_grad=True)
            assert is_leaf(x)
            assert requires_grad(x)
            """,
            "B1",
        ),
        scenario(
            """
            x = leaf([[1.0, 1.0], [1.0, 1.0]], requires_grad=True)
            assert grad_fn(x) is None
            """,
            "A1",
            "B1",
        ),
        scenario(
            """
            c = leaf([3.0, 4.0])
            d = mul(c, c)
            assert grad_fn(d) is None
            """
        ),
    ],
)

THEME.clause(
    10,
    "The grad_fn of a result should be named after the operation that made it, as PyTorch names"
    " its nodes.",
    why="The name is what people read to see where a tensor comes from; tools that draw or"
    " filter graphs match on it.",
    source=sources.NODE_NAME,
    level=Level.SHOULD,
    unless=("own_node_names",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 1.0], [1.0, 1.0]], requires_grad=True)
            y = add(x, other=1.0)
            z = pow(y, exponent=2)
            m = mean(z)
            assert grad_fn(y) == "AddBackward0"
            assert grad_fn(z) == "PowBackward0"
            assert grad_fn(m) == "MeanBackward0"
            """,
            "A1",
            "B2",
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            s = sum(x)
            v = view(x, size=[4])
            g = sigmoid(x)
            p = mm(x, x)
            assert grad_fn(s) == "SumBackward0"
            assert grad_fn(v) == "ViewBackward0"
            assert grad_fn(g) == "SigmoidBackward0"
            assert grad_fn(p) == "MmBackward0"
            """,
            "B2",
        ),
        scenario(
            """
            x = leaf([1.0, 1.0, 1.0, 1.0, 1.0])
            t = leaf([0.0, 0.0, 0.0])
            w = leaf(shape=[5, 3], seed=1, requires_grad=True)
            b = leaf(shape=[3], seed=2, requires_grad=True)
            xw = matmul(x, w)
            z = add(xw, b)
            loss = nn.functional.binary_cross_entropy_with_logits(z, t)
            assert grad_fn(z) == "AddBackward0"
            assert grad_fn(loss) == "BinaryCrossEntropyWithLogitsBackward0"
            """,
            "C1",
        ),
    ],
)

THEME.clause(
    11,
    "A tensor must not require gradients unless asked to; once asked, later operations on it"
    " must be recorded as if it had been asked at its creation, and earlier ones must not be.",
    why="Fine-tuning switches flags between phases: if the switch comes too late or reaches"
    " back, the wrong layers learn.",
    source=sources.REQUIRES_GRAD_,
    generated=("leaves.late",),
    scenarios=[
        scenario(
            """
            p = leaf([1.0, 2.0])
            q = leaf([4.0, 8.0])
            thrice = mul(p, other=3.0)
            less = sub(q, other=1.0)
            a = div(thrice, less)
            assert not requires_grad(a)
            requires_grad_(a, flag=True)
            assert requires_grad(a)
            assert is_leaf(a)
            square = mul(a, a)
            b = sum(square)
            assert requires_grad(b)
            assert not is_leaf(b)
            """,
            "B3",
        ),
        scenario(
            """
            p = leaf([1.0, 2.0])
            a = mul(p, other=3.0)
            requires_grad_(a, flag=True)
            square = mul(a, a)
            b = sum(square)
            assert grad_fn(b) == "SumBackward0"
            """,
            "B3",
        ),
        scenario(
            """
            early = leaf([1.0, 2.0], requires_grad=True)
            late = leaf([1.0, 2.0])
            requires_grad_(late, flag=True)
            u = mul(early, early)
            v = mul(late, late)
            su = sum(u)
            sv = sum(v)
            backward(su)
            backward(sv)
            assert grad(early) == [2.0, 4.0]
            assert grad(late) == [2.0, 4.0]
            """,
            "C2",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0])
            before = mul(x, x)
            requires_grad_(x, flag=True)
            after = mul(x, other=5.0)
            both = add(before, after)
            s = sum(both)
            backward(s)
            assert grad(x) == [5.0, 5.0]
            """
        ),
    ],
)

THEME.clause(
    12,
    "Where the parameters of a middle stage do not require gradients, they must get none, while"
    " the stages before and after it must get theirs, through it.",
    why="Freezing a block is how pretrained parts are reused; if freezing also stops the flow,"
    " the stages before it silently stop learning.",
    source=sources.NOTE_SETTING_REQUIRES_GRAD,
    oracles=("differential", "finite_difference"),
    generated=("leaves.frozen",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            a = leaf([3.0, 4.0], requires_grad=True)
            b = leaf([5.0, 6.0])
            c = leaf([7.0, 8.0], requires_grad=True)
            ya = mul(x, a)
            yb = mul(ya, b)
            yc = mul(yb, c)
            loss = sum(yc)
            backward(loss)
            assert grad(a) == [35.0, 96.0]
            assert grad(b) is None
            assert grad(c) == [15.0, 48.0]
            """,
            "E2",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0])
            a = leaf([3.0, 4.0], requires_grad=True)
            b = leaf([5.0, 6.0], requires_grad=True)
            requires_grad_(b, flag=False)
            ya = mul(x, a)
            yb = mul(ya, b)
            loss = sum(yb)
            backward(loss)
            assert grad(a) == [5.0, 12.0]
            assert grad(b) is None
            """,
            "E2",
        ),
    ],
)

THEME.clause(
    13,
    "Only tensors of a floating-point or complex dtype can require gradients: asking it of an"
    " integer or boolean tensor must be refused.",
    why="An integer leaf that accepts the flag promises a gradient that can only be rounded or"
    " dropped: indices and labels look trainable and never move.",
    source=sources.REQUIRES_GRAD_,
    needs=("requires_grad",),
    unless=("tracked_integers",),
    scenarios=[
        scenario(
            """
            n = leaf([1, 2, 3], dtype="int64")
            with raises():
                requires_grad_(n, flag=True)
            assert not requires_grad(n)
            """
        ),
        scenario(
            """
            with raises():
                n = leaf([1, 2, 3], dtype="int64", requires_grad=True)
            """
        ),
        scenario(
            """
            m = leaf([1, 0, 1], dtype="bool")
            with raises():
                requires_grad_(m, flag=True)
            """
        ),
    ],
)

THEME.clause(
    14,
    "Clearing requires_grad on a tensor made by a recorded operation must be refused; detach is"
    " the way to cut a graph.",
    why="A cleared flag on a result would contradict the graph that still hangs on it: the"
    " tensor would look constant and yet pass gradients on.",
    source=sources.REQUIRES_GRAD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            with raises():
                requires_grad_(y, flag=False)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    15,
    "Recording must not change values: an operation must yield the same values whether or not"
    " its inputs require gradients.",
    why="A separate forward path for training, with other rounding or another formula, makes"
    " evaluation disagree with the loss that was minimised.",
    source=sources.OWN_REASONING,
    generated=("leaves.values",),
    scenarios=[
        scenario(
            """
            x = leaf([0.5, 1.5, -2.0], requires_grad=True)
            c = leaf([0.5, 1.5, -2.0])
            sx = sin(x)
            sc = sin(c)
            yx = mul(sx, x)
            yc = mul(sc, c)
            assert value(sx) == sc
            assert value(yx) == yc
            """
        ),
    ],
)

THEME.clause(
    16,
    "The gradient of a leaf must have the leaf's dtype, also where leaves of different dtypes"
    " meet in one graph.",
    why="A float64 gradient on a float32 parameter doubles memory and breaks the update in"
    " place; a float32 gradient on a float64 one throws away half of the digits.",
    source=sources.TENSOR_ATTRIBUTES,
    unless=("refuses_mixed_dtypes",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float32", requires_grad=True)
            d = leaf([3.0, 4.0], dtype="float64", requires_grad=True)
            y = mul(x, d)
            s = sum(y)
            backward(s)
            gx = leaf([3.0, 4.0], dtype="float32")
            gd = leaf([1.0, 2.0], dtype="float64")
            assert grad(x) == gx
            assert grad(d) == gd
            """
        ),
    ],
)

THEME.clause(
    17,
    "retain_grad on a tensor that does not require gradients must be refused.",
    why="It asks for something that can never come: accepted in silence, it leaves a None that"
    " is read as a layer through which no gradient flows.",
    source=sources.RETAIN_GRAD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with raises():
                retain_grad(x)
            y = mul(x, x)
            with raises():
                retain_grad(y)
            """
        ),
    ],
)
