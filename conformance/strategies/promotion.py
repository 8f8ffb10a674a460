"""Programs in which tensors of different dtypes meet."""

from __future__ import annotations

from conformance.program import Ref, Step
from conformance.strategies.complexes import chain, number
from conformance.strategies.draft import Draft
from conformance.strategies.recipes import recipe
from conformance.strategies.shapes import Shape

FLOATS = ("float32", "float64")
SHAPES: tuple[Shape, ...] = ((3,), (2, 2), (), (1,))
NEEDS = "backward grad backward.gradient dtype:float32 dtype:float64"


@recipe("types.meeting", f"{NEEDS} dtype:int64 dtype:bool", "mul add sum")
def meeting(draft: Draft) -> None:
    """Leaves of two floating-point dtypes, with and without axes, and one of whole numbers."""
    choices = draft.choices
    shape = choices.pick(SHAPES)
    first = number(draft, shape, choices.pick(FLOATS), "x")
    second = number(draft, choices.pick(((), shape)), choices.pick(FLOATS[::-1]), "d")
    whole = number(draft, shape, choices.pick(("int64", "bool")), "n", requires_grad=False)
    met = draft.apply("mul", first, second)
    met = draft.apply(choices.pick(("mul", "add")), met, choices.pick((whole, first, second)))
    out = draft.times(chain(draft, [met, first]), choices.pick((0.5, 2.0)))
    draft.observe("value", out)
    seed = draft.apply("mul", draft.unary("detach", out), whole) if draft.can("detach") else ""
    if seed and choices.flag():
        draft.backward(out, gradient=Ref(seed))
    else:
        draft.backward(draft.apply("sum", out, stem="s"))
    draft.grad(first)
    draft.grad(second)


@recipe("types.conversions", NEEDS, "mul to sum")
def conversions(draft: Draft) -> None:
    """A leaf that is converted once or several times on its way."""
    choices = draft.choices
    leaf = number(draft, choices.pick(SHAPES), choices.pick(FLOATS), "x")
    last = leaf
    for _ in range(choices.between(1, 3)):
        last = draft.apply("to", last, dtype=choices.pick(FLOATS[::-1]))
        last = draft.times(chain(draft, [last]), choices.pick((0.5, 2.0)))
    draft.observe("value", last)
    draft.write(Step("backward", (), (draft.apply("sum", last, stem="s"),)))
    draft.grad(leaf)
