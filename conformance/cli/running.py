"""`run`: judge engines, print what was found, write ledgers and reports."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from conformance.archive import ledger_text, prepare_folder, read_ledger, write_text
from conformance.cli.progress import LiveProgress
from conformance.cli.tables import console, print_summary
from conformance.errors import UsageError
from conformance.known import Known, failures, read_xfails
from conformance.ledger import Ledger, file_stem
from conformance.profiles import PROFILES
from conformance.report import render_junit, write_reports
from conformance.runner import DEFAULT_ENGINES, Plan, Run
from conformance.spec import clauses


def read_jobs(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """Read `-n`: a number of processes, or None for `auto`."""
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(
            f"{value!r} is not a number of processes; give 1 or more, or auto", context, parameter
        )
    return int(value)


@click.command()
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="E",
    help="Engine to test; repeat for several. Default: reference and torch.",
)
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="default",
    show_default=True,
    help="How many programs are generated per clause and generator: 5, 30 or 500.",
)
@click.option(
    "-n",
    "jobs",
    metavar="N|auto",
    default="auto",
    callback=read_jobs,
    show_default=True,
    help="Worker processes; auto is one per processor.",
)
@click.option(
    "--select",
    default="*",
    show_default=True,
    metavar="GLOB",
    help="Clauses to run, by id or theme: LEAF-1, 'ACC-*', grad_modes.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all programs.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="reports",
    show_default=True,
    help="Folder for ledgers and reports.",
)
@click.option(
    "--xfails",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Clauses that may fail: a line each, an id or glob, an engine's name where it is meant for"
    " that one only, and a reason after #.",
)
@click.option(
    "--baseline",
    "baselines",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="LEDGER",
    help="JSON file of an earlier run, whose violations may stay; repeat for several engines.",
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path),
    metavar="FILE.xml",
    help="Also write the result as JUnit XML, for CI systems.",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help="Time that one clause may take on one engine. Default: by profile.",
)
def run(
    engines: tuple[str, ...],
    profile: str,
    jobs: int | None,
    select: str,
    seed: int,
    out: Path,
    xfails: Path | None,
    baselines: tuple[Path, ...],
    junit: Path | None,
    timeout: float | None,
) -> int:
    """Judge engines by the clauses; write OUT/<engine>.json, OUT/<engine>.html, OUT/index.html.

    Exit code 0 where every MUST clause holds, is unsupported or may fail; 1 where one does not; 2
    for wrong usage; 3 where an engine could not be loaded.
    """
    plan = Plan.make(engines or DEFAULT_ENGINES, profile, select, seed, jobs, timeout)
    known = Known(() if xfails is None else read_xfails(xfails), _baselines(baselines))
    prepare_folder(out)
    if junit is not None:
        prepare_folder(junit.parent, option="--junit")
    screen = console()
    running = Run(plan)
    interrupted = False
    with LiveProgress(screen, plan.jobs) as running.progress:
        try:
            running.execute()
        except KeyboardInterrupt:
            interrupted = True
    ledgers = [ledger for ledger in running.ledgers() if ledger.clauses]
    if not ledgers:
        screen.print(Text("no clause was done yet: there is nothing to write", "yellow"))
        raise click.Abort
    print_summary(screen, ledgers, known)
    for warning in known.warnings(ledgers, (row.id for row in clauses())):
        screen.print(Text(f"warning: {warning}", "yellow"))
    _write(screen, ledgers, out)
    if junit is not None:
        expected = {
            (ledger.engine.name, result.id)
            for ledger in ledgers
            for result in ledger.clauses
            if known.reason(ledger.engine.name, result) is not None
        }
        write_text(junit, render_junit(ledgers, expected))
    if interrupted:
        raise click.Abort
    return int(any(failures(ledger, known) for ledger in ledgers))


def _baselines(paths: tuple[Path, ...]) -> dict[str, Ledger]:
    found: dict[str, Ledger] = {}
    for path in paths:
        ledger = read_ledger(path)
        if ledger.engine.name in found:
            raise UsageError(
                f"--baseline {str(path)!r} is a second ledger of {ledger.engine.name!r}; give one"
                " per engine"
            )
        found[ledger.engine.name] = ledger
    return found


def _write(screen: Console, ledgers: list[Ledger], out: Path) -> None:
    texts = {f"{file_stem(led.engine.name)}.json": ledger_text(led) for led in ledgers}
    pages = write_reports(ledgers, out)
    for name, text in texts.items():
        write_text(out / name, text)
    screen.print(Text(f"report: {pages[-1]}"), soft_wrap=True)
