"""Leaf gradients: which tensors get a gradient from backward, and which gradient it is."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("leaves", "LEAF", "Leaf gradients")
_JUDGED = ("differential", "finite_difference", "adjoint")

THEME.clause(
    1,
    "After backward from a scalar root, each leaf that requires gradients and that contributed"
    " to the root must hold the derivative of the root with respect to it as its gradient, in"
    " the leaf's own shape.",
    why="A wrong derivative raises nothing: training converges more slowly or to something else,"
    " and the cause is looked for in the model and in the data.",
    source=sources.BACKWARD,
    oracles=_JUDGED,
    generated=("leaves.gradients",),
    scenarios=[
        scenario(
            """
            x = leaf(2.0, requires_grad=True)
            p = pow(x, exponent=2)
            q = mul(x, other=3.0)
            s = add(p, q)
            y = add(s, other=1.0)
            assert value(y) == 11.0
            backward(y)
            assert grad(x) == 7.0
            """,
            "B15",
        ),
        scenario(
            """
            x = leaf(2.0, dtype="float64", requires_grad=True)
            p = pow(x, exponent=2)
            q = mul(x, other=3.0)
            s = add(p, q)
            y = add(s, other=1.0)
            backward(y)
            assert grad(x) == 7.0
            """,
            "B15",
        ),
        scenario(
            """
            x = leaf([[1.0, 1.0], [1.0, 1.0]], requires_grad=True)
            y = add(x, other=1.0)
            z = pow(y, exponent=2)
            m = mean(z)
            assert value(z) == [[4.0, 4.0], [4.0, 4.0]]
            assert value(m) == 4.0
            backward(m)
            assert grad(x) == [[1.0, 1.0], [1.0, 1.0]]
            """,
            "B2",
            "B4",
        ),
        scenario(
            """
            a = leaf([[1.0, 2.0, 3.0]], dtype="float64", requires_grad=True)
            b = leaf([[4.0], [5.0], [6.0]], dtype="float64", requires_grad=True)
            y = mm(a, b)
            assert value(y) == [[32.0]]
            s = sum(y)
            backward(s)
            assert grad(a) == [[4.0, 5.0, 6.0]]
            assert grad(b) == [[1.0], [2.0], [3.0]]
            """,
            "B17",
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
            backward(loss)
            p = sigmoid(z)
            third = div(p, other=3.0)
            outer_product = outer(x, third)
            assert grad(b) == third
            assert grad(w) == outer_product
            """,
            "C1",
        ),
        scenario(
            """
            a = leaf([6.0, 9.0], requires_grad=True)
            b = leaf([2.0, 1.0], requires_grad=True)
            c = leaf([4.0, 2.0], requires_grad=True)
            d = sub(a, b)
            q = div(d, c)
            assert value(q) == [1.0, 4.0]
            s = sum(q)
            backward(s)
            assert grad(a) == [0.25, 0.5]
            assert grad(b) == [-0.25, -0.5]
            assert grad(c) == [-0.25, -2.0]
            """
        ),
    ],
)

