"""In-place operations as part of the graph: what they record, and what they may not touch."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import scenario
from conformance.spec.data_hazards import THEME
from conformance.verdict import Level

THEME.clause(
    10,
    "An in-place operation on the result of another operation must be recorded: later uses must"
    " be differentiated through it, earlier ones must not.",
    why="An unrecorded write leaves the derivative of the old expression: activations computed"
    " in place then look linear to everything below them.",
    source=sources.NOTE_IN_PLACE,
    generated=("data.harmless",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            before = add(y, other=0.0)
            add_(y, other=1.0)
            mul_(y, other=3.0)
            assert value(y) == [9.0, 15.0]
            both = add(before, y)
            s = sum(both)
            backward(s)
            assert grad(x) == [8.0, 8.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = mul(x, other=2.0)
            mul_(y, w)
            s = sum(y)
            backward(s)
            assert grad(x) == [6.0, 8.0]
            assert grad(w) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            before = add(y, other=0.0)
            mul_(y, other=3.0)
            both = add(before, y)
            s = sum(both)
            backward(s)
            assert grad(x) == [8.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    11,
    "A tensor that required no gradients must require them, and pass them on, once a tracked"
    " tensor was written into it in place.",
    why="Outputs are often filled into a buffer of zeros; a buffer that stays untracked cuts the"
    " graph without a word.",
    source=sources.NOTE_IN_PLACE,
    generated=("data.inplace",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            buffer = leaf([10.0, 20.0])
            add_(buffer, x)
            assert requires_grad(buffer)
            y = mul(buffer, buffer)
            s = sum(y)
            backward(s)
            assert grad(x) == [22.0, 44.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            buffer = leaf([0.0, 0.0, 0.0])
            part = narrow(buffer, dim=0, start=1, length=2)
            copy_(part, x)
            assert value(buffer) == [0.0, 1.0, 2.0]
            y = mul(buffer, other=3.0)
            s = sum(y)
            backward(s)
            assert grad(x) == [3.0, 3.0]
            """
        ),
    ],
)

THEME.clause(
    12,
    "Overwriting a tensor completely, by zero_ or copy_, must cut what it was computed from: later"
    " uses must add nothing to the gradients of the old history.",
    why="A reset state that still passes gradients ties every sequence to the one before it.",
    source=sources.OWN_REASONING,
    generated=("data.harmless",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([5.0, 6.0], requires_grad=True)
            y = mul(x, other=2.0)
            copy_(y, w)
            assert value(y) == [5.0, 6.0]
            z = mul(y, y)
            s = sum(z)
            beside = sum(x)
            total = add(s, beside)
            backward(total)
            assert grad(x) == [1.0, 1.0]
            assert grad(w) == [10.0, 12.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            zero_(y)
            s = sum(y)
            beside = sum(x)
            total = add(s, beside)
            backward(total)
            assert grad(x) == [1.0, 1.0]
            """
        ),
    ],
)

THEME.clause(
    13,
    "An in-place operation through a view must be seen by the tensor that it is a view of, in"
    " value and in gradient, for the viewed elements only.",
    why="Masking and scaling a slice is ordinary code; where the base keeps its old derivative,"
    " exactly the masked part trains wrongly.",
    source=sources.TENSOR_VIEWS,
    generated=("data.views",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            base = mul(x, other=1.0)
            part = narrow(base, dim=0, start=0, length=2)
            mul_(part, other=10.0)
            assert value(base) == [10.0, 20.0, 3.0]
            s = sum(base)
            backward(s)
            assert grad(x) == [10.0, 10.0, 1.0]
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            w = leaf([5.0, 7.0], requires_grad=True)
            base = mul(x, other=2.0)
            row = select(base, dim=0, index=1)
            mul_(row, w)
            assert value(base) == [[2.0, 4.0], [30.0, 56.0]]
            s = sum(base)
            backward(s)
            assert grad(x) == [[2.0, 2.0], [10.0, 14.0]]
            assert grad(w) == [6.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    14,
    "An in-place operation on a tensor must be seen by the views that were taken of it before,"
    " in value and in gradient.",
    why="A view taken early and used late is the reverse case, and the one that engines forget:"
    " its value is new and its derivative old.",
    source=sources.TENSOR_VIEWS,
    generated=("data.views",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            base = mul(x, other=1.0)
            part = narrow(base, dim=0, start=0, length=2)
            mul_(base, other=10.0)
            assert value(part) == [10.0, 20.0]
            s = sum(part)
            backward(s)
            assert grad(x) == [10.0, 10.0, 0.0]
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            base = mul(x, other=1.0)
            turned = t(base)
            flat = view(base, size=[4])
            mul_(turned, other=5.0)
            assert value(flat) == [5.0, 10.0, 15.0, 20.0]
            backward(flat, gradient=[1.0, 2.0, 3.0, 4.0])
            assert grad(x) == [[5.0, 10.0], [15.0, 20.0]]
            """
        ),
    ],
)

