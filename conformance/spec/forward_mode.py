"""Forward mode: tensors that carry a tangent, the derivative along one direction."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario

THEME = Theme("forward_mode", "FWD", "Forward mode")

THEME.clause(
    1,
    "The tangent of a result must be the derivative of the result along the tangents of what it"
    " was computed from.",
    why="Everything else in forward mode rests on it: sensitivities, Jacobians column by column,"
    " and the check of reverse mode against it.",
    source=sources.FORWARD_AD_PAGE,
    generated=("forward.graphs",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = mul(d, d)
                z = exp(d)
                assert value(y) == [1.0, 4.0]
                assert tangent(d) == [1.0, 0.5]
                assert tangent(y) == [2.0, 2.0]
                assert tangent(z) == approx([2.71828183, 3.69452805], 8)
            """
        ),
        scenario(
            """
            a = leaf([[1.0, 2.0], [3.0, 4.0]])
            b = leaf([[1.0, 0.0], [2.0, 1.0]])
            with forward_ad():
                d = make_dual(a, tangent=[[1.0, 0.0], [0.0, 0.0]])
                y = matmul(d, b)
                s = sum(y)
                assert tangent(y) == [[1.0, 0.0], [0.0, 0.0]]
                assert tangent(s) == 1.0
            """
        ),
    ],
)

THEME.clause(
    2,
    "Where several operands carry tangents, their contributions must be added up, each operand"
    " that is used twice counted twice.",
    why="A rule that keeps the last tangent it has met is right on every test with one input.",
    source=sources.FORWARD_AD_PAGE,
    generated=("forward.several",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            w = leaf([3.0, 4.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 1.0])
                e = make_dual(w, tangent=[10.0, 0.0])
                y = mul(d, e)
                z = add(y, d)
                u = sub(z, z)
                assert tangent(y) == [13.0, 4.0]
                assert tangent(z) == [14.0, 5.0]
                assert tangent(u) == [0.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    3,
    "A result that depends on no tensor with a tangent must have none, or zeros.",
    why="A tangent that leaks from one computation into another makes a constant look sensitive.",
    source=sources.UNPACK_DUAL,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            c = leaf([3.0, 4.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = mul(d, c)
                k = mul(c, c)
                m = mul(x, c)
                assert tangent(k) == [0.0, 0.0]
                assert tangent(m) == [0.0, 0.0]
                assert tangent(y) == [3.0, 2.0]
            """
        ),
    ],
)

THEME.clause(
    4,
    "A detached tensor must carry no tangent.",
    why="Detaching declares a constant, to both modes alike; a Jacobian by forward mode must"
    " agree with the one by reverse mode.",
    source=sources.DETACH,
    needs=("detach",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = mul(d, d)
                c = detach(y)
                z = mul(c, d)
                assert tangent(c) == [0.0, 0.0]
                assert tangent(z) == [1.0, 2.0]
            """
        ),
    ],
)

THEME.clause(
    5,
    "Operations inside no_grad must go on computing tangents.",
    why="no_grad is about recording for backward; forward mode records nothing, and"
    " sensitivities are often wanted exactly where no graph is.",
    source=sources.NO_GRAD,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                with no_grad():
                    y = mul(d, d)
                assert tangent(y) == [2.0, 2.0]
            """
        ),
    ],
)

THEME.clause(
    6,
    "A view must carry the tangents of the elements that it shows, and an operation in place"
    " must write tangents as it writes values.",
    why="A buffer that is filled slice by slice has the right values and stale tangents otherwise.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]])
            with forward_ad():
                d = make_dual(x, tangent=[[1.0, 0.5], [0.0, 2.0]])
                v = select(d, dim=0, index=1)
                t = transpose(d, dim0=0, dim1=1)
                assert tangent(v) == [0.0, 2.0]
                assert tangent(t) == [[1.0, 0.0], [0.5, 2.0]]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = mul(d, other=1.0)
                mul_(y, d)
                assert tangent(y) == [2.0, 2.0]
                zero_(y)
                assert tangent(y) == [0.0, 0.0]
            """
        ),
        scenario(
            """
            x = leaf([5.0, 6.0])
            b = leaf([[1.0, 2.0], [3.0, 4.0]])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                k = mul(b, other=1.0)
                v = select(k, dim=0, index=1)
                copy_(v, d)
                assert value(k) == [[1.0, 2.0], [5.0, 6.0]]
                assert tangent(k) == [[0.0, 0.0], [1.0, 0.5]]
            """
        ),
    ],
)

