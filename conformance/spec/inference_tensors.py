"""Inference tensors: what inference mode does to tensors made inside and outside of it."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario
from conformance.verdict import Level

THEME = Theme("inference_tensors", "INF", "Inference tensors")

THEME.clause(
    1,
    "A block that switches inference mode off inside another must record again, and the outer"
    " mode must return after it.",
    why="Serving code that fine-tunes one head switches the mode off for it; a mode that cannot"
    " be switched off trains nothing.",
    source=sources.INFERENCE_MODE,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                with inference_mode(enabled=False):
                    y = mul(x, x)
                    s = sum(y)
                    backward(s)
                z = mul(x, x)
            assert requires_grad(y)
            assert not requires_grad(z)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    2,
    "Tensors made outside inference mode must be as they were after it: flags, gradients, graphs"
    " recorded before.",
    why="Validation runs in the middle of training; parameters that come back as constants end it.",
    source=sources.NOTE_INFERENCE,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            with inference_mode():
                a = mul(x, y)
                assert requires_grad(x)
                assert requires_grad(y)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            assert requires_grad(x)
            assert is_leaf(x)
            """
        ),
    ],
)

THEME.clause(
    3,
    "A write inside inference mode into a tensor made outside must be seen by the graphs that"
    " saved its values: backward must refuse.",
    why="The mode skips recording, not the protection of what others have recorded; unseen, the"
    " write makes their gradient wrong.",
    source=sources.INFERENCE_RFC,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            y = mul(x, c)
            with inference_mode():
                mul_(c, other=2.0)
            assert value(c) == [6.0, 8.0]
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
    ],
)

THEME.clause(
    4,
    "Inside inference mode, tensors made there must accept writes in place, through their views"
    " too.",
    why="Generation fills a cache token by token; refused here, the mode is of no use to the"
    " programs it was made for.",
    source=sources.INFERENCE_RFC,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                y = mul(x, x)
                mul_(y, other=2.0)
                v = narrow(y, dim=0, start=0, length=1)
                zero_(v)
            assert value(y) == [0.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "A view of a tensor made in inference mode must itself count as made in inference mode,"
    " wherever the view is taken.",
    why="If taking a view washes the mark off, its writes and its uses go unchecked again.",
    source=sources.INFERENCE_RFC,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                c = mul(x, x)
            v = narrow(c, dim=0, start=0, length=1)
            with raises():
                add_(v, other=1.0)
            """
        ),
    ],
)

THEME.clause(
    6,
    "Reading the version of a tensor made in inference mode should be refused.",
    why="Its writes are not counted; a number in place of the count never changes, and a cache that"
    " trusts it never notices a write.",
    source=sources.INFERENCE_RFC,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with inference_mode():
                c = mul(x, x)
            with raises():
                version(c)
            """
        ),
    ],
)

THEME.clause(
    7,
    "Inference mode must win over the grad modes inside it: enabling gradients there must not"
    " record.",
    why="Library code opens enable_grad for its own sake; inside a server that has promised to"
    " record nothing, it must not.",
    source=sources.NOTE_INFERENCE,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                with enable_grad():
                    y = mul(x, x)
                with set_grad_enabled(enabled=True):
                    z = mul(x, x)
            with raises():
                k = mul(x, y)
            assert value(z) == [1.0, 4.0]
            """
        ),
    ],
)