THEME.clause(
    15,
    "Where operations are recorded, an in-place operation on a leaf that requires gradients must be"
    " refused and must leave its values as they are.",
    why="A recorded write would turn the parameter into a result: the optimizer then holds a"
    " tensor that never gets a gradient again.",
    source=sources.NOTE_IN_PLACE,
    generated=("data.leaf_write",),
    unless=("writes_leaves",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with raises():
                add_(x, other=1.0)
            assert value(x) == [1.0, 2.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with raises():
                mul_(x, x)
            assert value(x) == [1.0, 2.0]
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    16,
    "Where operations are recorded, an in-place operation on a view of a leaf that requires"
    " gradients must be refused and must leave the leaf's values as they are.",
    why="Writing one row of an embedding table is the same write as writing the table; if only"
    " the direct form is refused, the check is an invitation to evade it.",
    source=sources.TENSOR_VIEWS,
    generated=("data.leaf_write",),
    unless=("writes_leaves",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            row = select(x, dim=0, index=0)
            with raises():
                zero_(row)
            assert value(x) == [[1.0, 2.0], [3.0, 4.0]]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            v = view(x, size=[3, 1])
            with raises():
                add_(v, other=1.0)
            assert value(x) == [1.0, 2.0, 3.0]
            """
        ),
    ],
)

THEME.clause(
    17,
    "The version of a tensor should grow by one with every in-place write to its memory, be the"
    " same for the tensor, its views and its detached tensors, and not grow by reads or by writes"
    " through .data.",
    why="The version is what the check of saved values compares; a write that is not counted is"
    " a hazard that is not caught.",
    source=sources.NOTE_IN_PLACE_CHECKS,
    level=Level.SHOULD,
    generated=("data.versions",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0])
            assert version(x) == 0
            y = mul(x, x)
            s = sum(y)
            assert version(x) == 0
            add_(x, other=1.0)
            assert version(x) == 1
            mul_(x, y)
            assert version(x) == 2
            copy_(x, y)
            assert version(x) == 3
            assert version(y) == 0
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0])
            v = narrow(x, dim=0, start=0, length=1)
            zero_(v)
            assert version(x) == 1
            assert version(v) == 1
            zero_(x)
            assert version(x) == 2
            assert version(v) == 2
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            d = detach(x)
            add_(d, other=1.0)
            assert version(x) == 1
            assert version(d) == 1
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            d = data(x)
            add_(d, other=1.0)
            assert value(x) == [2.0, 3.0]
            assert version(x) == 0
            """
        ),
    ],
)

THEME.clause(
    18,
    "An in-place operation should be refused where its target can be given no new history: one of"
    " several views that a single operation returned, or a tensor in which several elements share"
    " one place in memory.",
    why="The graph has no single place for such a write; an engine that accepts it must invent"
    " one, and the other views get gradients of a history that is not theirs.",
    source=sources.TENSOR_VIEWS,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            base = mul(x, other=1.0)
            a, b = unbind(base, dim=0)
            with raises():
                mul_(a, other=2.0)
            """
        ),
        scenario(
            """
            x = leaf([[1.0], [2.0]], requires_grad=True)
            base = mul(x, other=1.0)
            wide = expand(base, size=[2, 3])
            with raises():
                mul_(wide, other=2.0)
            """
        ),
    ],
)
