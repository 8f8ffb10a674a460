from __future__ import annotations

import pytest

from conformance.notation import parse, render, step_lines
from conformance.program import Json, Program, to_json
from conformance.report.listing import (
    Line,
    program_listing,
    script_listing,
    steps_by_line,
)
from tests.sample_ledgers import ACCUMULATES, HAZARD, LONG, MODES, SCRIPT


def plain(lines: tuple[Line, ...]) -> str:
    return "\n".join("".join(token.text for token in line.tokens) for line in lines)


def roles(line: Line) -> dict[str, str]:
    return {token.text: token.role for token in line.tokens if token.role}


@pytest.mark.parametrize(
    "text", [SCRIPT, LONG, 's = """a\n  b"""\nt = 1', "", "\n\nx", "a = (", "€"]
)
def test_a_listing_shows_the_text_and_nothing_else(text: str) -> None:
    lines = script_listing(text)
    assert plain(lines) == text.rstrip("\n")
    assert [line.label for line in lines] == [str(n + 1) for n in range(len(lines))]


def test_tokens_have_the_roles_that_readers_know() -> None:
    (line,) = script_listing('with f(x, 2.5, flag=True): g("s")  # why')
    assert roles(line) == {
        "with": "k", "f": "f", "2.5": "n", "True": "k", "g": "f", "# why": "c", '"': "s", "s": "s",
    }  # fmt: skip


@pytest.mark.parametrize("text", [ACCUMULATES, HAZARD, MODES, LONG])
def test_every_step_has_its_own_line(text: str) -> None:
    program = parse(text)
    lines = render(program).splitlines()
    found = steps_by_line(to_json(program), render(program))
    steps = list(program.walk())
    assert sorted(found.values()) == list(range(len(steps)))
    for line, number in found.items():
        expected = step_lines(steps[number])[1 if steps[number].refused else 0]
        assert lines[line - 1].strip() == expected.strip()


def test_the_gutter_counts_steps_as_messages_do() -> None:
    program = parse(HAZARD)
    lines = program_listing(to_json(program), render(program), 6)
    assert [line.label for line in lines] == ["0", "1", "2", "3", "4", "5", "", "6"]
    assert [line.marked for line in lines] == [False] * 7 + [True]


@pytest.mark.parametrize("step", [99, -1])
def test_a_step_that_is_not_there_is_not_marked(step: int) -> None:
    program = parse(HAZARD)
    lines = program_listing(to_json(program), render(program), step)
    assert not any(line.marked for line in lines)


@pytest.mark.parametrize("form", [to_json(parse(HAZARD)), {"steps": "none"}, {}])
def test_a_text_of_something_else_is_shown_and_never_pointed_at(form: dict[str, Json]) -> None:
    text = render(parse(MODES))
    lines = program_listing(form, text, 1)
    assert plain(lines) == text
    assert not any(line.marked or line.label for line in lines)


def test_an_empty_program_has_no_step() -> None:
    assert steps_by_line(to_json(Program(())), "") == {}
