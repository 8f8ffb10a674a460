"""The table of operations: every row of every family, by name."""

from __future__ import annotations

from importlib import import_module

from reference_engine.ops.opdef import ALIASES, REGISTRY, OpDef

_FAMILIES = """
    activations binary comparison complexes convolution copies decompositions factories indexing
    layers linalg losses masked matmul pooling reduction resampling scan sequences shape special
    spectral statistics unary
"""
for _family in _FAMILIES.split():  # a family's rows register on import
    import_module(f"reference_engine.ops.{_family}")

#: every operation by its canonical name
TABLE: dict[str, OpDef] = REGISTRY

__all__ = ["ALIASES", "TABLE"]
