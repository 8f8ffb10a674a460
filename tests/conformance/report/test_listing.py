from __future__ import annotations

import pytest

from conformance.notation import parse, render, step_lines
from conformance.program import Program, to_json
from conformance.report.listing import Line, line_of_step, listing
from tests.sample_ledgers import ACCUMULATES, HAZARD, LONG, MODES, SCRIPT


def plain(lines: tuple[Line, ...]) -> str:
    return "\n".join("".join(token.text for token in line.tokens) for line in lines)


def roles(line: Line) -> dict[str, str]:
    return {token.text: token.role for token in line.tokens if token.role}


@pytest.mark.parametrize(
    "text", [SCRIPT, LONG, 's = """a\n  b"""\nt = 1', "", "\n\nx", "a = (", "€"]
)
def test_a_listing_shows_the_text_and_nothing_else(text: str) -> None:
    lines = listing(text)
    assert plain(lines) == text.rstrip("\n")
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))


def test_tokens_have_the_roles_that_readers_know() -> None:
    (line,) = listing('with f(x, 2.5, flag=True): g("s")  # why')
    assert roles(line) == {
        "with": "k", "f": "f", "2.5": "n", "True": "k", "g": "f", "# why": "c", '"': "s", "s": "s",
    }  # fmt: skip


@pytest.mark.parametrize("text", [ACCUMULATES, HAZARD, MODES, LONG])
def test_every_step_points_at_its_own_line(text: str) -> None:
    program = parse(text)
    form, lines = to_json(program), render(program).splitlines()
    for number, step in enumerate(program.walk()):
        line = line_of_step(form, render(program), number)
        assert line is not None
        own = step_lines(step)[1 if step.refused else 0].strip()
        assert lines[line - 1].strip() == own


def test_a_step_that_is_not_there_points_nowhere() -> None:
    program = parse(HAZARD)
    assert line_of_step(to_json(program), render(program), 99) is None
    assert line_of_step(to_json(program), render(program), -1) is None


def test_a_text_of_another_program_is_never_pointed_at() -> None:
    assert line_of_step(to_json(parse(HAZARD)), render(parse(MODES)), 1) is None


def test_data_that_is_no_program_is_never_pointed_at() -> None:
    assert line_of_step({"steps": "none"}, "x = 1", 0) is None
    assert line_of_step({}, "", 0) is None


def test_the_marked_line_is_the_only_one() -> None:
    assert [line.marked for line in listing("a\nb\nc", 2)] == [False, True, False]


def test_an_empty_program_has_no_step() -> None:
    assert line_of_step(to_json(Program(())), "", 0) is None
