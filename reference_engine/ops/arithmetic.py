"""Arithmetic: add, sub, mul, div, neg."""

from __future__ import annotations

from reference_engine.ops.opdef import elementwise, linear

linear(
    "add",
    lambda xp, a, b, *, alpha=1: xp.add(a, b if alpha == 1 else b * alpha),
    transpose_a=lambda F, g: g,
    transpose_b=lambda F, g, alpha: g if alpha == 1 else g * alpha,
    promotion="promote",
    inplace=True,
)
linear(
    "sub",
    lambda xp, a, b, *, alpha=1: xp.subtract(a, b if alpha == 1 else b * alpha),
    transpose_a=lambda F, g: g,
    transpose_b=lambda F, g, alpha: g * -alpha,
    promotion="promote",
    inplace=True,
    aliases=("subtract",),
)
elementwise("mul", "multiply", da=lambda F, b: b, db=lambda F, a: a, aliases=("multiply",))
elementwise(
    "div",
    "divide",
    da=lambda F, b: 1 / b,
    db=lambda F, a, b: -a / (b * b),
    promotion="float",
    aliases=("divide", "true_divide"),
    domain={"b": (0.0, float("inf"))},
)
linear("neg", "negative", transpose=lambda F, g: -g, inplace=True, aliases=("negative",))
