"""Hazards of in-place writes and .data: which must be caught, which are documented to be silent."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario
from conformance.verdict import Level

THEME = Theme("data_hazards", "DAT", ".data and in-place hazards")

THEME.clause(
    1,
    "Whatever in-place operations a program makes on tensors, views and detached tensors,"
    " backward must either be refused or give the gradients of the values that its operations"
    " used.",
    why="This is the promise that makes in-place code usable at all: no error means right"
    " gradients. Without it every memory optimisation is a gamble.",
    source=sources.NOTE_IN_PLACE_CHECKS,
    generated=("data.inplace",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            z = add(y, other=1.0)
            mul_(y, other=3.0)
            p = mul(y, z)
            s = sum(p)
            backward(s)
            assert grad(x) == [30.0, 54.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            z = mul(y, y)
            mul_(y, other=3.0)
            p = add(y, z)
            s = sum(p)
            backward(s)
            grad(x)
            """
        ),
    ],
)

THEME.clause(
    2,
    "Backward must be refused where an operation saved its input and that input was then changed"
    " in place.",
    why="The derivative would be taken at the new values: a plausible number for a function that"
    " was never computed.",
    source=sources.NOTE_IN_PLACE_CHECKS,
    generated=("data.hazard",),
    unless=("keeps_saved_values",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            z = mul(y, y)
            mul_(y, other=3.0)
            p = add(y, z)
            s = sum(p)
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=1.0)
            z = sin(y)
            add_(y, other=1.0)
            s = sum(z)
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            y = mul(x, c)
            zero_(c)
            s = sum(y)
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = mul(x, other=2.0)
            v = mul(w, other=2.0)
            z = mul(y, v)
            add_(y, other=1.0)
            s = sum(z)
            with raises():
                backward(s)
            assert grad(x) is None
            assert grad(w) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = mul(x, other=2.0)
            v = mul(w, other=2.0)
            z = mul(y, v)
            add_(v, other=1.0)
            s = sum(z)
            with raises():
                backward(s)
            assert grad(x) is None
            assert grad(w) is None
            """
        ),
    ],
)

THEME.clause(
    3,
    "Backward must be refused where an operation saved its result and that result was then"
    " changed in place.",
    why="exp, sigmoid and softmax reuse their results as derivatives; scaling such a result in"
    " place scales the gradient by a factor that no formula contains.",
    source=sources.NOTE_IN_PLACE_CHECKS,
    generated=("data.hazard",),
    unless=("keeps_saved_values",),
    scenarios=[
        scenario(
            """
            x = leaf([0.0, 1.0], requires_grad=True)
            y = exp(x)
            mul_(y, other=2.0)
            s = sum(y)
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
        scenario(
            """
            a = leaf([1.0, 2.0, 3.0], requires_grad=True)
            out = sigmoid(a)
            zero_(out)
            s = sum(out)
            with raises():
                backward(s)
            assert grad(a) is None
            """
        ),
    ],
)

THEME.clause(
    4,
    "A saved value that was changed through a view, or through the tensor that it is a view of,"
    " must be noticed like one that was changed directly.",
    why="Slices are how state is updated in recurrent and simulation code; a check by object"
    " instead of by memory misses exactly these writes.",
    source=sources.TENSOR_VIEWS,
    generated=("data.hazard",),
    unless=("keeps_saved_values",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            y = mul(x, other=1.0)
            z = mul(y, y)
            first = narrow(y, dim=0, start=0, length=1)
            zero_(first)
            s = sum(z)
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0, 4.0], requires_grad=True)
            y = mul(x, other=1.0)
            v = view(y, size=[2, 2])
            z = sin(v)
            zero_(y)
            s = sum(z)
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
    ],
)

THEME.clause(
    5,
    "A saved leaf that was changed under no_grad must be noticed: backward through the old graph"
    " must be refused.",
    why="An optimizer step between forward and backward is a common slip in alternating"
    " training; the gradient would belong to no step at all.",
    source=sources.NOTE_IN_PLACE_CHECKS,
    generated=("modes.stale",),
    unless=("keeps_saved_values",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            with no_grad():
                add_(x, other=1.0)
            s = sum(y)
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
        scenario(
            """
            w = leaf([3.0, 4.0], requires_grad=True)
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, w)
            with no_grad():
                mul_(w, other=0.5)
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
    ],
)

THEME.clause(
    6,
    "An in-place change of values that no derivative depends on must not be refused, neither when"
    " it is made nor at backward.",
    why="A check that counts every write makes safe in-place code impossible; people then turn"
    " to .data, which has no check at all.",
    source=sources.NOTE_SAVED_TENSORS,
    generated=("data.harmless",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([5.0, 6.0])
            y = add(x, c)
            zero_(c)
            s = sum(y)
            backward(s)
            assert grad(x) == [1.0, 1.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=3.0)
            z = sub(y, other=1.0)
            w = mul(z, z)
            mul_(y, other=7.0)
            s = sum(w)
            backward(s)
            assert grad(x) == [12.0, 30.0]
            """
        ),
    ],
)

THEME.clause(
    7,
    "An in-place change of the input should not be refused where the operation saved only its"
    " result, as exp, sigmoid and tanh do.",
    why="Which of the two is saved is the engine's choice, but code written for PyTorch relies"
    " on the input being free to be overwritten.",
    source=sources.NOTE_SAVED_TENSORS,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([0.0, 0.0], requires_grad=True)
            y = mul(x, other=2.0)
            z = exp(y)
            add_(y, other=5.0)
            s = sum(z)
            backward(s)
            assert grad(x) == [2.0, 2.0]
            """
        ),
        scenario(
            """
            x = leaf([0.0, 0.0], requires_grad=True)
            y = mul(x, other=2.0)
            z = sigmoid(y)
            zero_(y)
            s = sum(z)
            backward(s)
            assert grad(x) == [0.5, 0.5]
            """
        ),
    ],
)

THEME.clause(
    8,
    "The .data of a tensor must share memory with it and must not require gradients, and a write"
    " through it must not be recorded.",
    why="Old training loops and initialisers write through .data; on a copy their parameters"
    " never change.",
    source=sources.RELEASE_0_4,
    generated=("data.silent",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0], requires_grad=True)
            y = mul(x, other=2.0)
            d = data(x)
            mul_(d, other=100.0)
            assert value(x) == [100.0]
            assert not requires_grad(d)
            assert requires_grad(x)
            backward(y)
            assert grad(x) == [2.0]
            """,
            "B12",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            d = data(x)
            add_(d, other=1.0)
            assert is_leaf(x)
            assert is_leaf(d)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [4.0, 6.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "A write through .data should escape the check of saved values: backward then runs and uses"
    " the overwritten values, as PyTorch documents.",
    why="This hazard is documented, not wanted: the clause pins it down so that nobody takes"
    " .data for detach, under which the same write is refused.",
    source=sources.RELEASE_0_4,
    level=Level.SHOULD,
    generated=("data.silent",),
    scenarios=[
        scenario(
            """
            a = leaf([1.0, 2.0, 3.0], requires_grad=True)
            out = sigmoid(a)
            c = data(out)
            zero_(c)
            assert value(out) == [0.0, 0.0, 0.0]
            s = sum(out)
            backward(s)
            assert grad(a) == [0.0, 0.0, 0.0]
            """,
            "B14",
        ),
        scenario(
            """
            a = leaf([1.0, 2.0, 3.0], requires_grad=True)
            out = sigmoid(a)
            s = sum(out)
            backward(s)
            assert grad(a) == approx([0.1966, 0.1050, 0.0452], 4)
            """,
            "B14",
        ),
    ],
)
