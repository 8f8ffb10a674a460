"""The rows of the misuse table that the tests know, each a scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.reference_engine.outcome import Scenario

ROWS: dict[int, tuple[str, Scenario]] = {}


def row(number: int, about: str) -> Callable[[Scenario], Scenario]:
    """Registers the scenario of a row of shared/torch_semantics.md, section 3."""

    def register(scenario: Scenario) -> Scenario:
        assert number not in ROWS, f"row {number} is here twice"
        ROWS[number] = (about, scenario)
        return scenario

    return register


def leaf(lib: Any, n: int = 3) -> Any:
    return lib.ones(n, requires_grad=True)
