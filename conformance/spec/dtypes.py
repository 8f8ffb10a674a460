"""Dtypes and promotion: in which precision results and gradients are."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("dtypes", "TYPE", "Dtypes and promotion")

THEME.clause(
    1,
    "An operation on tensors with axes, of two floating-point dtypes, must compute in the smallest"
    " dtype that holds both, and each operand must get its gradient in its own dtype.",
    why="Master weights in float64 and data in float32 meet like this; a gradient in the wrong"
    " precision fails at the update or is rounded before it.",
    source=sources.TENSOR_ATTRIBUTES,
    generated=("types.meeting",),
    unless=("refuses_mixed_dtypes",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float32", requires_grad=True)
            d = leaf([3.0, 4.0], dtype="float64", requires_grad=True)
            y = add(x, d)
            sum_ = leaf([4.0, 6.0], dtype="float64")
            assert value(y) == sum_
            z = mul(y, y)
            s = sum(z)
            backward(s)
            gx = leaf([8.0, 12.0], dtype="float32")
            gd = leaf([8.0, 12.0], dtype="float64")
            assert grad(x) == gx
            assert grad(d) == gd
            """
        ),
    ],
)

THEME.clause(
    2,
    "A real Python number must not change the dtype of a floating-point tensor that it is combined"
    " with.",
    why="Learning rates are Python floats: were they float64 tensors, the first update would turn"
    " a float32 model into one of float64.",
    source=sources.TENSOR_ATTRIBUTES,
    generated=("types.meeting", "types.conversions"),
    unless=("refuses_mixed_dtypes",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float32", requires_grad=True)
            y = mul(x, other=0.5)
            z = add(y, other=3)
            due = leaf([3.5, 4.0], dtype="float32")
            assert value(z) == due
            s = sum(z)
            backward(s)
            gx = leaf([0.5, 0.5], dtype="float32")
            assert grad(x) == gx
            """
        ),
    ],
)

THEME.clause(
    3,
    "A floating-point tensor without axes must not widen the dtype of a floating-point tensor with"
    " axes, and must get its own gradient in its own dtype.",
    why="Learned temperatures and scales are single numbers, often in double precision; if one of"
    " them widens the activations, memory doubles from there on.",
    source=sources.TENSOR_ATTRIBUTES,
    unless=("scalars_widen", "refuses_mixed_dtypes"),
    generated=("types.meeting",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float32", requires_grad=True)
            k = leaf(3.0, dtype="float64", requires_grad=True)
            y = mul(x, k)
            due = leaf([3.0, 6.0], dtype="float32")
            assert value(y) == due
            s = sum(y)
            backward(s)
            gx = leaf([3.0, 3.0], dtype="float32")
            gk = leaf(3.0, dtype="float64")
            assert grad(x) == gx
            assert grad(k) == gk
            """
        ),
    ],
)

THEME.clause(
    4,
    "An integer or boolean operand must not keep a floating-point one from requiring and getting"
    " gradients, in the dtype of the floating-point one.",
    why="Masks and counts multiply activations everywhere; a rule that casts the gradient to the"
    " operand's dtype rounds it to whole numbers.",
    source=sources.TENSOR_ATTRIBUTES,
    generated=("types.meeting",),
    unless=("refuses_mixed_dtypes",),
    scenarios=[
        scenario(
            """
            x = leaf([1.5, 2.5], dtype="float32", requires_grad=True)
            n = leaf([2, 3], dtype="int64")
            y = mul(x, n)
            due = leaf([3.0, 7.5], dtype="float32")
            assert value(y) == due
            z = mul(y, other=0.25)
            s = sum(z)
            backward(s)
            gx = leaf([0.5, 0.75], dtype="float32")
            assert grad(x) == gx
            assert grad(n) is None
            """
        ),
        scenario(
            """
            x = leaf([1.5, 2.5], dtype="float32", requires_grad=True)
            m = leaf([1, 0], dtype="bool")
            y = mul(x, m)
            z = mul(y, other=0.5)
            s = sum(z)
            backward(s)
            gx = leaf([0.5, 0.0], dtype="float32")
            assert grad(x) == gx
            """
        ),
    ],
)

