"""Programs on complex numbers: holomorphic functions, real losses, real leaves among complex."""

from __future__ import annotations

from conformance.program import Param, Ref, Step
from conformance.strategies.draft import Draft
from conformance.strategies.recipes import recipe
from conformance.strategies.shapes import Shape

SHAPES: tuple[Shape, ...] = ((), (2,), (2, 2))
SMOOTH = ("mul", "add", "sub", "sin", "cos", "neg")
NEEDS = "backward grad dtype:complex128"


def number(
    draft: Draft, shape: Shape, dtype: str, stem: str = "z", requires_grad: bool = True
) -> str:
    """Write a seeded leaf of the dtype, its parts within one of zero; one byte."""
    name = draft.fresh(stem)
    params: tuple[tuple[str, Param], ...] = (
        ("shape", shape),
        ("seed", 300 + draft.choices.byte()),
        ("low", -1.0),
        ("high", 1.0),
        ("dtype", dtype),
    )
    params += (("requires_grad", True),) if requires_grad else ()
    draft.write(Step("leaf", (name,), params=params))
    return name


def chain(draft: Draft, leaves: list[str], extra: tuple[str, ...] = ()) -> str:
    """Write one to four operations from the leaves on; the last one's name is returned."""
    choices = draft.choices
    known = [op for op in (*SMOOTH, *extra) if draft.facts.knows(op)] or ["mul"]
    known_binary = ("mul", "add", "sub")
    last, pool = leaves[0], list(leaves)
    for _ in range(choices.between(1, 4)):
        op = choices.pick(known)
        args = (last, choices.pick(pool)) if op in known_binary else (last,)
        last = draft.apply(op, *args)
        pool.append(last)
    return last


@recipe("complex.holomorphic", f"{NEEDS} backward.gradient", "mul")
def holomorphic(draft: Draft) -> None:
    """A holomorphic function with a complex cotangent."""
    shape = draft.choices.pick(SHAPES)
    leaves = [number(draft, shape, "complex128") for _ in range(draft.choices.between(1, 2))]
    out = chain(draft, leaves)
    seed = number(draft, shape, "complex128", "v", requires_grad=False)
    draft.backward(out, gradient=Ref(seed))
    draft.grad(leaves[0])


@recipe("complex.loss", NEEDS, "mul real imag conj sum add")
def loss(draft: Draft) -> None:
    """A real loss of complex numbers: parts, squares and conjugates."""
    shape = draft.choices.pick(SHAPES)
    leaf = number(draft, shape, "complex128")
    out = chain(draft, [leaf], ("conj",))
    a, b = draft.apply("real", out), draft.apply("imag", out)
    if draft.choices.flag():
        a = draft.apply("mul", a, b)
    both = draft.apply("add", draft.times(a, 2.0), b)
    draft.backward(draft.apply("sum", both, stem="s"))
    draft.grad(leaf)


@recipe("complex.mixed", f"{NEEDS} backward.gradient dtype:float64", "mul")
def mixed(draft: Draft) -> None:
    """A real leaf that meets complex ones gets a real gradient."""
    shape = draft.choices.pick(SHAPES)
    real = number(draft, shape, "float64", "x")
    other = number(draft, shape, "complex128")
    met = draft.apply("mul", real, other)
    out = chain(draft, [met, real])
    seed = number(draft, shape, "complex128", "v", requires_grad=False)
    draft.backward(out, gradient=Ref(seed))
    draft.grad(real)
    draft.grad(other)
