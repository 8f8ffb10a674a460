"""The text of the specification: complete, numbered, readable, and well formed."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from conformance import spec
from conformance.adapters.base import OPTIONAL
from conformance.notation import parse, render
from conformance.program import VERBS, Program, from_json, to_json
from conformance.spec.clause import Clause
from conformance.spec.sources import OWN_REASONING
from conformance.verdict import Level

SEEDS = frozenset(
    f"{letter}{number}"
    for letter, last in {"A": 6, "B": 18, "C": 4, "D": 3, "E": 8}.items()
    for number in range(1, last + 1)
)
"""The cases that the founding documents claim, by id."""
TOPICS = {"LEAF", "ACC", "COT", "RET", "DET", "DAT", "MOD"}
CAPABILITIES = OPTIONAL | {need for row in VERBS.values() for need in row.needs}

every_clause = pytest.mark.parametrize("clause", spec.clauses(), ids=lambda clause: clause.id)


def test_every_seed_case_is_a_scenario_and_no_other_tag_exists():
    tags = {tag for clause in spec.clauses() for p in clause.scenarios for tag in p.tags}
    assert tags == SEEDS


def test_each_of_the_seven_topics_has_eight_clauses_and_training_is_there():
    count = Counter(clause.id.split("-")[0] for clause in spec.clauses())
    assert count.keys() > TOPICS | {"TRN"}
    assert all(count[topic] >= 8 for topic in TOPICS | {"TRN"})


def test_the_specification_has_the_extent_that_it_claims():
    assert len(spec.clauses()) >= 150
    assert len(spec.themes()) >= 14
    assert all(len(theme.clauses) >= 4 for theme in spec.themes())


def test_no_two_themes_share_a_name_a_prefix_or_a_title():
    themes = spec.themes()
    for facts in zip(*((t.name, t.prefix, t.title) for t in themes), strict=True):
        assert len(set(facts)) == len(themes)


def test_numbers_run_from_one_without_a_gap_in_reading_order():
    for theme in spec.themes():
        numbers = [clause.id for clause in theme.clauses]
        assert numbers == [f"{theme.prefix}-{n}" for n in range(1, len(numbers) + 1)]


def test_no_two_clauses_say_the_same_and_no_scenario_stands_twice_in_a_clause():
    titles = Counter(clause.title for clause in spec.clauses())
    assert max(titles.values()) == 1
    for clause in spec.clauses():
        assert len(set(clause.scenarios)) == len(clause.scenarios), clause.id


@every_clause
def test_a_clause_is_one_normative_sentence_at_its_level(clause: Clause):
    assert clause.title.endswith(".")
    assert not re.search(r"[.!?] [A-Z]", clause.title), "more than one sentence"
    if clause.level is Level.MUST:
        assert re.search(r"\b(must|can|may)\b", clause.title)
        assert not re.search(r"\bshould\b", clause.title)
    else:
        assert re.search(r"\bshould\b", clause.title)
        assert not re.search(r"\bmust\b", clause.title)


@every_clause
def test_a_clause_says_why_and_names_its_source(clause: Clause):
    assert len(clause.why) > 60
    assert clause.why.endswith(".")
    assert clause.source == OWN_REASONING or re.fullmatch(r"https://\S+", clause.source)


@every_clause
def test_prose_has_no_slips_of_spacing(clause: Clause):
    for text in (clause.title, clause.why):
        assert "  " not in text
        assert text == text.strip()
        assert not re.search(r" [,;:]| \.(\s|$)", text)
        assert not re.search(r"\b(\w+) \1\b", text), "a word stands twice"


@every_clause
def test_needs_and_oracles_have_known_names(clause: Clause):
    assert clause.needs <= CAPABILITIES
    assert set(clause.oracles) <= {"differential", "finite_difference", "adjoint"}
    assert clause.scenarios


@every_clause
def test_scenarios_observe_something_that_is_promised_or_judged(clause: Clause):
    for program in clause.scenarios:
        assert any(
            step.expect or step.refused or VERBS[step.verb].observes for step in program.walk()
        )


@every_clause
def test_scenarios_survive_text_and_json(clause: Clause):
    for program in clause.scenarios:
        assert parse(render(program)) == program
        assert from_json(to_json(program)) == program


def test_most_core_clauses_reach_an_engine_with_nothing_but_backward_and_grad():
    """An author sees results after two methods, in every topic that two methods can reach."""
    bare = {"backward", "grad", "backward.gradient", "accumulates", "frees_graph"}
    reached = {
        clause.id.split("-")[0]
        for clause in spec.clauses()
        if clause.needs <= bare and any(_needs(p) <= bare for p in clause.scenarios)
    }
    assert reached >= {"LEAF", "ACC", "COT", "RET", "TRN"}


def _needs(program: Program) -> frozenset[str]:
    return program.needs