THEME.clause(
    5,
    "A conversion between floating-point dtypes must be recorded, and must pass the gradient back"
    " in the dtype of what was converted.",
    why="Mixed precision is a chain of conversions; one that detaches stops all learning below it,"
    " one that does not convert back fails far from its cause.",
    source=sources.TENSOR_TO,
    generated=("types.conversions",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float32", requires_grad=True)
            wide = to(x, dtype="float64")
            assert requires_grad(wide)
            y = mul(wide, wide)
            due = leaf([1.0, 4.0], dtype="float64")
            assert value(y) == due
            s = sum(y)
            backward(s)
            gx = leaf([2.0, 4.0], dtype="float32")
            assert grad(x) == gx
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float64", requires_grad=True)
            narrow_ = to(x, dtype="float32")
            wide = to(narrow_, dtype="float64")
            y = mul(wide, other=3.0)
            s = sum(y)
            backward(s)
            gx = leaf([3.0, 3.0], dtype="float64")
            assert grad(x) == gx
            """
        ),
    ],
)

THEME.clause(
    6,
    "Results of an integer or boolean dtype must not require gradients, whatever they were"
    " computed from.",
    why="Comparisons and positions have no derivative; a mask that is tracked drags the graph that"
    " it was made from into every product with it.",
    source=sources.REQUIRES_GRAD_,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 3.0, 2.0], requires_grad=True)
            zero = leaf([2.0, 2.0, 2.0])
            m = gt(x, zero)
            k = argmax(x)
            assert not requires_grad(m)
            assert not requires_grad(k)
            assert is_leaf(m)
            y = mul(x, m)
            s = sum(y)
            backward(s)
            assert grad(x) == [0.0, 1.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    7,
    "A write in place must leave the dtype of its target: a wider operand must be rounded to it"
    " and must get its gradient in its own dtype.",
    why="Buffers are allocated once for their precision; a running mean that becomes float64 is"
    " not the tensor that was saved and sent to the device.",
    source=sources.TENSOR_ATTRIBUTES,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float32", requires_grad=True)
            d = leaf([3.0, 4.0], dtype="float64", requires_grad=True)
            y = mul(x, other=2.0)
            add_(y, d)
            due = leaf([5.0, 8.0], dtype="float32")
            assert value(y) == due
            s = sum(y)
            backward(s)
            gx = leaf([2.0, 2.0], dtype="float32")
            gd = leaf([1.0, 1.0], dtype="float64")
            assert grad(x) == gx
            assert grad(d) == gd
            """
        ),
    ],
)

THEME.clause(
    8,
    "A write in place whose result cannot be held by the target's dtype must be refused: a"
    " fraction in an integer tensor, a complex number in a real one.",
    why="Adding 0.5 to counters does nothing and says nothing if the result is cut off; the"
    " imaginary part of a signal is lost as quietly.",
    source=sources.TENSOR_ATTRIBUTES,
    scenarios=[
        scenario(
            """
            n = leaf([1, 2], dtype="int64")
            with raises():
                add_(n, other=0.5)
            assert value(n) == [1, 2]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float64")
            z = leaf([(1+1j), 1j], dtype="complex128")
            with raises():
                mul_(x, z)
            assert value(x) == [1.0, 2.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "Assigning a gradient of another dtype than the tensor's must be refused.",
    why="An optimizer that keeps its state in the dtype of the gradient changes precision in the"
    " middle of training, and resumes in another one.",
    source=sources.GRAD,
    unless=("unchecked_gradients",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float32", requires_grad=True)
            g = leaf([1.0, 2.0], dtype="float64")
            with raises():
                set_grad(x, value=g)
            assert grad(x) is None
            """
        ),
    ],
)
