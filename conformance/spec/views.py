"""Views: tensors that show the memory of another, and how gradients find their way through them."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario
from conformance.verdict import Level

THEME = Theme("views", "VIEW", "Views")

THEME.clause(
    1,
    "A view, and a view of a view, must show the memory of its base: a write through any of them"
    " must be seen in all of them, at the elements that they share.",
    why="Programs fill buffers slice by slice; where a view is a copy by mistake, the buffer stays"
    " as it was and nothing says so.",
    source=sources.TENSOR_VIEWS,
    generated=("views.chains",),
    scenarios=[
        scenario(
            """
            base = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
            row = select(base, dim=0, index=1)
            part = narrow(row, dim=0, start=1, length=2)
            mul_(part, other=10.0)
            assert value(row) == [4.0, 50.0, 60.0]
            assert value(base) == [[1.0, 2.0, 3.0], [4.0, 50.0, 60.0]]
            add_(base, other=1.0)
            assert value(part) == [51.0, 61.0]
            """
        ),
        scenario(
            """
            base = leaf([1.0, 2.0, 3.0, 4.0])
            square = view(base, size=[2, 2])
            turned = t(square)
            column = select(turned, dim=0, index=1)
            zero_(column)
            assert value(base) == [1.0, 0.0, 3.0, 0.0]
            assert value(turned) == [[1.0, 3.0], [0.0, 0.0]]
            """
        ),
    ],
)

THEME.clause(
    2,
    "The gradient that reaches a view must be added to the gradient of its base at the elements"
    " that the view shows, and must be zero at all others.",
    why="Heads of attention and gates of a recurrent cell are slices of one product: a gradient"
    " that lands on the neighbouring slice trains the wrong head.",
    source=sources.TENSOR_VIEWS,
    generated=("views.chains",),
    oracles=("differential", "finite_difference"),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
            part = narrow(x, dim=1, start=1, length=2)
            y = mul(part, part)
            s = sum(y)
            backward(s)
            assert grad(x) == [[0.0, 4.0, 6.0], [0.0, 10.0, 12.0]]
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            turned = t(x)
            row = select(turned, dim=0, index=1)
            backward(row, gradient=[10.0, 100.0])
            assert grad(x) == [[0.0, 10.0], [0.0, 100.0]]
            """
        ),
    ],
)

THEME.clause(
    3,
    "Where views show the same element, or one view shows an element several times, the"
    " element's gradient must be the sum over all of its appearances.",
    why="Overlapping windows are the essence of convolution and of framing a signal; a write where"
    " an addition is due keeps only the last window's share.",
    source=sources.GRIEWANK,
    generated=("views.overlap",),
    oracles=("differential", "finite_difference"),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            head = narrow(x, dim=0, start=0, length=2)
            tail = narrow(x, dim=0, start=1, length=2)
            y = mul(head, tail)
            s = sum(y)
            backward(s)
            assert grad(x) == [2.0, 4.0, 2.0]
            """
        ),
        scenario(
            """
            x = leaf([[1.0], [2.0]], requires_grad=True)
            wide = expand(x, size=[2, 3])
            backward(wide, gradient=[[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
            assert grad(x) == [[6.0], [60.0]]
            """
        ),
    ],
)

THEME.clause(
    4,
    "Where one operation returns several views, each must pass its gradient to its own part of"
    " the base; a part whose view is not used must get zeros.",
    why="Queries, keys and values are commonly split from one product; an engine that starts when"
    " the first of the parts has arrived loses the others.",
    source=sources.TENSOR_VIEWS,
    generated=("views.several",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
            a, b, c = unbind(x, dim=0)
            y = mul(a, c)
            s = sum(y)
            backward(s)
            assert grad(x) == [[5.0, 6.0], [0.0, 0.0], [1.0, 2.0]]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0, 4.0, 5.0], requires_grad=True)
            a, b = split(x, split_size_or_sections=3, dim=0)
            backward(b, gradient=[10.0, 100.0])
            assert grad(x) == [0.0, 0.0, 0.0, 10.0, 100.0]
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0, 3.0, 4.0]], requires_grad=True)
            a, b = chunk(x, chunks=2, dim=1)
            y = mul(a, b)
            backward(a, y, gradient=[[[1.0, 1.0]], [[1.0, 1.0]]])
            assert grad(x) == [[4.0, 5.0, 1.0, 2.0]]
            """
        ),
    ],
)

THEME.clause(
    5,
    "A write in place through a view of a view must be differentiated in every tensor that shares"
    " its memory: in the inner view, in the outer view and in the base.",
    why="A new history for the innermost view alone gives right results in every test of one level,"
    " and wrong gradients for the masked block of a masked matrix.",
    source=sources.TENSOR_VIEWS,
    generated=("views.chains",),
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            base = mul(x, other=1.0)
            row = select(base, dim=0, index=0)
            cell = narrow(row, dim=0, start=1, length=1)
            mul_(cell, other=10.0)
            assert value(base) == [[1.0, 20.0], [3.0, 4.0]]
            backward(base, gradient=[[1.0, 1.0], [1.0, 1.0]])
            assert grad(x) == [[1.0, 10.0], [1.0, 1.0]]
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            base = mul(x, other=1.0)
            row = select(base, dim=0, index=0)
            cell = narrow(row, dim=0, start=1, length=1)
            mul_(cell, other=10.0)
            backward(row, gradient=[1.0, 1.0])
            assert grad(x) == [[1.0, 10.0], [0.0, 0.0]]
            """
        ),
    ],
)

THEME.clause(
    6,
    "A write of a tracked tensor through one view of an untracked base must make the base and its"
    " other views require gradients and pass them on.",
    why="A state matrix is filled by columns and read by rows: a sibling view that stays untracked"
    " cuts the graph in the middle of the loop.",
    source=sources.TENSOR_VIEWS,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            base = leaf([[0.0, 0.0], [0.0, 0.0]])
            row = select(base, dim=0, index=0)
            column = select(base, dim=1, index=1)
            copy_(row, x)
            assert value(column) == [2.0, 0.0]
            assert requires_grad(base)
            assert requires_grad(column)
            backward(column, gradient=[10.0, 100.0])
            assert grad(x) == [0.0, 10.0]
            """
        ),
    ],
)

