"""Grad modes: where operations are recorded, and where they are not."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("grad_modes", "MOD", "Grad modes")

THEME.clause(
    1,
    "Inside no_grad, results must not require gradients and must be leaves without a grad_fn,"
    " whatever the inputs are.",
    why="Evaluation under no_grad that still records keeps every activation of the validation"
    " set, and memory runs out hours into training.",
    source=sources.NOTE_NO_GRAD,
    generated=("modes.nesting",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with no_grad():
                y = mul(x, x)
                z = sum(y)
            assert not requires_grad(y)
            assert not requires_grad(z)
            assert value(y) == [1.0, 4.0]
            """,
            "C3",
            "E7",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with no_grad():
                y = mul(x, x)
            assert grad_fn(y) is None
            """,
            "E7",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with no_grad():
                y = mul(x, x)
            assert is_leaf(y)
            """,
            "E7",
        ),
        scenario(
            """
            x = leaf([0.0, 0.0], requires_grad=True)
            with no_grad():
                e = exp(x)
            mul_(e, other=2.0)
            y = mul(x, e)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 2.0]
            """,
            "E7",
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            with no_grad():
                s = sum(x)
                m = matmul(x, x)
                v = t(x)
            assert is_leaf(s)
            assert is_leaf(m)
            assert not requires_grad(s)
            assert not requires_grad(m)
            assert grad_fn(v) is None
            """,
            "E7",
        ),
    ],
)

THEME.clause(
    2,
    "What was computed inside no_grad must be a constant to backward: no gradient flows through"
    " it, while recorded paths beside it keep theirs.",
    why="Baselines and targets are computed under no_grad and then enter the loss: a path that"
    " leaks there optimises the target instead of the prediction.",
    source=sources.NO_GRAD,
    generated=("modes.gradients",),
    scenarios=[
        scenario(
            """
            x = leaf(1.0, requires_grad=True)
            y1 = pow(x, exponent=2)
            with no_grad():
                y2 = pow(x, exponent=3)
            y3 = add(y1, y2)
            assert requires_grad(y1)
            assert not requires_grad(y2)
            assert requires_grad(y3)
            assert value(y3) == 2.0
            backward(y3)
            assert grad(x) == 2.0
            """,
            "B10",
        ),
        scenario(
            """
            x = leaf(1.0, requires_grad=True)
            y1 = pow(x, exponent=2)
            with no_grad():
                y2 = pow(x, exponent=3)
            y3 = add(y1, y2)
            backward(y3)
            assert grad(x) == 2.0
            with raises():
                backward(y2)
            assert grad(x) == 2.0
            """,
            "B11",
        ),
        scenario(
            """
            x = leaf([2.0, 3.0], requires_grad=True)
            with no_grad():
                c = mul(x, x)
            y = mul(x, c)
            s = sum(y)
            backward(s)
            assert grad(x) == [4.0, 9.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Grad modes must nest: the innermost block decides, and leaving it must restore the mode of"
    " the block around it.",
    why="Libraries open such blocks around callbacks of the user; one that resets to the default"
    " on leaving switches recording on inside somebody's no_grad.",
    source=sources.ENABLE_GRAD,
    generated=("modes.nesting",),
    scenarios=[
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad():
                a = mul(x, x)
                with enable_grad():
                    b = mul(x, x)
                    with no_grad():
                        c = mul(x, x)
                    d = mul(x, x)
                e = mul(x, x)
            f = mul(x, x)
            assert not requires_grad(a)
            assert requires_grad(b)
            assert not requires_grad(c)
            assert requires_grad(d)
            assert not requires_grad(e)
            assert requires_grad(f)
            bd = add(b, d)
            backward(bd)
            assert grad(x) == 12.0
            """,
            "E7",
        ),
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad():
                a = mul(x, x)
                with enable_grad():
                    b = mul(x, x)
                    with no_grad():
                        c = mul(x, x)
                    d = mul(x, x)
                e = mul(x, x)
            ab = add(a, b)
            cd = add(c, d)
            abcd = add(ab, cd)
            y = add(abcd, e)
            assert value(y) == 45.0
            backward(y)
            assert grad(x) == 12.0
            """,
            "E7",
        ),
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad():
                with no_grad():
                    a = mul(x, x)
                b = mul(x, x)
            c = mul(x, x)
            assert not requires_grad(a)
            assert not requires_grad(b)
            assert requires_grad(c)
            """,
            "E7",
        ),
    ],
)

THEME.clause(
    4,
    "Leaving a grad-mode block by an exception must restore the mode from before the block.",
    why="One failing validation batch inside no_grad would switch off recording for the rest of"
    " the run: the loop goes on and nothing learns any more.",
    source=sources.OWN_REASONING,
    generated=("modes.exceptions",),
    scenarios=[
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad():
                a = mul(x, x)
                raise
            b = mul(x, x)
            assert not requires_grad(a)
            assert requires_grad(b)
            backward(b)
            assert grad(x) == 6.0
            """
        ),
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad():
                with enable_grad():
                    a = mul(x, x)
                    raise
                b = mul(x, x)
            c = mul(x, x)
            assert requires_grad(a)
            assert not requires_grad(b)
            assert requires_grad(c)
            """
        ),
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad():
                a = mul(x, x)
                raise
            b = mul(x, x)
            y = add(a, b)
            backward(y)
            assert grad(x) == 6.0
            """
        ),
    ],
)

