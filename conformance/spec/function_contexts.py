"""What custom functions say of themselves: several results, writes, constants, orders, tangents."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import scenario
from conformance.spec.custom_functions import THEME

THEME.clause(
    9,
    "A custom function may have several results; its backward must receive one gradient for"
    " each, zeros for a result that was not used.",
    why="A rule that adds the gradients of its results fails on None, and one that is called"
    " once per result counts the common part twice.",
    source=sources.FUNCTION,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            p, r = custom_function(
                x, forward="mul(a, other=2.0), mul(a, a)",
                backward="add(mul(g, other=2.0), mul(mul(h, a), other=2.0))", logs="backward"
            )
            s = sum(r)
            backward(s)
            assert hook_log() == [[0.0, 0.0], [1.0, 1.0]]
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            p, r = custom_function(
                x, forward="mul(a, other=2.0), mul(a, a)",
                backward="add(mul(g, other=2.0), mul(mul(h, a), other=2.0))", logs="backward"
            )
            z = mul(p, r)
            s = sum(z)
            backward(s)
            assert hook_log() == [[1.0, 4.0], [2.0, 4.0]]
            assert grad(x) == [6.0, 24.0]
            """
        ),
    ],
)

THEME.clause(
    10,
    "A custom function that asks for absent gradients not to be made up must receive None for a"
    " result that was not used.",
    why="Zeros of the size of an unused result cost memory and time; a rule that says that it"
    " can do without must not be sent them.",
    source=sources.FUNCTION,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            p, r = custom_function(
                x, forward="mul(a, other=2.0), mul(a, a)", backward="mul(g, other=2.0)",
                materialize=False, logs="backward"
            )
            s = sum(p)
            backward(s)
            assert hook_log() == [[1.0, 1.0], []]
            assert grad(x) == [2.0, 2.0]
            """
        ),
    ],
)

THEME.clause(
    11,
    "An input that a custom function writes in place and marks as such must have its new values"
    " and, as its history, the function.",
    why="If the mark is ignored, the tensor shows new values and the derivative of the old ones.",
    source=sources.FUNCTION,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            k = mul(x, other=1.0)
            y = custom_function(
                k, forward="mul_(a, other=5.0)", backward="mul(g, other=5.0)", dirty=True
            )
            assert value(k) == [5.0, 10.0]
            s = sum(k)
            backward(s)
            assert grad(x) == [5.0, 5.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            k = mul(x, other=1.0)
            z = mul(k, k)
            y = custom_function(
                k, forward="mul_(a, other=5.0)", backward="mul(g, other=5.0)", dirty=True
            )
            s = sum(z)
            with raises():
                backward(s)
            """
        ),
    ],
)

THEME.clause(
    12,
    "A result that a custom function marks as not differentiable must not require gradients,"
    " while its other results do.",
    why="Indices and masks come out beside values; one that requires gradients lets backward"
    " enter where there is no derivative.",
    source=sources.FUNCTION,
    needs=("requires_grad",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            p, r = custom_function(
                x, forward="mul(a, other=2.0), mul(a, a)", backward="mul(g, other=2.0)",
                non_differentiable=[1]
            )
            assert requires_grad(p)
            assert not requires_grad(r)
            assert value(r) == [1.0, 4.0]
            z = mul(p, r)
            s = sum(z)
            backward(s)
            assert grad(x) == [2.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    13,
    "The gradient of a custom function whose backward is made of differentiable operations must"
    " itself be differentiable, through saved tensors and the incoming gradient alike.",
    why="Gradient penalties reach through custom layers; a second derivative that takes saved"
    " values for constants is silently too small.",
    source=sources.DOUBLE_BACKWARD_FUNCTIONS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = custom_function(
                x, forward="mul(mul(a, a), a)", backward="mul(mul(g, mul(a, a)), other=3.0)"
            )
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            assert value(g) == [3.0, 12.0]
            t = sum(g)
            h = grad_of(outputs=[t], inputs=[x])
            assert value(h) == [6.0, 12.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            v = leaf([1.0, 1.0], requires_grad=True)
            y = custom_function(x, forward="mul(a, a)", backward="mul(mul(g, a), other=2.0)")
            g = grad_of(outputs=[y], inputs=[x], grad_outputs=v, create_graph=True)
            t = sum(g)
            h = grad_of(outputs=[t], inputs=[v])
            assert value(h) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    14,
    "Differentiating the gradient of a custom function whose backward says that it can be"
    " differentiated once only must be refused.",
    why="Such a backward works on raw values; a second derivative through it would be zero where"
    " it is not.",
    source=sources.ONCE_DIFFERENTIABLE,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = custom_function(
                x, forward="mul(a, a)", backward="mul(mul(g, a), other=2.0)",
                once_differentiable=True
            )
            z = mul(y, x)
            s = sum(z)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            assert value(g) == [3.0, 12.0]
            t = sum(g)
            with raises():
                backward(t)
            """
        ),
    ],
)

THEME.clause(
    15,
    "What a custom function saved must be freed with its graph: a second backward that was not"
    " provided for must be refused, one that was must give the same gradient again.",
    why="Rules of one's own follow the same protocol as built-in ones; kept for ever, their"
    " saved activations are a leak.",
    source=sources.EXTENDING_SAVING,
    needs=("accumulates", "frees_graph"),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = custom_function(x, forward="mul(a, a)", backward="mul(mul(g, a), other=2.0)")
            s = sum(y)
            backward(s)
            with raises():
                backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = custom_function(x, forward="mul(a, a)", backward="mul(mul(g, a), other=2.0)")
            s = sum(y)
            backward(s, retain_graph=True)
            backward(s)
            assert grad(x) == [4.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    16,
    "Forward mode must take the tangent of a custom function from its own forward-mode rule, and"
    " must refuse one that has none.",
    why="Falling back to the derivative of the forward computes something that the author has"
    " replaced on purpose.",
    source=sources.FUNCTION,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = custom_function(d, forward="mul(a, a)", backward="g", jvp="mul(s, other=7.0)")
                assert tangent(y) == [7.0, 3.5]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = custom_function(d, forward="mul(a, a)", backward="g", jvp="s")
                with raises():
                    z = custom_function(y, forward="mul(a, a)", backward="g")
            """
        ),
    ],
)
