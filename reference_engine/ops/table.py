"""The table of operations: every row of every family, by name."""

from __future__ import annotations

from reference_engine.ops import (  # noqa: F401  (a family's rows register on import)
    activations,
    arrange,
    binary,
    comparison,
    complexes,
    convolution,
    copies,
    decompositions,
    factories,
    grids,
    indexing,
    layers,
    linalg,
    losses,
    masked,
    matmul,
    pooling,
    reduction,
    resampling,
    scan,
    scattering,
    sequences,
    shape,
    special,
    spectral,
    statistics,
    unary,
    vectors,
)
from reference_engine.ops.opdef import ALIASES, REGISTRY, OpDef

#: every operation by its canonical name
TABLE: dict[str, OpDef] = REGISTRY

__all__ = ["ALIASES", "TABLE"]
