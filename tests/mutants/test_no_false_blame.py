"""Right engines are not blamed: PyTorch, the reference engine, and engines of unusual habits."""

from __future__ import annotations

import pytest

from conformance import spec
from conformance.adapters.base import Engine
from conformance.adapters.load import load_engine
from conformance.examine import examine
from conformance.verdict import Status
from tests.mutants.profile import PROFILE
from tests.mutants.unusual import UNUSUAL

THEMES = [theme.prefix for theme in spec.themes()]


def statuses(engine: Engine, prefix: str) -> dict[str, Status]:
    """Return what each clause of a theme says of an engine; fail where one blames it."""
    results = [examine(engine, row, PROFILE, 0) for row in spec.select(f"{prefix}-*")]
    blamed = [f"{r.id}: {v.message}\n{v.text}" for r in results for v in r.violations]
    assert blamed == []
    return {result.id: result.status for result in results}


@pytest.mark.parametrize("prefix", THEMES)
@pytest.mark.parametrize("name", ["torch", "reference"])
def test_every_clause_holds_on_both_engines(name: str, prefix: str) -> None:
    found = statuses(load_engine(name), prefix)
    assert {row: status for row, status in found.items() if status is not Status.HOLDS} == {}


@pytest.mark.parametrize("prefix", THEMES)
@pytest.mark.parametrize("engine", UNUSUAL, ids=lambda engine: engine.__name__)
def test_no_clause_blames_a_right_engine_of_unusual_habits(
    engine: type[Engine], prefix: str
) -> None:
    found = statuses(engine(), prefix)
    assert set(found.values()) <= {Status.HOLDS, Status.UNSUPPORTED, Status.INCONCLUSIVE}
    if prefix in ("LEAF", "COT", "RET", "MOD"):
        assert Status.HOLDS in found.values()