THEME.clause(
    7,
    "Where one operation returned several views, a use of one of them after its base was written"
    " in place should be refused.",
    why="The graph has one node for all of the views and cannot remake one alone; an engine that"
    " goes on differentiates values that are no longer there.",
    source=sources.TENSOR_VIEWS,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            base = mul(x, other=1.0)
            a, b = unbind(base, dim=0)
            mul_(base, other=2.0)
            with raises():
                y = mul(a, other=3.0)
            """
        ),
    ],
)

THEME.clause(
    8,
    "A copy of a view must own its memory: a write into it must not be seen by the base, and its"
    " gradient must still reach the base's elements that it was copied from.",
    why="clone is the documented way to change a slice without changing the whole; where it"
    " shares or detaches, either the data or the learning is lost.",
    source=sources.CLONE,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            base = mul(x, other=2.0)
            part = narrow(base, dim=0, start=1, length=2)
            copy = clone(part)
            mul_(copy, other=10.0)
            assert value(base) == [2.0, 4.0, 6.0]
            assert value(copy) == [40.0, 60.0]
            backward(copy, gradient=[1.0, 1.0])
            assert grad(x) == [0.0, 20.0, 20.0]
            """
        ),
    ],
)

THEME.clause(
    9,
    "A write under no_grad through a view of a leaf that requires gradients must change the leaf,"
    " which must stay a leaf and get right gradients from then on.",
    why="Rows of an embedding are reset and renormalised this way during training; a leaf that"
    " turns into a result is lost to its optimizer.",
    source=sources.NO_GRAD,
    generated=("views.leaf_update",),
    scenarios=[
        scenario(
            """
            w = leaf([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
            with no_grad():
                row = select(w, dim=0, index=0)
                mul_(row, other=10.0)
            assert value(w) == [[10.0, 20.0], [3.0, 4.0]]
            assert is_leaf(w)
            assert requires_grad(w)
            y = mul(w, w)
            s = sum(y)
            backward(s)
            assert grad(w) == [[20.0, 40.0], [6.0, 8.0]]
            """
        ),
    ],
)

THEME.clause(
    10,
    "Views must be differentiable twice: the second derivative through a view must be that of the"
    " elements that it shows.",
    why="Penalties on the gradient of one output use a slice of it; a view whose backward is not"
    " itself recorded makes the penalty vanish.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0, 3.0], requires_grad=True)
            part = narrow(x, dim=0, start=1, length=2)
            cube = pow(part, exponent=3)
            s = sum(cube)
            g = grad_of(outputs=[s], inputs=[x], create_graph=True)
            assert value(g) == [0.0, 12.0, 27.0]
            last = select(g, dim=0, index=2)
            backward(last)
            assert grad(x) == [0.0, 0.0, 18.0]
            """
        ),
    ],
)
