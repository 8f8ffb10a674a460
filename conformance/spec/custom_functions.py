"""Custom functions: operations whose derivative the program itself gives."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario
from conformance.verdict import Level

THEME = Theme("custom_functions", "FUN", "Custom functions")

THEME.clause(
    1,
    "The gradients of a custom function must be those that its backward returns, whatever its"
    " forward computes.",
    why="Straight-through estimators, clipped and rescaled gradients exist because the two"
    " differ; an engine that differentiates the forward instead trains without them.",
    source=sources.EXTENDING,
    generated=("functions.twins",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = custom_function(x, w, forward="mul(a, b)", backward="mul(g, b), mul(g, other=7.0)")
            assert value(y) == [3.0, 8.0]
            s = sum(y)
            backward(s)
            assert grad(x) == [3.0, 4.0]
            assert grad(w) == [7.0, 7.0]
            """
        ),
        scenario(
            """
            x = leaf([-1.5, 2.0], requires_grad=True)
            y = custom_function(x, forward="relu(a)", backward="g")
            z = mul(y, other=3.0)
            s = sum(z)
            backward(s)
            assert grad(x) == [3.0, 3.0]
            """
        ),
    ],
)

THEME.clause(
    2,
    "The backward of a custom function must be called once in a backward pass, with the gradient"
    " of its result added up over all uses.",
    why="A backward that runs once per use does its work twice, and rules that are not linear in"
    " their argument, such as clipping, come out wrong.",
    source=sources.EXTENDING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = custom_function(
                x, forward="mul(a, other=2.0)", backward="mul(g, other=2.0)", logs="backward"
            )
            a = mul(y, other=3.0)
            b = mul(y, other=4.0)
            z = add(a, b)
            s = sum(z)
            backward(s)
            assert hook_log() == [[7.0, 7.0]]
            assert grad(x) == [14.0, 14.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "The result of a custom function must require gradients exactly where one of its inputs does"
    " and operations are recorded.",
    why="A result that always requires gradients keeps the graph of every evaluation; one that"
    " never does cuts off what lies below it.",
    source=sources.EXTENDING,
    needs=("requires_grad",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            y = custom_function(c, x, forward="mul(a, b)", backward="mul(g, b), mul(g, a)")
            z = custom_function(c, forward="mul(a, a)", backward="g")
            assert requires_grad(y)
            assert not requires_grad(z)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with no_grad():
                y = custom_function(x, forward="mul(a, a)", backward="g")
            assert not requires_grad(y)
            """
        ),
    ],
)

THEME.clause(
    4,
    "Writing in place into a tensor that a custom function saved must make backward refuse; writing"
    " into one that it did not save must be allowed.",
    why="A rule of one's own is no safer than a built-in one: computed from values that have"
    " changed since, its gradient is wrong without a sign.",
    source=sources.EXTENDING_SAVING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            k = mul(x, other=1.0)
            y = custom_function(k, forward="mul(a, a)", backward="mul(mul(g, a), other=2.0)")
            mul_(k, other=3.0)
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = custom_function(x, forward="exp(a)", backward="mul(g, y)")
            mul_(y, other=3.0)
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            k = mul(x, other=1.0)
            y = custom_function(k, forward="mul(a, other=5.0)", backward="mul(g, other=5.0)")
            mul_(k, other=3.0)
            s = sum(y)
            backward(s)
            assert grad(x) == [5.0, 5.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "A backward that returns fewer gradients than there are inputs, or more of them that are not"
    " None, must be refused.",
    why="Padded with nothing or cut off, the gradients that are there go to the wrong inputs.",
    source=sources.EXTENDING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = custom_function(x, w, forward="mul(a, b)", backward="mul(g, b)")
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = custom_function(x, forward="mul(a, other=2.0)", backward="g, g")
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
    ],
)

THEME.clause(
    6,
    "A backward that returns a gradient whose shape is neither its input's nor one that the input"
    " broadcasts to must be refused.",
    why="Stretched to the input's shape by broadcasting, a forgotten dimension trains every row"
    " with the gradient of all.",
    source=sources.EXTENDING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = custom_function(x, forward="mul(a, other=2.0)", backward="sum(g)")
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            y = custom_function(x, forward="mul(a, other=2.0)", backward="sum(g, dim=0)")
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
    ],
)

THEME.clause(
    7,
    "Where a backward returns None for an input, that input must get no gradient from it, and"
    " the others must get theirs.",
    why="None is how a rule says that an input is a constant; taken for an error it forbids such"
    " inputs, taken for zeros it hides that nothing arrived.",
    source=sources.EXTENDING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = custom_function(x, w, forward="mul(a, b)", backward="mul(g, b), None")
            s = sum(y)
            backward(s)
            assert grad(x) == [3.0, 4.0]
            assert grad(w) is None
            """
        ),
    ],
)

THEME.clause(
    8,
    "Backward should be told, for each input of a custom function, whether its gradient is needed.",
    why="Half of the work of a costly backward is often for an input that is frozen; a rule can"
    " leave it out only where it knows.",
    source=sources.FUNCTION,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0])
            y = custom_function(x, w, forward="mul(a, b)", backward="mul(g, b), None", logs="needs")
            s = sum(y)
            backward(s)
            assert hook_log() == [[1.0, 0.0]]
            assert grad(x) == [3.0, 4.0]
            """
        ),
    ],
)
