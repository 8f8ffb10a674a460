"""`replay`, `report` and `diff`: what is done with ledgers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from conformance.archive import prepare_folder, read_ledger
from conformance.cli.tables import console
from conformance.defects.triage import recorded_of
from conformance.difference import Change, difference
from conformance.ledger import Ledger
from conformance.replay import Replayed, replay_ledger
from conformance.report import write_reports

_REPLAY_STYLES = {"fixed": "green", "still violated": "bold red", "violated otherwise": "red"}
_LEDGER = click.Path(path_type=Path)


@click.command()
@click.argument("ledger", type=_LEDGER)
@click.option("--engine", metavar="E", help="Engine to replay on. Default: the ledger's.")
def replay(ledger: Path, engine: str | None) -> int:
    """Re-run every violation that LEDGER records and say which are fixed.

    Exit code 0 where all are, 1 where one is not.
    """
    recorded = read_ledger(ledger)
    screen = console()
    name = engine or recorded.engine.name
    rows = replay_ledger(recorded, name)
    if not rows:
        screen.print(Text(f"{str(ledger)!r} records no violation of {recorded.engine.name!r}"))
        return 0
    for row in rows:
        screen.print(_replayed(row))
    fixed = sum(row.state == "fixed" for row in rows)
    screen.print(Text(f"{name}: {fixed} of {len(rows)} recorded violations are fixed", "bold"))
    return int(fixed < len(rows))


def _replayed(row: Replayed) -> Text:
    head = Text(f"{row.state:<18} ", _REPLAY_STYLES.get(row.state, "yellow"))
    return head + Text(f"{row.clause} ", "bold") + Text(row.message.splitlines()[0])


@click.command()
@click.argument("ledgers", type=_LEDGER, nargs=-1, required=True)
@click.option("--out", type=_LEDGER, required=True, metavar="DIR", help="Folder for the pages.")
def report(ledgers: tuple[Path, ...], out: Path) -> int:
    """Rebuild the reports of LEDGERS, and the page that compares them, from the ledgers alone.

    Violations of engines with recorded defects stand beside the defects that explain them.
    """
    found = [read_ledger(path) for path in ledgers]
    prepare_folder(out)
    recorded = {ledger.engine.name: recorded_of(ledger) for ledger in found}
    known = {name: triage for name, triage in recorded.items() if triage.recorded}
    pages = write_reports(found, out, triage=known)
    console().print(Text(f"report: {pages[-1]}"), soft_wrap=True)
    return 0


@click.command()
@click.argument("old", type=_LEDGER)
@click.argument("new", type=_LEDGER)
def diff(old: Path, new: Path) -> int:
    """Say what got worse and what got better from ledger OLD to ledger NEW.

    Exit code 1 where a MUST clause got worse.
    """
    before, after = read_ledger(old), read_ledger(new)
    found = difference(before, after)
    screen = console()
    screen.print(Text(f"from {_title(before)}\n  to {_title(after)}", "dim"))
    _print_changes(screen, "Regressions", found.regressions, "bold red")
    _print_changes(screen, "Fixes", found.fixes, "green")
    _print_changes(screen, "Other changes", found.altered, "yellow")
    for title, ids in (("New clauses", found.added), ("Clauses gone", found.removed)):
        if ids:
            screen.print(Text(f"{title}: ", "bold") + Text(", ".join(ids)))
    counts = (
        _counted(len(found.regressions), "regression", "regressions"),
        _counted(len(found.fixes), "fix", "fixes"),
        _counted(len(found.altered), "other change", "other changes"),
    )
    screen.print(Text(", ".join(counts), "bold"))
    return int(any(change.level.value == "MUST" for change in found.regressions))


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _title(ledger: Ledger) -> str:
    run = ledger.run
    cut = "" if run.complete else ", cut short"
    return (
        f"{ledger.engine.name} {ledger.engine.version}, profile {run.profile}, seed {run.seed}{cut}"
    )


def _print_changes(screen: Console, title: str, changes: Iterable[Change], style: str) -> None:
    changes = tuple(changes)
    if not changes:
        return
    screen.print(Text(title, style))
    for change in changes:
        status = f"{change.before.value} → {change.after.value}"
        line = Text(f"  {change.clause} {change.level.value} ", "bold") + Text(f"({status}) ")
        screen.print(line + Text((change.message or change.title).splitlines()[0]))
