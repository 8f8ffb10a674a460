"""Clauses and strategies know each other: every name resolves, none stands idle."""

from __future__ import annotations

from conformance import spec
from conformance.strategies import RECIPES


def test_every_strategy_that_a_clause_names_exists_and_every_strategy_serves_a_clause():
    used = {name for clause in spec.clauses() for name in clause.generated}
    assert used == set(RECIPES)


def test_most_clauses_are_generated_for():
    generated = [clause for clause in spec.clauses() if clause.generated]
    assert len(generated) >= 0.8 * len(spec.clauses())
