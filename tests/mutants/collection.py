"""All mutants, in the order of the specification's topics."""

from __future__ import annotations

import importlib

from tests.mutants.mutant import MUTANTS, Mutant

__all__ = ["FILES", "MUTANTS", "Mutant"]

FILES = (
    "slopes",
    "leaves",
    "flags",
    "accumulation",
    "cotangents",
    "asking",
    "retained",
    "detach",
    "hazards",
    "writes",
    "modes",
    "boundaries",
    "hooks",
    "keeping",
    "views",
    "paths",
    "higher",
    "numbers",
    "functions",
    "packing",
    "forward",
    "lifetime",
    "threads",
    "inferring",
    "leafhooks",
    "rules",
)
"""The files of mutants; importing one registers what it holds."""

for _name in FILES:
    importlib.import_module(f"tests.mutants.{_name}")
