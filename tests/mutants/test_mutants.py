"""Every mutant is caught by each clause that it names, as any engine is examined."""

from __future__ import annotations

import pytest

from conformance import spec
from conformance.examine import examine
from conformance.verdict import ClauseResult, Kind, Status
from tests.mutants.collection import MUTANTS
from tests.mutants.mutant import replaced
from tests.mutants.profile import PROFILE

SLIPS = ("AttributeError", "ImportError", "IndexError", "NameError", "UnboundLocalError")
"""What a mutant raises that broke with the engine that it stands on; no mutant means to."""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught_by_each_clause_that_it_names(name: str) -> None:
    row = MUTANTS[name]
    with row.made() as engine:
        results = [examine(engine, spec.clause(one), PROFILE, 0) for one in row.caught_by]
    missed = [f"{result.id} {result.status.value}" for result in results if not caught(result)]
    assert missed == [], f"{name}: {row.wrong}"


def caught(result: ClauseResult) -> bool:
    """Tell whether the clause is violated, and not by a slip of the mutant's own."""
    causes = [v.cause for v in result.violations if v.kind is Kind.REFUSED_LOUDLY]
    return result.status is Status.VIOLATED and not any(cause.endswith(SLIPS) for cause in causes)


def test_mutants_say_in_one_sentence_what_is_wrong() -> None:
    for row in MUTANTS.values():
        assert 30 < len(row.wrong) < 250, row.name
        assert row.wrong.endswith("."), row.name
        assert ". " not in row.wrong, row.name
        assert row.caught_by, row.name


def test_every_clause_is_violated_by_a_mutant() -> None:
    killers: dict[str, list[str]] = {row.id: [] for row in spec.clauses()}
    for row in MUTANTS.values():
        for one in row.caught_by:
            killers[one].append(row.name)
    lines = [f"{one}: {', '.join(names) or 'NO MUTANT'}" for one, names in killers.items()]
    assert all(killers.values()), "\n".join(lines)


def test_every_topic_has_mutants_of_its_own() -> None:
    by_topic = {theme.prefix: set[str]() for theme in spec.themes()}
    for row in MUTANTS.values():
        by_topic[row.caught_by[0].split("-")[0]].add(row.name)
    topics = ("LEAF", "ACC", "COT", "RET", "DET", "DAT", "MOD")
    assert {topic: len(by_topic[topic]) for topic in topics if len(by_topic[topic]) < 10} == {}


def test_a_patch_of_what_is_gone_says_where_it_looked() -> None:
    place = "reference_engine.graph:OpNode.no_such_method"
    with pytest.raises(LookupError, match=f"{place} is gone"), replaced(place, lambda *_: None):
        pass


def test_a_patch_is_undone() -> None:
    from reference_engine.graph import OpNode

    before = vars(OpNode)["release"]
    with MUTANTS["products-not-freed"].made():
        assert vars(OpNode)["release"] is not before
    assert vars(OpNode)["release"] is before