THEME.clause(
    2,
    "Where a tensor is used more than once, its gradient must be the sum of the contributions of"
    " all its uses, also when one operation uses it twice.",
    why="An engine that lets one path overwrite another is right on every chain and wrong on"
    " every residual connection, shared weight and square.",
    source=sources.NOTE_HISTORY,
    oracles=_JUDGED,
    generated=("leaves.fan_out",),
    scenarios=[
        scenario(
            """
            x1 = leaf(1.0, requires_grad=True)
            x2 = leaf(2.0, requires_grad=True)
            s = mul(x1, x1)
            p = mul(s, other=3.0)
            q = mul(x2, other=9.0)
            y = add(p, q)
            assert value(y) == 21.0
            backward(y)
            assert grad(x1) == 6.0
            assert grad(x2) == 9.0
            """,
            "B16",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            left = mul(y, other=2.0)
            right = mul(y, y)
            both = add(left, right)
            residual = add(both, x)
            s = sum(residual)
            backward(s)
            assert grad(x) == [9.0, 41.0]
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            y = matmul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [[7.0, 11.0], [9.0, 13.0]]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Where an operation broadcasts a tensor, the tensor's gradient must be summed over the"
    " broadcast axes back to the tensor's own shape.",
    why="A bias whose gradient keeps the batch axis, or takes only its first row, either breaks"
    " the update or trains the bias on one example of the batch.",
    source=sources.NOTE_BROADCASTING,
    oracles=_JUDGED,
    generated=("leaves.broadcast",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            b = leaf([10.0, 20.0, 30.0], requires_grad=True)
            y = mul(x, b)
            s = sum(y)
            backward(s)
            assert grad(x) == [[10.0, 20.0, 30.0], [10.0, 20.0, 30.0]]
            assert grad(b) == [5.0, 7.0, 9.0]
            """
        ),
        scenario(
            """
            a = leaf([[1.0], [2.0]], requires_grad=True)
            b = leaf([[3.0, 4.0, 5.0]], requires_grad=True)
            y = mul(a, b)
            s = sum(y)
            backward(s)
            assert grad(a) == [[12.0], [12.0]]
            assert grad(b) == [[3.0, 3.0, 3.0]]
            """
        ),
        scenario(
            """
            a = leaf(3.0, requires_grad=True)
            b = leaf([1.0, 2.0, 4.0], requires_grad=True)
            y = mul(a, b)
            s = sum(y)
            backward(s)
            assert grad(a) == 7.0
            assert grad(b) == [3.0, 3.0, 3.0]
            """
        ),
        scenario(
            """
            e = leaf([[], []], requires_grad=True)
            c = leaf([[2.0], [3.0]], requires_grad=True)
            y = mul(e, c)
            s = sum(y)
            backward(s)
            assert grad(e) == [[], []]
            assert grad(c) == [[0.0], [0.0]]
            """
        ),
    ],
)

THEME.clause(
    4,
    "A tensor that does not require gradients must get none, and must not keep other tensors"
    " from getting theirs.",
    why="Gradients of inputs and labels that nobody asked for cost the memory of a second batch;"
    " worse, an optimizer given all tensors would then change the data.",
    source=sources.NOTE_SETTING_REQUIRES_GRAD,
    generated=("leaves.gradients",),
    scenarios=[
        scenario(
            """
            x1 = leaf(1.0)
            x2 = leaf(2.0, requires_grad=True)
            s = mul(x1, x1)
            p = mul(s, other=3.0)
            q = mul(x2, other=9.0)
            y = add(p, q)
            backward(y)
            assert grad(x1) is None
            assert grad(x2) == 9.0
            """,
            "B16",
        ),
        scenario(
            """
            w = leaf([1.0, 2.0], requires_grad=True)
            x = leaf([3.0, 4.0])
            y = dot(w, x)
            backward(y)
            assert grad(x) is None
            assert grad(w) == [3.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "Backward must leave no gradient on a tensor made by a recorded operation, unless"
    " retain_grad was called on it before.",
    why="Gradients kept on every intermediate multiply the memory of training by the depth of"
    " the network, and are found only when it runs out.",
    source=sources.IS_LEAF,
    needs=("retain_grad",),
    generated=("leaves.intermediates",),
    unless=("gradients_everywhere",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            mid = mul(x, other=3.0)
            out = sum(mid)
            backward(out)
            assert grad(x) == [3.0, 3.0]
            assert grad(mid) is None
            assert grad(out) is None
            """,
            "A2",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            kept = mul(x, other=3.0)
            mid = mul(kept, kept)
            out = sum(mid)
            retain_grad(kept)
            backward(out)
            assert grad(kept) == [6.0, 12.0]
            assert grad(mid) is None
            """,
            "A2",
        ),
    ],
)

THEME.clause(
    6,
    "After retain_grad, backward must leave on an intermediate tensor the derivative of the root"
    " with respect to it, summed over all its uses; asking twice, or on a leaf, must change"
    " nothing.",
    why="Retained gradients are how people inspect vanishing gradients and compute saliency: a"
    " partial sum or a doubled one looks plausible.",
    source=sources.RETAIN_GRAD,
    generated=("leaves.retained",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            mid = mul(x, other=3.0)
            square = mul(mid, mid)
            both = add(square, mid)
            out = sum(both)
            retain_grad(mid)
            retain_grad(out)
            backward(out)
            assert grad(mid) == [7.0, 13.0]
            assert grad(out) == 1.0
            assert grad(x) == [21.0, 39.0]
            """,
            "A2",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            mid = mul(x, other=3.0)
            retain_grad(x)
            retain_grad(mid)
            retain_grad(mid)
            out = sum(mid)
            backward(out)
            assert grad(mid) == [1.0, 1.0]
            assert grad(x) == [3.0, 3.0]
            """
        ),
    ],
)

THEME.clause(
    7,
    "A leaf on which the root does not depend must be left as it was: without a gradient where"
    " it had none.",
    why="Zeros instead of nothing make an optimizer with momentum or weight decay move"
    " parameters that took no part in the step.",
    source=sources.GRAD,
    generated=("leaves.unused",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            unused = leaf([5.0, 6.0], requires_grad=True)
            y = mul(x, x)
            out = sum(y)
            backward(out)
            assert grad(x) == [2.0, 4.0]
            assert grad(unused) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            beside = leaf([5.0, 6.0], requires_grad=True)
            y = mul(x, x)
            other = mul(y, beside)
            out = sum(y)
            backward(out)
            assert grad(x) == [2.0, 4.0]
            assert grad(beside) is None
            """
        ),
    ],
)
