"""Threads: modes belong to one of them, graphs to all."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("threads", "THR", "Threads")

THEME.clause(
    1,
    "A new thread must start with recording enabled, whatever the mode of the thread that starts"
    " it.",
    why="Data loaders and servers start threads from anywhere; one that inherits no_grad trains"
    " nothing.",
    source=sources.NOTE_THREADS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with no_grad():
                with thread():
                    y = mul(x, x)
                z = mul(x, x)
            assert requires_grad(y)
            assert not requires_grad(z)
            """
        ),
    ],
)

THEME.clause(
    2,
    "A grad mode must apply to the thread that entered it, and to no other.",
    why="Evaluation in one thread switches training off in the next one otherwise, for as long"
    " as their blocks overlap.",
    source=sources.NOTE_THREADS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with no_grad():
                with thread():
                    with no_grad():
                        a = mul(x, x)
                    b = mul(x, x)
                c = mul(x, x)
            d = mul(x, x)
            assert not requires_grad(a)
            assert requires_grad(b)
            assert not requires_grad(c)
            assert requires_grad(d)
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with inference_mode():
                with thread():
                    b = mul(x, x)
                c = mul(x, x)
            s = sum(b)
            backward(s)
            assert not requires_grad(c)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Backward through a graph that another thread recorded must give the same gradients, and both"
    " threads must see them.",
    why="Pipelines record in one thread and run backward in the next; a tape that belongs to its"
    " thread finds nothing to differentiate.",
    source=sources.NOTE_THREADS,
    generated=("threads.backward",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            with thread():
                backward(s)
                assert grad(x) == [2.0, 4.0]
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with thread():
                y = mul(x, x)
                s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            with thread():
                x = leaf([1.0, 2.0], requires_grad=True)
                y = mul(x, x)
            with thread():
                s = sum(y)
            with thread():
                backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    4,
    "Gradients of backward passes in several threads, one after the other, must add up.",
    why="Data parallelism in threads sums shards in the parameter's gradient; the last shard"
    " alone is a quarter of the batch.",
    source=sources.NOTE_THREADS,
    needs=("accumulates",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with thread():
                a = mul(x, other=3.0)
                sa = sum(a)
                backward(sa)
            with thread():
                b = mul(x, x)
                sb = sum(b)
                backward(sb)
            c = sum(x)
            backward(c)
            assert grad(x) == [6.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "A graph that backward freed in one thread must be freed for all.",
    why="What is freed here and still walked there reads memory that has been given to something"
    " else.",
    source=sources.NOTE_THREADS,
    needs=("frees_graph",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            s = sum(y)
            with thread():
                backward(s)
            with raises():
                backward(s)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "A write in place, in whatever thread, into a value that another thread's graph saved must"
    " make backward refuse.",
    why="Buffers are filled by worker threads; a check that only sees the writes of its own"
    " thread misses the ones that happen.",
    source=sources.NOTE_IN_PLACE_CHECKS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            y = mul(x, c)
            with thread():
                mul_(c, other=2.0)
            s = sum(y)
            with raises():
                backward(s)
            """
        ),
    ],
)

THEME.clause(
    7,
    "Hooks must be called in a backward that another thread runs, and what they return must"
    " count there.",
    why="Clipping by hooks is registered once where the model is built and has to hold wherever"
    " it is trained.",
    source=sources.NOTE_THREADS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = mul(x, x)
            hook(y, action="double")
            s = sum(y)
            with thread():
                backward(s)
            assert hook_log() == [[1.0, 1.0]]
            assert grad(x) == [4.0, 8.0]
            """
        ),
    ],
)

THEME.clause(
    8,
    "Hooks on saved tensors must apply to what the thread that set them saves, and to no other"
    " thread's tensors.",
    why="One thread that offloads its activations must not send those of its neighbours to disk.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            with saved_tensors_hooks(unpack="double"):
                with thread():
                    y = mul(x, c)
            s = sum(y)
            backward(s)
            assert grad(x) == [3.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "The error of a refused backward must be raised in the thread that called it, and other graphs"
    " must go on working.",
    why="An error in a worker of the engine that nobody sees looks like a step without gradients.",
    source=sources.NOTE_THREADS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            c = leaf([3.0, 4.0])
            y = mul(x, c)
            s = sum(y)
            mul_(c, other=2.0)
            with thread():
                with raises():
                    backward(s)
            z = mul(x, x)
            t = sum(z)
            backward(t)
            assert grad(x) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    10,
    "A gradient whose graph was made in one thread must be differentiable in another.",
    why="The graph of a gradient is recorded by backward itself; recorded for one thread only,"
    " second derivatives vanish in the other.",
    source=sources.NOTE_THREADS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            y = pow(x, exponent=3)
            s = sum(y)
            with thread():
                g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            t = sum(g)
            with thread():
                h = grad_of(outputs=[t], inputs=[x])
            assert value(g) == [3.0, 12.0]
            assert value(h) == [6.0, 12.0]
            """
        ),
    ],
)
