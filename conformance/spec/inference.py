"""Inference mode: the strict form of no_grad, whose results may not enter a graph again."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import scenario
from conformance.spec.grad_modes import THEME
from conformance.verdict import Level

THEME.clause(
    12,
    "Inside inference mode, results must not require gradients and must be leaves, whatever the"
    " inputs are; after the block operations must be recorded again.",
    why="Serving code runs under inference mode for speed; recording there, or a mode that"
    " outlives its block, costs what the mode was chosen to save.",
    source=sources.INFERENCE_MODE,
    generated=("modes.inference",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                y = mul(x, x)
                s = sum(y)
            assert not requires_grad(y)
            assert not requires_grad(s)
            assert value(y) == [1.0, 4.0]
            z = mul(x, x)
            assert requires_grad(z)
            """,
            "E8",
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                y = mul(x, x)
                raise
            z = mul(x, x)
            assert is_leaf(y)
            assert not is_leaf(z)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode(decorator=True):
                y = mul(x, x)
            z = mul(x, x)
            assert not requires_grad(y)
            assert requires_grad(z)
            """
        ),
    ],
)

THEME.clause(
    13,
    "An operation that would have to save a tensor made in inference mode for backward must be"
    " refused.",
    why="Such a tensor counts no writes, so that a later change of it could not be noticed: the"
    " gradient would be wrong without any sign.",
    source=sources.NOTE_INFERENCE,
    generated=("modes.inference_saved",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                c = mul(x, x)
            with raises():
                y = mul(x, c)
            """,
            "E8",
        ),
        scenario(
            """
            w = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            with inference_mode():
                c = mul(w, other=2.0)
            with raises():
                y = matmul(w, c)
            """,
            "E8",
        ),
    ],
)

THEME.clause(
    14,
    "An operation that has no need to save a tensor made in inference mode should accept it and"
    " treat it as a constant.",
    why="Adding a precomputed offset is safe, and refusing it forces a copy; but the leaf beside"
    " it must still get its gradient.",
    source=sources.INFERENCE_RFC,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                c = mul(x, x)
            y = add(x, c)
            assert value(y) == [2.0, 6.0]
            s = sum(y)
            backward(s)
            assert grad(x) == [1.0, 1.0]
            """
        ),
    ],
)

THEME.clause(
    15,
    "Outside inference mode, a tensor made inside it must refuse to be written in place and to"
    " be made to require gradients.",
    why="It has no version by which a write could be noticed and no place in any graph: whatever"
    " is allowed here goes unchecked.",
    source=sources.INFERENCE_RFC,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with inference_mode():
                c = mul(x, x)
            with raises():
                add_(c, other=1.0)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0])
            with inference_mode():
                c = mul(x, x)
            with raises():
                requires_grad_(c, flag=True)
            assert not requires_grad(c)
            """
        ),
    ],
)

THEME.clause(
    16,
    "A copy, made outside inference mode, of a tensor made inside it must be an ordinary tensor"
    " again.",
    why="Copying is the documented way back; if the mark survives the copy, features computed"
    " once can never be trained on.",
    source=sources.INFERENCE_RFC,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                c = mul(x, x)
            k = clone(c)
            y = mul(x, k)
            s = sum(y)
            backward(s)
            assert grad(x) == [1.0, 4.0]
            """
        ),
    ],
)
