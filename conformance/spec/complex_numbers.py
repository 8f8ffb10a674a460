"""Complex numbers: the conjugate convention and where real meets complex."""

from __future__ import annotations

from conformance.spec import sources
from conformance.spec.clause import Theme, scenario
from conformance.verdict import Level

THEME = Theme("complex_numbers", "CPX", "Complex numbers")

THEME.clause(
    1,
    "The gradient of a real loss L with respect to a complex leaf z = a + bi must be dL/da +"
    " i dL/db, the direction of steepest ascent.",
    why="The conjugate of it is as plausible and as common in textbooks: with it, every descent"
    " step moves the imaginary part uphill.",
    source=sources.NOTE_COMPLEX,
    generated=("complex.loss",),
    scenarios=[
        scenario(
            """
            z = leaf([(1+2j), (3-1j)], dtype="complex128", requires_grad=True)
            a = real(z)
            b = imag(z)
            aa = mul(a, a)
            bb = mul(b, other=5.0)
            y = add(aa, bb)
            s = sum(y)
            backward(s)
            assert grad(z) == [(2+5j), (6+5j)]
            """
        ),
        scenario(
            """
            z = leaf([(1+2j), (3-1j)], dtype="complex128", requires_grad=True)
            c = conj(z)
            p = mul(z, c)
            y = real(p)
            s = sum(y)
            backward(s)
            assert grad(z) == [(2+4j), (6-2j)]
            """
        ),
    ],
)

THEME.clause(
    2,
    "Backward through a holomorphic function f with a cotangent v must give the conjugate of"
    " f'(z), times v.",
    why="The conjugation sits in every rule by itself; one product that forgets it is right for"
    " every real input that a test would try.",
    source=sources.NOTE_COMPLEX,
    generated=("complex.holomorphic",),
    scenarios=[
        scenario(
            """
            z = leaf([(1+2j), 2j], dtype="complex128", requires_grad=True)
            y = mul(z, z)
            v = leaf([(1+0j), 1j], dtype="complex128")
            backward(y, gradient=v)
            assert grad(z) == [(2-4j), (4+0j)]
            """
        ),
        scenario(
            """
            z = leaf([(1+2j)], dtype="complex128", requires_grad=True)
            w = leaf([(3-1j)], dtype="complex128", requires_grad=True)
            y = mul(z, w)
            v = leaf([(1+1j)], dtype="complex128")
            backward(y, gradient=v)
            assert grad(z) == [(2+4j)]
            assert grad(w) == [(3-1j)]
            """
        ),
        scenario(
            """
            z = leaf([(3+4j)], dtype="complex128", requires_grad=True)
            y = reciprocal(z)
            v = leaf([(25+0j)], dtype="complex128")
            backward(y, gradient=v)
            assert grad(z) == approx([(0.28-0.96j)], 12)
            """
        ),
    ],
)

THEME.clause(
    3,
    "A real leaf in a complex computation must get a real gradient: the real part of what arrives.",
    why="Phases and amplitudes are real parameters of complex signals; a complex gradient on one of"
    " them turns the parameter complex at the first update.",
    source=sources.NOTE_COMPLEX,
    generated=("complex.mixed",),
    scenarios=[
        scenario(
            """
            x = leaf([1.0, 2.0], dtype="float64", requires_grad=True)
            z = leaf([(1+2j), (3-1j)], dtype="complex128", requires_grad=True)
            y = mul(x, z)
            v = leaf([(1+1j), 1j], dtype="complex128")
            backward(y, gradient=v)
            gx = leaf([3.0, -1.0], dtype="float64")
            assert grad(x) == gx
            assert grad(z) == [(1+1j), 2j]
            """
        ),
        scenario(
            """
            x = leaf([3.0], dtype="float64", requires_grad=True)
            y = leaf([4.0], dtype="float64", requires_grad=True)
            z = complex(x, y)
            w = mul(z, z)
            i = imag(w)
            s = sum(i)
            backward(s)
            assert grad(x) == [8.0]
            assert grad(y) == [6.0]
            """
        ),
    ],
)

THEME.clause(
    4,
    "Backward must pass the cotangent of real on as it is, that of imag times i, and that of conj"
    " conjugated.",
    why="These three carry every loss from complex to real numbers; a wrong sign of imag alone"
    " makes phase estimation run backwards.",
    source=sources.NOTE_COMPLEX,
    generated=("complex.loss",),
    scenarios=[
        scenario(
            """
            z = leaf([(1+2j)], dtype="complex128", requires_grad=True)
            y = real(z)
            backward(y, gradient=[3.0])
            assert grad(z) == [(3+0j)]
            """
        ),
        scenario(
            """
            z = leaf([(1+2j)], dtype="complex128", requires_grad=True)
            y = imag(z)
            backward(y, gradient=[3.0])
            assert grad(z) == [3j]
            """
        ),
        scenario(
            """
            z = leaf([(1+2j)], dtype="complex128", requires_grad=True)
            y = conj(z)
            v = leaf([(3+4j)], dtype="complex128")
            backward(y, gradient=v)
            assert grad(z) == [(3-4j)]
            """
        ),
    ],
)

THEME.clause(
    5,
    "The gradient of the absolute value of a complex number other than zero must be the number"
    " divided by its absolute value.",
    why="Magnitudes of spectra are the commonest complex loss; the derivative of the square in"
    " its place weighs loud bins twice.",
    source=sources.NOTE_COMPLEX,
    scenarios=[
        scenario(
            """
            z = leaf([(3+4j), -2j], dtype="complex128", requires_grad=True)
            y = abs(z)
            assert value(y) == [5.0, 2.0]
            s = sum(y)
            backward(s)
            assert grad(z) == [(0.6+0.8j), -1j]
            """
        ),
    ],
)

THEME.clause(
    6,
    "The gradient of the absolute value at complex zero should be zero.",
    why="Silence has magnitude zero: one NaN there, and a spectrogram loss destroys all parameters"
    " at the first pause.",
    source=sources.NOTE_NONDIFFERENTIABLE,
    level=Level.SHOULD,
    scenarios=[
        scenario(
            """
            z = leaf([0j, (3+4j)], dtype="complex128", requires_grad=True)
            y = abs(z)
            s = sum(y)
            backward(s)
            assert grad(z) == [0j, (0.6+0.8j)]
            """
        ),
    ],
)

THEME.clause(
    7,
    "Gradients of complex leaves must accumulate, broadcast and sum over uses as real ones do, in"
    " both parts.",
    why="Buffers for gradients that are made real by default take the first complex gradient's"
    " real part and go on.",
    source=sources.NOTE_COMPLEX,
    generated=("complex.mixed",),
    needs=("accumulates",),
    scenarios=[
        scenario(
            """
            z = leaf([(1+2j)], dtype="complex128", requires_grad=True)
            w = leaf([(1+0j), 1j, (1-1j)], dtype="complex128")
            y = mul(z, w)
            v = leaf([(1+0j), (1+0j), (1+0j)], dtype="complex128")
            backward(y, gradient=v)
            assert grad(z) == [(2+0j)]
            u = mul(z, z)
            k = leaf([1j], dtype="complex128")
            backward(u, gradient=k)
            assert grad(z) == [(6+2j)]
            """
        ),
    ],
)
