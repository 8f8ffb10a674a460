"""Plain text from ledgers: for terminals, logs and the failure messages of pytest."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from conformance.ledger import Ledger, short_name
from conformance.report.causes import sharing, sharing_words
from conformance.report.listing import program_listing
from conformance.report.model import EngineView, engine_view, oracle_words
from conformance.report.outcomes import DEPARTURES, count, outcome_of, outcome_of_kind
from conformance.verdict import ClauseResult, Violation

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters by which a message could steer a terminal; shown as Python escapes."""


def render_text(ledger: Ledger, width: int = 80) -> str:
    """Return the report of one engine: the result, every cause, then a line per clause."""
    view = engine_view(ledger)
    blocks = ["\n".join(_head(view, width))]
    departing = [c.record for c in view.clauses if c.outcome.key in DEPARTURES]
    for result, *others in sharing(sorted(departing, key=lambda record: record.level.value)):
        blocks.append(clause_text(result, width))
        if others:
            said = f"{sharing_words([other.id for other in others])}."
            blocks[-1] += "\n\n" + textwrap.fill(said, width)
    blocks.append("\n".join(_table(view, width)))
    return "\n\n".join(blocks) + "\n"


def _head(view: EngineView, width: int) -> Iterator[str]:
    engine, run, tool = view.ledger.engine, view.ledger.run, view.ledger.tool
    yield f"{short_name(engine.name)} {engine.version}: {view.headline.sentence}"
    yield from textwrap.wrap(view.headline.detail, width)
    facts = [f"profile {run.profile}", f"seed {run.seed}"]
    facts += [f"clauses {run.select}"] if run.select != "*" else []
    facts += [] if run.complete else ["cut short"]
    facts += [f"{name} {value}" for name, value in tool.items()]
    yield from textwrap.wrap(" · ".join(facts), width)


def _table(view: EngineView, width: int) -> Iterator[str]:
    for number, theme in enumerate(view.themes):
        tally = ", ".join(f"{c.number} {c.outcome.label}" for c in theme.counts)
        yield from ([""] if number else [])
        yield f"{theme.title}: {tally}"
        for clause in theme.clauses:
            start = f"  {clause.outcome.letter} {clause.record.id:<8} {clause.outcome.label:<15} "
            indent = " " * len(start)
            yield from textwrap.wrap(
                clause.record.title, width, initial_indent=start, subsequent_indent=indent
            )


def clause_text(result: ClauseResult, width: int = 80) -> str:
    """Return all that is known of one clause: the sentence, and each violation with its script."""
    outcome = outcome_of(result)
    lines = [f"{result.id} {result.level.value}: {outcome.label}"]
    lines += textwrap.wrap(result.title, width, initial_indent="  ", subsequent_indent="  ")
    if result.note and result.note not in [v.message for v in result.violations]:
        lines += textwrap.wrap(result.note, width, initial_indent="  ", subsequent_indent="  ")
    if result.source:
        lines.append(f"  source: {result.source}")
    kinds = count(outcome_of_kind(v.kind) for v in result.violations)
    if len(result.violations) > 1:
        lines.append("  causes: " + ", ".join(f"{c.number} {c.outcome.label}" for c in kinds))
    for violation in result.violations:
        lines += ["", *(f"  {line}".rstrip() for line in _violation(violation, width - 2))]
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], "\n".join(lines))


def _violation(violation: Violation, width: int) -> Iterator[str]:
    facts = [violation.operation, violation.dtype, f"judged by {oracle_words(violation.oracle)}"]
    facts += [f"seed case {tag}" for tag in violation.tags]
    label = outcome_of_kind(violation.kind).label
    yield f"{label}: " + " · ".join(fact for fact in facts if fact)
    for line in violation.message.splitlines():
        yield from textwrap.wrap(line, width)
    yield from _field("expected", violation.expected)
    yield from _field("observed", violation.observed)
    yield from ["program:"] if violation.text else []
    for row in program_listing(violation.program, violation.text, violation.step):
        code = "".join(token.text for token in row.tokens)
        yield f"{'>' if row.marked else ' '} {row.label:>3}  {code}"
    if violation.reproduction:
        yield "reproduction:"
        yield from (f"    {line}" for line in violation.reproduction.rstrip("\n").splitlines())


def _field(name: str, value: str) -> Iterator[str]:
    first, *rest = value.splitlines() or [""]
    yield f"{name}: {first}"
    yield from (f"{'':{len(name) + 2}}{line}" for line in rest)