THEME.clause(
    5,
    "A grad mode used as a decorator must hold for each call of the function and for no longer,"
    " also where the call ends by an exception.",
    why="A mode that starts when the function is decorated, or stays after the first call,"
    " changes code that never mentions it.",
    source=sources.NO_GRAD,
    generated=("modes.decorator",),
    scenarios=[
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad(decorator=True):
                a = mul(x, x)
            b = mul(x, x)
            assert not requires_grad(a)
            assert requires_grad(b)
            """,
            "E7",
        ),
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad():
                with enable_grad(decorator=True):
                    a = mul(x, x)
                b = mul(x, x)
            assert requires_grad(a)
            assert not requires_grad(b)
            """,
            "E7",
        ),
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad(decorator=True):
                a = mul(x, x)
                raise
            b = mul(x, x)
            assert requires_grad(b)
            """
        ),
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with no_grad(decorator=True):
                a = mul(x, x)
            b = mul(x, x)
            y = add(a, b)
            backward(y)
            assert grad(x) == 6.0
            """,
            "E7",
        ),
    ],
)

THEME.clause(
    6,
    "A block of set_grad_enabled must record where its argument is true and not record where it is"
    " false, and must restore the former mode at its end.",
    why="It is how one loop serves training and validation: with the argument ignored or"
    " inverted, validation trains or training does not.",
    source=sources.SET_GRAD_ENABLED,
    generated=("modes.nesting",),
    scenarios=[
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with set_grad_enabled(enabled=False):
                a = mul(x, x)
                with set_grad_enabled(enabled=True):
                    b = mul(x, x)
                c = mul(x, x)
            with set_grad_enabled(enabled=True):
                d = mul(x, x)
            e = mul(x, x)
            assert not requires_grad(a)
            assert requires_grad(b)
            assert not requires_grad(c)
            assert requires_grad(d)
            assert requires_grad(e)
            """
        ),
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with set_grad_enabled(enabled=False):
                a = mul(x, x)
            with set_grad_enabled(enabled=True):
                b = mul(x, x)
            y = add(a, b)
            backward(y)
            assert grad(x) == 6.0
            """
        ),
        scenario(
            """
            x = leaf(3.0, requires_grad=True)
            with set_grad_enabled(enabled=False, decorator=True):
                a = mul(x, x)
                with set_grad_enabled(enabled=True, decorator=True):
                    b = mul(x, x)
            c = mul(x, x)
            assert not requires_grad(a)
            assert requires_grad(b)
            assert requires_grad(c)
            """
        ),
    ],
)

THEME.clause(
    7,
    "is_grad_enabled must report the mode in force: true by default, and in each block what that"
    " block asked for.",
    why="Layers with a cheaper path for inference choose by this flag; a wrong answer trains"
    " through the path that has no derivative.",
    source=sources.IS_GRAD_ENABLED,
    generated=("modes.nesting",),
    scenarios=[
        scenario(
            """
            assert is_grad_enabled()
            with no_grad():
                assert not is_grad_enabled()
                with enable_grad():
                    assert is_grad_enabled()
                assert not is_grad_enabled()
            assert is_grad_enabled()
            """
        ),
        scenario(
            """
            with no_grad():
                raise
            assert is_grad_enabled()
            with no_grad(decorator=True):
                assert not is_grad_enabled()
            assert is_grad_enabled()
            """
        ),
    ],
)
