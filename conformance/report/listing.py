"""Listings: the lines of a program or a script, as coloured tokens; which line a step is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String

from conformance.errors import InvalidProgram
from conformance.notation import render, step_lines
from conformance.program import Json, Program, Step, from_json

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
    """One line of a listing; `marked` where the engine departed."""

    number: int
    tokens: tuple[Token, ...]
    marked: bool = False


def listing(text: str, marked: int | None = None) -> tuple[Line, ...]:
    """Split Python-like `text` into lines of tokens; `marked` is the line (from 1) to point at."""
    lines: list[list[Token]] = [[]]
    for token in _tokens(text.rstrip("\n")):
        first, *rest = token.text.split("\n")
        if first:
            lines[-1].append(Token(first, token.role))
        for piece in rest:
            lines.append([Token(piece, token.role)] if piece else [])
    return tuple(Line(n, tuple(tokens), n == marked) for n, tokens in enumerate(lines, 1))


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


def line_of_step(program: Mapping[str, Json], text: str, step: int) -> int | None:
    """Return the line (from 1) of step number `step` in `text`, the text form of `program`.

    None where `program` is no program, `text` is another program's, or there is no such step: a
    ledger holds data from elsewhere, and a report never points at the wrong line.
    """
    try:
        parsed = from_json(program)
    except InvalidProgram:
        return None
    if render(parsed) != text.rstrip("\n"):
        return None
    lines = _first_lines(parsed)
    return lines[step] if 0 <= step < len(lines) else None


def _first_lines(program: Program) -> list[int]:
    found: list[int] = []

    def visit(steps: tuple[Step, ...], line: int) -> None:
        for step in steps:
            found.append(line + step.refused)
            visit(step.body, line + step.refused + 1)
            line += len(step_lines(step))

    visit(program.steps, 1)
    return found
