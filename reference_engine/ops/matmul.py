"""Matrix products."""

from __future__ import annotations

from reference_engine.ops.opdef import bilinear, linear

bilinear(
    "mm",
    lambda xp, a, b: xp.matmul(a, b),
    vjp_a=lambda F, g, b: F.mm(g, F.mH(b)),
    vjp_b=lambda F, g, a: F.mm(F.mH(a), g),
)
linear(
    "mH",
    lambda xp, x: xp.conj(xp.matrix_transpose(x)),
    transpose=lambda F, g: F.mH(g),
)
