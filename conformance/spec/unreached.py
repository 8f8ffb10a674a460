"""Unused and unreachable inputs: what an engine says where there is no path from the root."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("unreached", "PATH", "Unused and unreachable inputs")

THEME.clause(
    1,
    "Asking for the gradient with respect to a tensor that does not require gradients must be"
    " refused, also where unused inputs are allowed.",
    why="It is the sign of a forgotten flag; an answer of None or zero hides it behind an input"
    " that is merely unused.",
    source=sources.AUTOGRAD_GRAD,
    generated=("paths.untracked",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            y = mul(x, c)
            s = sum(y)
            with raises():
                gx, gc = grad_of(outputs=[s], inputs=[x, c])
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            y = mul(x, c)
            s = sum(y)
            with raises():
                g = grad_of(outputs=[s], inputs=[c], allow_unused=True)
            """
        ),
    ],
)

THEME.clause(
    2,
    "A tensor from which the output is reached only through detach must count as unused.",
    why="The values do depend on it and the gradient does not: a zero in place of None would say"
    " that there is a path and nothing flows along it.",
    source=sources.DETACH,
    generated=("paths.detached",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            a = mul(x, x)
            d = detach(a)
            y = mul(d, w)
            s = sum(y)
            gx, gw = grad_of(outputs=[s], inputs=[x, w], allow_unused=True)
            assert value(gx) is None
            assert value(gw) == [1.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            a = mul(x, x)
            d = detach(a)
            y = mul(d, w)
            s = sum(y)
            with raises():
                g = grad_of(outputs=[s], inputs=[a])
            """
        ),
    ],
)

THEME.clause(
    3,
    "A tensor that was computed from the output, or beside it, must count as unused: gradients"
    " flow from the root to what it was computed from only.",
    why="Walking the edges in both directions finds a path between any two tensors of a network"
    " and gives every one of them some gradient.",
    source=sources.AUTOGRAD_GRAD,
    generated=("paths.beside",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            later = mul(y, other=3.0)
            aside = mul(x, other=5.0)
            s = sum(y)
            gx, gl, ga = grad_of(outputs=[s], inputs=[x, later, aside], allow_unused=True)
            assert value(gx) == [2.0, 4.0]
            assert value(gl) is None
            assert value(ga) is None
            """
        ),
    ],
)

THEME.clause(
    4,
    "Where a path exists but its derivative is zero, the gradient must be zeros of the tensor's"
    " shape and not None.",
    why="Dead units and saturated gates have gradients, which are zero; optimizers with momentum"
    " step on zero and skip None.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=0.0)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x], retain_graph=True)
            assert value(g) == [0.0, 0.0]
            backward(s)
            assert grad(x) == [0.0, 0.0]
            """
        ),
        scenario(
            """
            x = leaf([-1.0, -2.0], requires_grad=True)
            y = relu(x)
            s = sum(y)
            backward(s)
            assert grad(x) == [0.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "The gradient of an output with respect to itself must be the cotangent: one for a scalar.",
    why="It is the start of every walk; engines that look for inputs below the root only call it"
    " unused.",
    source=sources.OWN_REASONING,
    generated=("paths.itself",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            gs, gy = grad_of(outputs=[s], inputs=[s, y])
            assert value(gs) == 1.0
            assert value(gy) == [1.0, 1.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            g = grad_of(outputs=[x], inputs=[x], grad_outputs=[3.0, 4.0])
            assert value(g) == [3.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "An input that is asked for twice must be answered twice, each time with the whole gradient.",
    why="Parameter lists with tied weights hold one tensor in two places; half of the gradient in"
    " each, or None in the second, unties them.",
    source=sources.OWN_REASONING,
    generated=("paths.repeated",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = mul(x, w)
            s = sum(y)
            first, other, second = grad_of(outputs=[s], inputs=[x, w, x])
            assert value(first) == [3.0, 4.0]
            assert value(other) == [1.0, 2.0]
            assert value(second) == [3.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    7,
    "A hook on a tensor that the root does not depend on must not be called.",
    why="Hooks count steps and collect statistics: called with zeros for a branch that took no"
    " part, they average over batches that never were.",
    source=sources.REGISTER_HOOK,
    generated=("paths.hooked",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = mul(x, x)
            aside = mul(w, w)
            hook(w, action="record")
            hook(aside, action="double")
            s = sum(y)
            backward(s)
            assert hook_log() == []
            assert grad(w) is None
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)
