"""Generated programs: the strategies that clauses name, and the search through them."""

from __future__ import annotations

from conformance.strategies import (
    accumulation,
    cotangents,
    data,
    detach,
    leaves,
    modes,
    retained,
    training,
)
from conformance.strategies.driver import SearchResult, search, strategy
from conformance.strategies.facts import Facts
from conformance.strategies.probe import facts_of
from conformance.strategies.recipes import RECIPES

__all__ = ["RECIPES", "Facts", "SearchResult", "facts_of", "search", "strategy"]
THEMES = (leaves, accumulation, cotangents, retained, detach, data, modes, training)
"""The files of recipes; importing them registers what they hold."""
