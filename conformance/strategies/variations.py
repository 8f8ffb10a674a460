"""Variations: a clause's own scenarios with other numbers, judged by oracles in place of figures.

Numbers keep their shape, their sign and their order of magnitude, so that what a scenario shows
(an operand in the domain, a refusal, an absent gradient) stays; zeros, integers and what is not
finite stay as they are. Figures that are numbers are dropped, since they were worked out for
others; flags, absence, equality with another tensor and owed errors are kept.
"""

from __future__ import annotations

from dataclasses import replace

from conformance.errors import Unsupported
from conformance.program import Expect, Param, Program, Ref, Step
from conformance.spec import Clause, clauses
from conformance.strategies.choices import Choices
from conformance.strategies.draft import Draft
from conformance.strategies.recipes import RECIPES, Recipe

PREFIX = "variations."
_FACTORS = tuple(n / 16 for n in (16, *range(8, 16), *range(17, 33)))
_LEAST, _MOST = 0.1, 10.0


def _register(clause: Clause) -> None:
    programs = clause.scenarios

    def write(draft: Draft) -> None:
        facts = draft.facts
        able = [p for p in programs if facts.can(*p.needs) and facts.knows(*p.operations)]
        if not able:
            raise Unsupported(f"no scenario of {clause.id} can be run")
        for step in varied(draft.choices.pick(able), draft.choices).steps:
            draft.write(step)

    needs = min((program.needs for program in programs), key=len)
    name = f"{PREFIX}{clause.id}"
    RECIPES[name] = Recipe(name, write, needs | clause.needs, frozenset())


def varied(program: Program, choices: Choices) -> Program:
    """Return the program with numbers drawn from `choices`, without figures for the old ones."""
    leaves = frozenset(step.out[0] for step in program.walk() if step.verb == "leaf")
    return Program(tuple(_step(step, leaves, choices) for step in program.steps))


def _step(step: Step, leaves: frozenset[str], choices: Choices) -> Step:
    if step.body:
        return replace(step, body=tuple(_step(inner, leaves, choices) for inner in step.body))
    if step.verb == "leaf" and "int" not in str(step.param("dtype")):
        return replace(step, params=tuple((k, _leaf(k, v, choices)) for k, v in step.params))
    if step.expect is not None and _numeric(step.expect, leaves):
        return replace(step, expect=None)
    return step


def _leaf(name: str, value: Param, choices: Choices) -> Param:
    if name == "seed" and isinstance(value, int):
        return value + 1000 * choices.byte()
    return _numbers(value, choices) if name == "value" else value


def _numbers(value: Param, choices: Choices) -> Param:
    if isinstance(value, tuple):
        return tuple(_numbers(item, choices) for item in value)
    if isinstance(value, (float, complex)) and _LEAST <= abs(value) <= _MOST:
        factor: float = choices.pick(_FACTORS)
        return value * factor
    return value


def _numeric(expect: Expect, leaves: frozenset[str]) -> bool:
    """Tell whether a figure is one that other numbers change: typed in, or typed in as a leaf."""
    if isinstance(expect.value, Ref):
        return expect.value.name in leaves
    return isinstance(expect.value, (float, complex, tuple))


for _clause in clauses():
    if f"{PREFIX}{_clause.id}" in _clause.generated:
        _register(_clause)
