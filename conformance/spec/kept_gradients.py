"""Kept gradients: retain_grad on tensors that are not leaves."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("kept_gradients", "KEEP", "retain_grad")

THEME.clause(
    1,
    "retain_grad must only keep: neither the values nor the gradients of any other tensor may"
    " depend on whether it was called.",
    why="It is called to look into a network that misbehaves; a probe that changes what it measures"
    " sends its user after the wrong fault.",
    source=sources.RETAIN_GRAD,
    generated=("kept.twins",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            t = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            u = mul(t, t)
            retain_grad(y)
            z = mul(y, other=3.0)
            v = mul(u, other=3.0)
            sz = sum(z)
            sv = sum(v)
            backward(sz)
            backward(sv)
            assert value(y) == u
            assert grad(y) == [3.0, 3.0]
            assert grad(u) is None
            assert grad(x) == [6.0, 12.0]
            assert grad(t) == [6.0, 12.0]
            """
        ),
    ],
)

THEME.clause(
    2,
    "retain_grad must also take effect when it is called after the tensor was used, as long as"
    " backward comes later.",
    why="One decides to look once the loss is known: by then the whole forward pass is recorded,"
    " and the tensor's uses with it.",
    source=sources.RETAIN_GRAD,
    generated=("kept.late",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            z = mul(y, y)
            s = sum(z)
            retain_grad(y)
            retain_grad(s)
            backward(s)
            assert grad(y) == [2.0, 8.0]
            assert grad(s) == 1.0
            assert grad(x) == [4.0, 32.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Where a tensor that keeps its gradient is changed in place, the kept gradient must be that"
    " with respect to its new values.",
    why="The gradient stands beside the values that are read with it; that of values which are"
    " gone has the right shape and means nothing.",
    source=sources.HOOKS_AND_IN_PLACE,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=2.0)
            retain_grad(y)
            mul_(y, other=3.0)
            z = mul(y, y)
            s = sum(z)
            backward(s)
            assert value(y) == [6.0, 12.0]
            assert grad(y) == [12.0, 24.0]
            assert grad(x) == [72.0, 144.0]
            """
        ),
    ],
)

THEME.clause(
    4,
    "The gradient that retain_grad keeps must be the one that the tensor's hooks have left, in"
    " whichever order hooks and retain_grad were asked for.",
    why="What is kept must be what flows on: a kept gradient from before clipping shows explosions"
    " that no parameter ever saw.",
    source=sources.HOOK_ORDER,
    generated=("kept.hooked",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=3.0)
            retain_grad(y)
            hook(y, action="double")
            s = sum(y)
            backward(s)
            assert grad(y) == [2.0, 2.0]
            assert grad(x) == [6.0, 6.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, other=3.0)
            hook(y, action="double")
            retain_grad(y)
            s = sum(y)
            backward(s)
            assert grad(y) == [2.0, 2.0]
            assert grad(x) == [6.0, 6.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "A kept gradient must own its memory: zeroing it in place must not change what the leaves"
    " have accumulated, nor the kept gradients of other tensors.",
    why="Addition hands one gradient to both of its operands; where the kept one is that very"
    " array, resetting a probe resets a parameter's gradient too.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            w = leaf([3.0, 4.0], requires_grad=True)
            y = add(x, other=1.0)
            z = add(y, w)
            retain_grad(y)
            retain_grad(z)
            backward(z, gradient=[5.0, 6.0])
            g = grad(y)
            zero_(g)
            assert grad(y) == [0.0, 0.0]
            assert grad(z) == [5.0, 6.0]
            assert grad(x) == [5.0, 6.0]
            assert grad(w) == [5.0, 6.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "A tensor that keeps its gradient must keep none from a backward that does not reach it.",
    why="Zeros would say that the loss does not change with the tensor, None says that it was not"
    " computed from it: two different faults.",
    source=sources.RETAIN_GRAD,
    generated=("kept.unreached",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            aside = mul(x, other=5.0)
            retain_grad(y)
            retain_grad(aside)
            s = sum(y)
            backward(s)
            assert grad(y) == [1.0, 1.0]
            assert grad(aside) is None
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)
