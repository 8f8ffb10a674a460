"""Accumulation: backward adds to the gradients that are there."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("accumulation", "ACC", "Gradient accumulation")
_ADDS = ("accumulates",)

THEME.clause(
    1,
    "Backward must add to the gradient that a leaf already has: after k identical passes it is k"
    " times the gradient of one.",
    why="Where backward overwrites, gradient accumulation trains on the last micro-batch only;"
    " where people rely on overwriting, a forgotten zero_grad goes unnoticed here and explodes"
    " elsewhere.",
    source=sources.GRAD,
    needs=_ADDS,
    generated=("accumulation.repeat",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, -2.0, 3.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, -4.0, 6.0]
            y2 = mul(x, x)
            s2 = sum(y2)
            backward(s2)
            assert grad(x) == [4.0, -8.0, 12.0]
            """,
            "A6",
        ),
        scenario(
            """
            x = leaf([[1.0, 1.0], [1.0, 1.0]], requires_grad=True)
            y = add(x, other=1.0)
            z = pow(y, exponent=2)
            m = mean(z)
            backward(m)
            assert grad(x) == [[1.0, 1.0], [1.0, 1.0]]
            s = sum(x)
            backward(s)
            assert grad(x) == [[2.0, 2.0], [2.0, 2.0]]
            """,
            "B5",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            z = mul(x, other=3.0)
            u = sum(z)
            backward(u, inputs=[x])
            assert grad(x) == [5.0, 7.0]
            """
        ),
    ],
)

THEME.clause(
    2,
    "The gradients that backward accumulates over several losses must equal the gradient of"
    " their sum.",
    why="Multi-task training runs one backward per loss to save memory; the result is only the"
    " same model if the sum rule holds through accumulation.",
    source=sources.BACKWARD,
    needs=_ADDS,
    generated=("accumulation.losses",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            squares = mul(x, x)
            first = sum(squares)
            backward(first)
            triple = mul(x, other=3.0)
            second = sum(triple)
            backward(second)
            cubes = pow(x, exponent=3)
            third = mean(cubes)
            backward(third)
            assert grad(x) == [6.5, 13.0]
            t = leaf([1.0, 2.0], requires_grad=True)
            u = mul(t, t)
            su = sum(u)
            v = mul(t, other=3.0)
            sv = sum(v)
            w = pow(t, exponent=3)
            mw = mean(w)
            suv = add(su, sv)
            all_of_them = add(suv, mw)
            backward(all_of_them)
            assert grad(t) == [6.5, 13.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Overwriting a leaf's stored gradient with zeros, in place, must make the next backward"
    " start from zero, and must leave the leaf's value alone.",
    why="This is what zero_grad does: if the engine accumulates into a hidden buffer instead,"
    " every step takes all earlier gradients along.",
    source=sources.ZERO_GRAD,
    needs=_ADDS,
    generated=("accumulation.reset",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 1.0], [1.0, 1.0]], requires_grad=True)
            y = add(x, other=1.0)
            z = pow(y, exponent=2)
            m = mean(z)
            backward(m)
            s = sum(x)
            backward(s)
            g = grad(x)
            d = data(g)
            zero_(d)
            assert grad(x) == [[0.0, 0.0], [0.0, 0.0]]
            s2 = sum(x)
            backward(s2)
            assert grad(x) == [[1.0, 1.0], [1.0, 1.0]]
            """,
            "B6",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            g = grad(x)
            zero_(g)
            assert grad(x) == [0.0, 0.0]
            assert value(x) == [1.0, 2.0]
            z = mul(x, other=3.0)
            t = sum(z)
            backward(t)
            assert grad(x) == [3.0, 3.0]
            """,
            "B6",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            set_grad(x, value=[0.0, 0.0])
            z = mul(x, other=3.0)
            t = sum(z)
            backward(t)
            assert grad(x) == [3.0, 3.0]
            """,
            "B6",
        ),
    ],
)

THEME.clause(
    4,
    "A leaf whose gradient was set to None must have none until the next backward reaches it,"
    " which then starts afresh.",
    why="PyTorch's zero_grad sets None by default: if an old gradient comes back, momentum and"
    " weight decay act on parameters that took no part in the step.",
    source=sources.ZERO_GRAD,
    generated=("accumulation.reset",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([5.0, 6.0], requires_grad=True)
            y = mul(x, w)
            s = sum(y)
            backward(s)
            assert grad(x) == [5.0, 6.0]
            set_grad(x, value=None)
            set_grad(w, value=None)
            assert grad(x) is None
            z = mul(x, other=3.0)
            t = sum(z)
            backward(t)
            assert grad(x) == [3.0, 3.0]
            assert grad(w) is None
            """
        ),
    ],
)

THEME.clause(
    5,
    "A gradient that the user assigned must be added to by backward like one that backward made.",
    why="Gradients arrive by assignment in federated and distributed training and from clipping;"
    " an engine that ignores or replaces them drops other workers' contributions.",
    source=sources.GRAD,
    needs=_ADDS,
    generated=("accumulation.preset",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            set_grad(x, value=[10.0, 20.0])
            assert grad(x) == [10.0, 20.0]
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [12.0, 24.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            g = grad(x)
            clipped = mul(g, other=0.5)
            set_grad(x, value=clipped)
            z = mul(x, other=3.0)
            t = sum(z)
            backward(t)
            assert grad(x) == [4.0, 5.0]
            """
        ),
    ],
)

_PARTS = {
    2: ((0, 2), (2, 2)),
    4: ((0, 1), (1, 1), (2, 1), (3, 1)),
    1: ((0, 4),),
}
"""For each K, the first row and the number of rows of the K micro-batches of a batch of four."""


def _micro_batches(parts: tuple[tuple[int, int], ...]) -> str:
    """Return the passes over a batch of four rows in `parts`, each loss divided by their number."""
    lines = [
        "rows = leaf([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0], [-2.0, 1.5]])",
        "labels = leaf([[1.0], [-1.0], [2.0], [0.5]])",
        "w = leaf([[0.5], [-1.0]], requires_grad=True)",
        "b = leaf([0.25], requires_grad=True)",
    ]
    for k, (start, length) in enumerate(parts):
        lines += [
            f"x{k} = narrow(rows, dim=0, start={start}, length={length})",
            f"t{k} = narrow(labels, dim=0, start={start}, length={length})",
            f"xw{k} = matmul(x{k}, w)",
            f"y{k} = add(xw{k}, b)",
            f"e{k} = sub(y{k}, t{k})",
            f"sq{k} = mul(e{k}, e{k})",
            f"m{k} = mean(sq{k})",
            f"loss{k} = div(m{k}, other={float(len(parts))})",
            f"backward(loss{k})",
        ]
    return "\n".join([
        *lines, "assert grad(w) == [[5.875], [-17.1875]]", "assert grad(b) == [-3.375]"
    ])  # fmt: skip


THEME.clause(
    6,
    "Backward over K equal micro-batches, each mean loss divided by K, must accumulate the"
    " gradient of the mean loss of the whole batch, for every K that divides the batch.",
    why="Gradient accumulation is how large batches are trained on small devices; when it"
    " drifts, the effective batch size and learning rate are not those that were set.",
    source=sources.GRADIENT_ACCUMULATION,
    needs=_ADDS,
    generated=("accumulation.microbatches",),
    scenarios=[scenario(_micro_batches(parts), "A5") for parts in _PARTS.values()],
)
