"""Errors owed and not owed: misuse that must be refused, and what a refusal leaves behind."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("errors_owed", "ERR", "Errors owed and not owed")

THEME.clause(
    1,
    "Assigning a gradient whose shape is not the tensor's must be refused and must leave the"
    " stored gradient as it is.",
    why="An update broadcasts in silence: a gradient of one row then moves every row of the matrix"
    " by the same step.",
    source=sources.GRAD,
    unless=("unchecked_gradients",),
    generated=("errors.assigned",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with raises():
                set_grad(x, value=[1.0, 2.0, 3.0])
            assert grad(x) is None
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            set_grad(x, value=[[5.0, 6.0], [7.0, 8.0]])
            with raises():
                set_grad(x, value=[1.0, 2.0])
            assert grad(x) == [[5.0, 6.0], [7.0, 8.0]]
            """
        ),
    ],
)

THEME.clause(
    2,
    "A cotangent for gradients asked for as a result must have the shape of its output: any other"
    " must be refused, also where it could be broadcast.",
    why="Both spellings of backward owe the same check; a broadcast cotangent weighs every element"
    " alike where one weight each was meant.",
    source=sources.AUTOGRAD_GRAD,
    generated=("errors.asked",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            y = mul(x, x)
            with raises():
                g = grad_of(outputs=[y], inputs=[x], grad_outputs=[1.0, 1.0])
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            with raises():
                g = grad_of(outputs=[s], inputs=[x], grad_outputs=[1.0, 1.0])
            """
        ),
    ],
)

THEME.clause(
    3,
    "Asking for gradients of an output of more than one element without a cotangent must be"
    " refused.",
    why="Jacobians are asked for by accident this way; an implicit vector of ones answers with a"
    " sum of their rows.",
    source=sources.AUTOGRAD_GRAD,
    generated=("errors.implicit",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            with raises():
                g = grad_of(outputs=[y], inputs=[x])
            """
        ),
    ],
)

THEME.clause(
    4,
    "An operation that is refused must leave its operands and their graphs as they were: backward"
    " through earlier results must go on to give right gradients.",
    why="Interactive sessions live on this: a mistyped product must not cost the forward pass that"
    " it was typed after.",
    source=sources.OWN_REASONING,
    generated=("errors.shapes",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            w = leaf([1.0, 2.0, 3.0], requires_grad=True)
            y = mul(x, x)
            with raises():
                z = matmul(y, w)
            with raises():
                u = add(y, w)
            s = sum(y)
            backward(s)
            assert grad(x) == [[2.0, 4.0], [6.0, 8.0]]
            assert grad(w) is None
            """
        ),
    ],
)

THEME.clause(
    5,
    "A write in place whose operand does not fit the target must be refused and must leave the"
    " target's values and its graph as they were.",
    why="The target keeps its shape: an operand that would have to enlarge it is a mistake, and"
    " half a write is data loss.",
    source=sources.NOTE_BROADCASTING,
    generated=("errors.writes",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            large = leaf([[1.0, 2.0], [3.0, 4.0]])
            with raises():
                add_(y, large)
            assert value(y) == [2.0, 4.0]
            z = mul(y, y)
            s = sum(z)
            backward(s)
            assert grad(x) == [8.0, 16.0]
            """
        ),
        scenario(
            """
            t = leaf([1.0, 2.0])
            other = leaf([1.0, 2.0, 3.0])
            with raises():
                copy_(t, other)
            assert value(t) == [1.0, 2.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "Asking again for what is already so must not be refused and must change nothing: the flag of"
    " a tracked leaf, the detachment of an untracked tensor, a hook that was removed already.",
    why="Code that prepares a model runs more than once; an error that is not owed makes its users"
    " guard every call by a test.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            requires_grad_(x, flag=True)
            requires_grad_(x, flag=True)
            y = mul(x, x)
            requires_grad_(y, flag=True)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            c = leaf([1.0, 2.0])
            d = detach(c)
            e = detach(d)
            detach_(e)
            requires_grad_(c, flag=False)
            assert value(e) == [1.0, 2.0]
            assert not requires_grad(e)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            only = hook(x, action="double")
            remove_hook(only)
            remove_hook(only)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    7,
    "Asking for gradients of an output that does not require gradients must be refused, also"
    " where unused inputs are allowed.",
    why="Unused inputs are a fact of the graph; an output without a graph is a mistake, and None"
    " for every parameter hides it.",
    source=sources.AUTOGRAD_GRAD,
    generated=("errors.untracked",),
    unless=("untracked_roots",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            s = sum(c)
            with raises():
                g = grad_of(outputs=[s], inputs=[x], allow_unused=True)
            """
        ),
    ],
)
