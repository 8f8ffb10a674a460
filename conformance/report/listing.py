"""Listings: the lines of a program or a script, as coloured tokens, numbered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String

from conformance.errors import InvalidProgram
from conformance.notation import render, step_lines
from conformance.program import Json, Step, from_json

_CLASSES = (
    (Comment, "c"),
    (String, "s"),
    (Number, "n"),
    (Keyword, "k"),
    (Operator.Word, "k"),
    (Name.Decorator, "f"),
)
_LEXER = PythonLexer(stripnl=False, ensurenl=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a line; `role` is c(omment), s(tring), n(umber), k(eyword), f(unction) or none."""

    text: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a listing. `label` stands in its gutter; `marked` where the engine departed."""

    label: str
    tokens: tuple[Token, ...]
    marked: bool = False


def script_listing(text: str) -> tuple[Line, ...]:
    """Return the lines of a script, labelled by their numbers."""
    return tuple(Line(str(n), tokens) for n, tokens in enumerate(_token_lines(text), 1))


def program_listing(program: Mapping[str, Json], text: str, step: int) -> tuple[Line, ...]:
    """Return the lines of `text`, labelled by the numbers of their steps; `step` is marked.

    A line has no label where it is no step of its own, as `with raises():`, and none has one where
    `text` is not the text form of `program`.
    """
    steps = steps_by_line(program, text)
    return tuple(
        Line(str(steps.get(n, "")), tokens, steps.get(n) == step)
        for n, tokens in enumerate(_token_lines(text), 1)
    )


def _token_lines(text: str) -> list[tuple[Token, ...]]:
    lines: list[list[Token]] = [[]]
    for token in _tokens(text.rstrip("\n")):
        first, *rest = token.text.split("\n")
        if first:
            lines[-1].append(Token(first, token.role))
        for piece in rest:
            lines.append([Token(piece, token.role)] if piece else [])
    return [tuple(line) for line in lines]


def _tokens(text: str) -> list[Token]:
    raw = [(kind, value) for kind, value in _LEXER.get_tokens(text) if value]
    tokens = []
    for index, (kind, value) in enumerate(raw):
        role = next((role for family, role in _CLASSES if kind in family), "")
        called = index + 1 < len(raw) and raw[index + 1][1] == "("
        if not role and kind in Name and called:
            role = "f"
        tokens.append(Token(value, role))
    return tokens


def steps_by_line(program: Mapping[str, Json], text: str) -> dict[int, int]:
    """Return the number of the step that each line (from 1) of `text` holds.

    Empty where `program` is no program, or `text` is another one's: a ledger holds data from
    elsewhere, and a report never points at the wrong line.
    """
    try:
        parsed = from_json(program)
    except InvalidProgram:
        return {}
    if render(parsed) != text.rstrip("\n"):
        return {}
    return {line: step for step, line in enumerate(_first_lines(parsed.steps, 1))}


def _first_lines(steps: tuple[Step, ...], line: int) -> Iterator[int]:
    """Yield the line of every step; one that owes an error stands below its `with raises():`."""
    for step in steps:
        own = line + step.refused
        yield own
        yield from _first_lines(step.body, own + 1)
        line += len(step_lines(step))
