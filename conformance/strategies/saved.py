"""Operations that certainly save a value for their derivative, and which value that is."""

from __future__ import annotations

from conformance.catalogue import OPERATIONS
from conformance.strategies.choices import Choices
from conformance.strategies.graphs import Leaf, Node, Params
from conformance.strategies.growth import RANGES, Growth

SAVERS = tuple(
    OPERATIONS[name]
    for name in (
        "mul", "sin", "exp", "sigmoid", "cos", "tanh", "square", "pow", "sqrt", "log",
        "reciprocal", "rsqrt", "log1p", "atan", "erf", "expm1",
    )
)  # fmt: skip
"""Operations of one tensor, or of two of one shape, that save an operand or their result."""


def saved_by(
    choices: Choices, growth: Growth, value: int, *, itself: bool = False
) -> tuple[int, int]:
    """Add an operation on `value`; return the vertex that it saves, and its own. Three bytes.

    It saves `value`, or an untracked factor of it, or its own result; with `itself`, always
    `value`.
    """
    part = choices.part(3)
    drawn, factor, seed = part.byte(), part.byte(), part.byte()
    vertices = growth.graph.vertices
    vertex = vertices[value]
    known = [op for op in SAVERS if growth.facts.knows(op.name)]
    if itself:
        known = [op for op in known if op.saves != {"output"}]
    for offset in range(len(known)):
        op = known[(drawn + offset) % len(known)]
        if op.family == "binary":
            other = value
            if factor % 2 and not itself:
                other = growth.add(Leaf(vertex.shape, RANGES[factor % 3], 51 + seed, False))
            return other, growth.combine(choices, value, other, op.name)
        params: Params = (("exponent", 2.0),) if op.family == "number" else ()
        bounds = op.result((vertex.bounds,), 2.0 if params else None)
        if bounds is not None:
            user = growth.add(Node(op, (value,), params, vertex.shape, bounds))
            return (user if op.saves == {"output"} else value), user
    return value, growth.combine(choices, value, value, "mul")
