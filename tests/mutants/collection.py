"""All mutants, in the order of the specification's topics."""

from __future__ import annotations

from tests.mutants import (  # noqa: F401  (a file's mutants register on import)
    slopes,
    leaves,
    flags,
    accumulation,
    cotangents,
    retained,
    detach,
    hazards,
    writes,
    modes,
    boundaries,
    views,
    hooks,
    higher,
    paths,
    numbers,
)  # fmt: skip
from tests.mutants.mutant import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant"]
