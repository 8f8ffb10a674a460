"""Tables for the terminal: what a run found, the worst first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.known import Known, failures, unmet
from conformance.ledger import Ledger, short_name
from conformance.report.causes import sharing, sharing_words
from conformance.report.model import headline, in_themes, theme_title
from conformance.report.outcomes import NOT_ASKED, Outcome, count, outcome_of, severity
from conformance.verdict import ClauseResult

STYLES = {
    "silently-wrong": "bold white on red",
    "not-refused": "bold red",
    "refused-loudly": "red",
    "violated": "bold red",
    "crashed": "bold magenta",
    "timed-out": "magenta",
    "inconclusive": "yellow",
    "unexercised": "yellow",
    "holds": "green",
    "convention": "dim",
    "unsupported": "dim",
}


LOG_WIDTH = 110
"""The width of tables in logs and pipes, which have none of their own."""
ENGINE_WIDTH = 36
"""The most that the name of an engine takes of a line: some are whole commands."""


def console() -> Console:
    """Return the console that everything is printed on; colours only where there is a terminal."""
    out = Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = LOG_WIDTH
    return out


def label(outcome: Outcome) -> Text:
    """Return the sign and the words of an outcome, so that colour is never needed to read it."""
    return Text(f"{outcome.letter} {outcome.label}", STYLES[outcome.key])


def print_summary(out: Console, ledgers: Sequence[Ledger], known: Known) -> None:
    """Print what needs attention, the worst first, then the themes by engine, then a line each."""
    attention = [
        (short_name(ledger.engine.name), result)
        for ledger in ledgers
        for result in ledger.clauses
        if outcome_of(result).key not in {"holds", *NOT_ASKED}
    ]
    attention.sort(key=lambda row: (severity(outcome_of(row[1])), row[1].level.value))
    if attention:
        out.print(_attention(attention, known))
    out.print(_themes(ledgers))
    for ledger in ledgers:
        out.print(_line(ledger, known))


def _attention(rows: Iterable[tuple[str, ClauseResult]], known: Known) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("engine", overflow="fold", max_width=ENGINE_WIDTH)
    table.add_column("clause", no_wrap=True)
    table.add_column("level", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("what happened", ratio=1, overflow="fold")
    alike: dict[tuple[str, str | None, str], list[ClauseResult]] = {}
    for engine, result in rows:
        key = engine, known.reason(engine, result), outcome_of(result).key
        alike.setdefault(key, []).append(result)
    for (engine, reason, _), results in alike.items():
        for result, *others in sharing(results):
            text = Text("" if reason is None else f"expected, as {reason}: ", "dim")
            text.append(_message(result))
            if others:
                text.append(f" ({sharing_words([other.id for other in others])})", "bold")
            verdict = label(outcome_of(result))
            table.add_row(Text(engine), result.id, result.level.value, verdict, text)
    return table


def _message(result: ClauseResult) -> str:
    if not result.violations:
        return result.note or result.title
    first = result.violations[0].message.splitlines()[0]
    more = len(result.violations) - 1
    return f"{first} (+{more} more)" if more else first


def _themes(ledgers: Sequence[Ledger]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("theme", no_wrap=True)
    grouped = [in_themes(ledger.clauses) for ledger in ledgers]
    for ledger in ledgers:
        table.add_column(Text(f"{short_name(ledger.engine.name)} {ledger.engine.version}"))
    for theme in dict.fromkeys(name for groups in grouped for name in groups):
        table.add_row(theme_title(theme), *(_counts(groups.get(theme, ())) for groups in grouped))
    return table


def _counts(results: Iterable[ClauseResult]) -> Text:
    parts = Text()
    for row in count(outcome_of(result) for result in results):
        parts.append(" · " if parts else "")
        parts.append(f"{row.number} {row.outcome.label}", STYLES[row.outcome.key])
    return parts


def _line(ledger: Ledger, known: Known) -> Text:
    summary = headline(ledger.clauses)
    sign = Text(f"{summary.outcome.letter} ", STYLES[summary.outcome.key])
    failing = len(failures(ledger, known))
    text = sign + Text(f"{short_name(ledger.engine.name)} {ledger.engine.version}: ", "bold")
    text += Text(f"{summary.sentence} {summary.detail}")
    if not ledger.run.complete:
        text += Text(" The run was cut short.", "yellow")
    if failing:
        clauses = "1 MUST clause fails" if failing == 1 else f"{failing} MUST clauses fail"
        text += Text(f" {clauses} this run.", "bold red")
    elif any(map(unmet, ledger.clauses)):
        text += Text(" All MUST clauses that are not met were expected to fail.", "green")
    return text