THEME.clause(
    7,
    "Tangents must end with the level in which they were made.",
    why="A tangent that outlives its level mixes with those of the next direction, and Jacobians"
    " come out as sums of columns.",
    source=sources.DUAL_LEVEL,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = mul(d, d)
            with forward_ad():
                e = make_dual(x, tangent=[0.0, 1.0])
                z = mul(e, e)
                m = mul(y, e)
                assert tangent(z) == [0.0, 4.0]
                assert tangent(m) == [0.0, 4.0]
                assert tangent(y) == [0.0, 0.0]
            """
        ),
    ],
)

THEME.clause(
    8,
    "A tangent of another shape than its tensor's must be refused.",
    why="Broadcast in silence, one direction becomes another: the derivative of a sum in place"
    " of that of an element.",
    source=sources.MAKE_DUAL,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            with forward_ad():
                with raises():
                    d = make_dual(x, tangent=[1.0, 0.5, 0.0])
            """
        ),
        scenario(
            """
            x = leaf([[1.0, 2.0], [3.0, 4.0]])
            with forward_ad():
                with raises():
                    d = make_dual(x, tangent=[1.0, 0.5])
            """
        ),
    ],
)

THEME.clause(
    9,
    "Backward through a tangent must give the derivative of the directional derivative, with"
    " respect to the point and to the direction.",
    why="Products of the Hessian with a vector are computed so; a tangent that is cut off from"
    " the graph has no gradient at all.",
    source=sources.PEARLMUTTER,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = pow(d, exponent=3)
                s = sum(y)
                assert tangent(s) == 9.0
                t = tangent(s)
            backward(t)
            assert grad(x) == [6.0, 6.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0])
            v = leaf([1.0, 0.5], requires_grad=True)
            with forward_ad():
                d = make_dual(x, tangent=v)
                y = mul(d, d)
                s = sum(y)
                assert tangent(s) == 4.0
                t = tangent(s)
            backward(t)
            assert grad(v) == [2.0, 4.0]
            """
        ),
    ],
)

THEME.clause(
    10,
    "Forward mode through a backward must give the gradient a tangent: the Hessian times the"
    " direction.",
    why="It is the cheaper of the two ways to a Hessian-vector product, and the one that needs"
    " every backward rule to be differentiable in forward mode.",
    source=sources.PEARLMUTTER,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = pow(d, exponent=3)
                s = sum(y)
                g = grad_of(outputs=[s], inputs=[d], create_graph=True)
                assert value(g) == [3.0, 12.0]
                assert tangent(g) == [6.0, 6.0]
            """
        ),
    ],
)

THEME.clause(
    11,
    "Tangents must leave reverse mode as it is: values, flags and gradients must be those of the"
    " same program without them.",
    why="A forward-mode check that is left in a training step must not change what is trained.",
    source=sources.OWN_REASONING,
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], requires_grad=True)
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = mul(d, d)
                s = sum(y)
                backward(s)
            assert value(y) == [1.0, 4.0]
            assert grad(x) == [2.0, 4.0]
            """
        ),
        scenario(
            """
            x = leaf([1.0, 2.0])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = mul(d, d)
            assert not requires_grad(y)
            """
        ),
    ],
)

THEME.clause(
    12,
    "A tangent must have the shape and the dtype of its tensor, through broadcasting and"
    " reductions too.",
    why="A Jacobian is assembled from tangents; one that kept the shape of an operand is added"
    " to the wrong rows.",
    source=sources.MAKE_DUAL,
    generated=("forward.several",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0])
            c = leaf([[1.0, 2.0], [3.0, 4.0]])
            with forward_ad():
                d = make_dual(x, tangent=[1.0, 0.5])
                y = add(c, d)
                m = mean(y, dim=0, keepdim=True)
                assert tangent(y) == [[1.0, 0.5], [1.0, 0.5]]
                assert tangent(m) == [[1.0, 0.5]]
            """
        ),
    ],
)
