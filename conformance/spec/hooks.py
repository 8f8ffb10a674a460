"""Hooks: functions of the user that see, and may replace, a gradient on its way."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario
from conformance.verdict import Level

THEME = Theme("hooks", "HOOK", "Gradient hooks")

THEME.clause(
    1,
    "A hook on a leaf must see the gradient that the current backward brings, not the sum that"
    " the leaf has accumulated.",
    why="Statistics of gradients and clipping by hooks are per step; over an accumulated sum they"
    " count the first micro-batch as often as there are batches.",
    source=sources.REGISTER_HOOK,
    needs=("accumulates",),
    generated=("hooks.passes",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            hook(x, action="record")
            y = mul(x, x)
            s = sum(y)
            backward(s)
            z = mul(x, other=3.0)
            u = sum(z)
            backward(u)
            assert hook_log() == [[2.0, 4.0], [3.0, 3.0]]
            assert grad(x) == [5.0, 7.0]
            """
        ),
    ],
)

THEME.clause(
    2,
    "The gradient that a hook on a leaf returns must be accumulated in place of the one that it"
    " saw.",
    why="Clipping and masking by hooks rely on it; a return value that is dropped leaves the frozen"
    " rows of a matrix training.",
    source=sources.REGISTER_HOOK,
    generated=("hooks.leaf",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            hook(x, action="double")
            hook(w, action="zero")
            y = mul(x, w)
            s = sum(y)
            backward(s)
            assert grad(x) == [6.0, 8.0]
            assert grad(w) == [0.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Several hooks on one tensor must be called in the order in which they were registered, each"
    " with what the one before it returned.",
    why="A hook that unscales and one that clips give different steps in the two orders: the order"
    " is part of the program.",
    source=sources.HOOK_ORDER,
    generated=("hooks.chain",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=3.0)
            hook(y, action="record")
            hook(y, action="double")
            hook(y, action="record")
            s = sum(y)
            backward(s)
            assert hook_log() == [[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]]
            assert grad(x) == [6.0, 6.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            hook(x, action="zero")
            hook(x, action="double")
            hook(x, action="record")
            y = mul(x, other=3.0)
            s = sum(y)
            backward(s)
            assert hook_log() == [[3.0, 3.0], [0.0, 0.0], [0.0, 0.0]]
            assert grad(x) == [0.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    4,
    "A hook that was removed must not be called again, and the other hooks of the tensor must"
    " stay.",
    why="Hooks are removed after a measurement; one that lives on distorts gradients long after"
    " anybody remembers it.",
    source=sources.REGISTER_HOOK,
    generated=("hooks.removed",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            first = hook(x, action="double")
            second = hook(x, action="record")
            remove_hook(first)
            y = mul(x, x)
            s = sum(y)
            backward(s)
            assert hook_log() == [[2.0, 4.0]]
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=3.0)
            only = hook(y, action="zero")
            s = sum(y)
            backward(s, retain_graph=True)
            remove_hook(only)
            backward(s)
            assert hook_log() == [[1.0, 1.0]]
            assert grad(x) == [3.0, 3.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "A hook must stay registered over several backward passes: it must be called once in each"
    " that brings the tensor a gradient, and in no other.",
    why="A hook that serves once filters the first step and lets all later ones through; one that"
    " runs without a gradient fails on None.",
    source=sources.REGISTER_HOOK,
    needs=("accumulates",),
    generated=("hooks.passes",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            hook(x, action="double")
            a = mul(x, other=1.0)
            sa = sum(a)
            backward(sa)
            b = mul(w, w)
            sb = sum(b)
            backward(sb)
            c = mul(x, other=1.0)
            sc = sum(c)
            backward(sc)
            assert hook_log() == [[1.0, 1.0], [1.0, 1.0]]
            assert grad(x) == [4.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "Registering a hook on a tensor that does not require gradients must be refused.",
    why="Such a hook can never be called; accepted in silence, the clipping that somebody wrote"
    " for a frozen layer never happens once it is thawed.",
    source=sources.REGISTER_HOOK,
    generated=("hooks.untracked",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with raises():
                hook(x, action="record")
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            d = detach(y)
            with raises():
                hook(d, action="double")
            """
        ),
    ],
)

THEME.clause(
    7,
    "A hook that returns nothing must leave the gradient as it is, for the tensor and for all"
    " that it was computed from.",
    why="Most hooks only look. If looking turns the gradient into None or zeros, adding a log line"
    " stops the training below it.",
    source=sources.REGISTER_HOOK,
    generated=("hooks.observing",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            hook(y, action="none")
            hook(x, action="record")
            z = mul(y, other=3.0)
            s = sum(z)
            backward(s)
            assert hook_log() == [[3.0, 3.0], [6.0, 12.0]]
            assert grad(x) == [6.0, 12.0]
            """
        ),
    ],
)

THEME.clause(
    8,
    "Asking for gradients as a result must call the hooks that lie on the way, and must return"
    " the gradients that they replaced.",
    why="Backward and grad are two spellings of one walk; a hook that only one of them obeys makes"
    " gradient penalties and training disagree.",
    source=sources.HOOK_ORDER,
    generated=("hooks.asked",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            hook(y, action="double")
            hook(x, action="double")
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x])
            assert value(g) == [8.0, 16.0]
            assert hook_log() == [[1.0, 1.0], [4.0, 8.0]]
            assert grad(x) is None
            """
        ),
    ],
)

THEME.clause(
    9,
    "A hook that was registered on a tensor before a write in place should see the gradient with"
    " respect to the values from before the write.",
    why="The name stays and the values change: a hook on an activation that is then scaled in"
    " place must not report the gradient of the scaled one.",
    source=sources.HOOKS_AND_IN_PLACE,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            hook(y, action="record")
            mul_(y, other=3.0)
            s = sum(y)
            backward(s)
            assert hook_log() == [[3.0, 3.0]]
            assert grad(x) == [6.0, 6.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            mul_(y, other=3.0)
            hook(y, action="record")
            s = sum(y)
            backward(s)
            assert hook_log() == [[1.0, 1.0]]
            """
        ),
    ],
)

THEME.clause(
    10,
    "Where a graph of the gradient is asked for, what a hook returns must be part of it: the"
    " derivative of the gradient must include the hook's own.",
    why="A hook that rescales a gradient under a penalty changes the penalty; cut out of the graph,"
    " its factor is present in the value and absent from the step.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            hook(x, action="double")
            y = pow(x, exponent=3)
            s = sum(y)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            assert value(g) == [6.0, 24.0]
            t = sum(g)
            h = grad_of(outputs=[t], inputs=[x])
            assert value(h) == [24.0, 48.0]
            """
        ),
    ],
)
