"""Saved-tensor hooks: what is kept for backward passes through functions of the program."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("saved_hooks", "SAVE", "Saved-tensor hooks")

THEME.clause(
    1,
    "Backward must compute with what the unpack hook returns in place of a saved tensor.",
    why="Activations are compressed, moved to disk or recomputed by such hooks; a backward that"
    " keeps the original as well saves no memory and hides that the copy is broken.",
    source=sources.NOTE_SAVED_HOOKS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            with saved_tensors_hooks(unpack="double"):
                y = mul(x, c)
            s = sum(y)
            backward(s)
            assert value(y) == [3.0, 8.0]
            assert grad(x) == [6.0, 8.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            with saved_tensors_hooks(pack="double", unpack="double"):
                y = mul(x, c)
            s = sum(y)
            backward(s)
            assert grad(x) == [12.0, 16.0]
            """
        ),
    ],
)

THEME.clause(
    2,
    "Hooks that give back what was saved must leave every gradient as it is without them.",
    why="Offloading is only worth having where it is invisible: a round trip through another"
    " memory must change no bit.",
    source=sources.NOTE_SAVED_HOOKS,
    generated=("saved.round_trips",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with saved_tensors_hooks(pack="array", unpack="keep"):
                e = exp(x)
                y = mul(e, x)
                z = mul(y, y)
            s = sum(z)
            backward(s)
            plain = leaf([1.0, 2.0], requires_grad=True)
            e2 = exp(plain)
            y2 = mul(e2, plain)
            z2 = mul(y2, y2)
            s2 = sum(z2)
            backward(s2)
            g = grad(plain)
            assert grad(x) == g
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with saved_tensors_hooks(pack="copy"):
                y = mul(x, x)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = neg(x)
            v = unsqueeze(y, dim=0)
            with saved_tensors_hooks(pack="keep", unpack="keep"):
                mul_(v, other=2.0)
            s = sum(v)
            backward(s)
            assert grad(x) == [-2.0, -2.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "The hooks must apply to what is saved inside their block, and to nothing that is saved"
    " before or after it.",
    why="Hooks that stay on pack the whole model instead of one block; ones that end with the"
    " block's last operation miss what it saves.",
    source=sources.SAVED_HOOKS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            a = mul(x, c)
            with saved_tensors_hooks(unpack="double"):
                b = mul(x, c)
            d = mul(x, c)
            sa = sum(a)
            backward(sa)
            assert grad(x) == [3.0, 4.0]
            set_grad(x, value=None)
            sb = sum(b)
            backward(sb)
            assert grad(x) == [6.0, 8.0]
            set_grad(x, value=None)
            sd = sum(d)
            backward(sd)
            assert grad(x) == [3.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            with saved_tensors_hooks(unpack="double"):
                b = mul(x, c)
                raise
            d = mul(x, c)
            sd = sum(d)
            backward(sd)
            assert grad(x) == [3.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    4,
    "Where such blocks are nested, the hooks of the innermost one must apply, alone.",
    why="A library that packs its own block must not have its tensors packed a second time by"
    " whoever calls it.",
    source=sources.SAVED_HOOKS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            with saved_tensors_hooks(unpack="double"):
                with saved_tensors_hooks(pack="copy"):
                    a = mul(x, c)
                b = mul(x, c)
            sa = sum(a)
            backward(sa)
            assert grad(x) == [3.0, 4.0]
            set_grad(x, value=None)
            sb = sum(b)
            backward(sb)
            assert grad(x) == [6.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "Where nothing is recorded, the hooks must not be called.",
    why="Packing is paid for every evaluation otherwise, and a hook that counts memory counts"
    " what is not held.",
    source=sources.NOTE_SAVED_HOOKS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            with saved_tensors_hooks(pack="record", unpack="record"):
                a = mul(c, c)
                with no_grad():
                    b = mul(x, c)
            assert hook_log() == []
            """
        ),
    ],
)

THEME.clause(
    6,
    "What a hook on saved tensors raises must reach the caller: of the operation where it packs,"
    " of backward where it unpacks.",
    why="A file that is gone must stop the training; swallowed, the error leaves a gradient of"
    " whatever lay in memory.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            with saved_tensors_hooks(pack="raise"):
                with raises():
                    y = mul(x, c)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            with saved_tensors_hooks(unpack="raise"):
                y = mul(x, c)
            s = sum(y)
            with raises():
                backward(s)
            assert grad(x) is None
            """
        ),
    ],
)

THEME.clause(
    7,
    "A tensor must be unpacked anew in every backward pass through its graph.",
    why="A tensor that is unpacked once and kept is held for as long as the graph is, which is"
    " what packing was to prevent; one that is not unpacked again is missing.",
    source=sources.NOTE_SAVED_HOOKS,
    needs=("accumulates",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            with saved_tensors_hooks(pack="array", unpack="double"):
                y = mul(x, c)
            s = sum(y)
            backward(s, retain_graph=True)
            backward(s)
            assert grad(x) == [12.0, 16.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with saved_tensors_hooks(unpack="record"):
                y = custom_function(x, forward="mul(a, other=2.0)", backward="mul(g, a)")
            assert hook_log() == []
            s = sum(y)
            backward(s, retain_graph=True)
            assert hook_log() == [[1.0, 2.0]]
            backward(s)
            assert hook_log() == [[1.0, 2.0], [1.0, 2.0]]
            """
        ),
    ],
)

THEME.clause(
    8,
    "What a custom function saves for backward must pass through the hooks as well.",
    why="The largest tensors are often those of hand-written layers; left out, they stay in"
    " memory while everything else is packed away.",
    source=sources.NOTE_SAVED_HOOKS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with saved_tensors_hooks(unpack="double"):
                y = custom_function(x, forward="mul(a, a)", backward="mul(mul(g, a), other=2.0)")
            s = sum(y)
            backward(s)
            assert grad(x) == [4.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "A gradient for which a graph is asked must be the same through packed tensors, and so must"
    " the gradient of that gradient.",
    why="Activation checkpoints meet gradient penalties; a packed tensor that comes back as a"
    " constant takes the second derivative away.",
    source=sources.NOTE_SAVED_HOOKS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with saved_tensors_hooks(pack="keep", unpack="keep"):
                y = pow(x, exponent=3)
                s = sum(y)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            assert value(g) == [3.0, 12.0]
            t = sum(g)
            h = grad_of(outputs=[t], inputs=[x])
            assert value(h) == [6.0, 12.0]
            """
        ),
    ],
)
