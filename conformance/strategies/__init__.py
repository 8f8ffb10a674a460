"""Generated programs: the strategies that clauses name, and the search through them."""

from __future__ import annotations

from conformance.strategies import (
    accumulation,
    asking,
    complexes,
    cotangents,
    data,
    detach,
    extensions,
    higher,
    hooks,
    leaves,
    modes,
    numerics,
    promotion,
    retained,
    same,
    training,
    variations,
    views,
)
from conformance.strategies.driver import SearchResult, search, strategy
from conformance.strategies.facts import Facts
from conformance.strategies.probe import facts_of
from conformance.strategies.recipes import RECIPES
from conformance.strategies.state_machine import programs

__all__ = ["RECIPES", "Facts", "SearchResult", "facts_of", "programs", "search", "strategy"]
THEMES = (
    leaves, accumulation, cotangents, retained, detach, data, modes, training,
    views, hooks, higher, asking, complexes, promotion, same,
    extensions, numerics, variations,
)  # fmt: skip
"""The files of recipes; importing them registers what they hold."""
