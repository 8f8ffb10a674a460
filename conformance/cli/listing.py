"""`engines` and `spec`: what is installed, and what is demanded."""

from __future__ import annotations

import click
from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from conformance import document
from conformance.adapters.load import available_engines, load_engine
from conformance.catalogue import share
from conformance.cli.tables import console
from conformance.coverage import coverage
from conformance.example import example
from conformance.notation import render
from conformance.report.model import theme_title
from conformance.spec import Clause, clause, themes
from conformance.spec import select as select_clauses


@click.command()
def engines() -> int:
    """List the engines that have an adapter: installed or not, version, what they can do."""
    screen = console()
    for row in available_engines():
        version = row.version if row.installed else "not installed"
        style = "bold green" if row.installed else "yellow"
        screen.print(Text(f"{row.name} ", "bold") + Text(version, style) + Text(f"  {row.source}"))
        if row.installed:
            engine = load_engine(row.name)
            if engine.operations is not None:
                told = f"operations: {share(engine.operations)} of the catalogue"
                told += f", {len(engine.operations)} in all"
                screen.print(Padding(Text(told), (0, 0, 0, 2)))
            capabilities = ", ".join(sorted(engine.capabilities))
            screen.print(Padding(Text(capabilities, "dim"), (0, 0, 0, 2)))
        else:
            screen.print(Padding(Text(row.note), (0, 0, 0, 2)))
    screen.print(
        Text("Any adapter can be named as package.module:attribute (docs/adapters.md).", "dim")
    )
    return 0


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--markdown", is_flag=True, help="Print the whole specification as a document.")
@click.option(
    "--coverage",
    "covered",
    is_flag=True,
    help="Print how each clause is exercised; exit code 1 where one is not.",
)
@click.option("--ops", is_flag=True, help="Print the table of operations with their facts.")
def spec(identifier: str | None, markdown: bool, covered: bool, ops: bool) -> int:
    """Print the specification, the clauses that match a glob, or one clause explained."""
    if ops:
        from reference_engine.ops.document import markdown as operations

        click.echo(operations(), nl=False)
    elif markdown:
        click.echo(document.markdown(), nl=False)
    elif covered:
        return _print_coverage()
    elif identifier is None:
        _print_clauses(tuple(row for theme in themes() for row in theme.clauses))
    elif any(sign in identifier for sign in "*?["):
        _print_clauses(select_clauses(identifier))
    else:
        _explain(clause(identifier))
    return 0


def _print_clauses(rows: tuple[Clause, ...]) -> None:
    screen = console()
    for theme in dict.fromkeys(row.theme for row in rows):
        screen.print(Text(theme_title(theme), "bold"))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        for row in rows:
            if row.theme == theme:
                table.add_row(Text(row.id, "bold"), Text(row.level.value, "dim"), Text(row.title))
        screen.print(Padding(table, (0, 0, 1, 2)))


def _print_coverage() -> int:
    """Print the map clause - scenarios - strategies - mutants; return 1 where it has a gap."""
    screen, rows = console(), coverage()
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for title in ("clause", "level"):
        table.add_column(title, no_wrap=True)
    for title in ("scenarios", "mutants"):
        table.add_column(title, justify="right")
    table.add_column("generated programs", ratio=1)
    for row in rows:
        mutants = "-" if row.mutants is None else str(len(row.mutants))
        told = Text(", ".join(row.clause.generated))
        told.append(f" lacks {' and '.join(row.gaps)}" if row.gaps else "", "bold red")
        count = str(len(row.clause.scenarios))
        table.add_row(row.clause.id, row.clause.level.value, count, mutants, told)
    screen.print(table)
    gaps = [row.clause.id for row in rows if row.gaps]
    scenarios = sum(len(row.clause.scenarios) for row in rows)
    generated = sum(bool(row.clause.generated) for row in rows)
    screen.print(
        f"{len(rows)} clauses in {len(themes())} themes, {scenarios} scenarios; programs are"
        f" generated for {generated} clauses; " + (f"gaps: {', '.join(gaps)}" if gaps else "no gap")
    )
    if any(row.mutants is None for row in rows):
        screen.print("Mutants are part of the checkout, not of the package: run this there.")
    return 1 if gaps else 0


def _explain(row: Clause) -> None:
    screen = console()
    screen.print(Text(f"{row.id} {row.level.value} ", "bold") + Text(row.title))
    screen.print()
    screen.print(Text("Why: ", "bold") + Text(row.why))
    screen.print(Text("Source: ", "bold") + Text(row.source), soft_wrap=True)
    needs = sorted(row.needs.union(*(program.needs for program in row.scenarios)))
    screen.print(Text("Capabilities used: ", "bold") + Text(", ".join(needs) or "none"))
    if row.generated:
        screen.print(Text("Generated programs: ", "bold") + Text(", ".join(row.generated)))
        screen.print(Text("Judged by: ", "bold") + Text(", ".join(row.oracles)))
    shown = example(row)
    if shown is not None:
        screen.print()
        screen.print(Text(f"In PyTorch (scenario {shown[1]})", "bold"))
        _print_code(screen, shown[0])
    for number, program in enumerate(row.scenarios, 1):
        tags = f" (cases {', '.join(program.tags)})" if program.tags else ""
        screen.print()
        screen.print(Text(f"Scenario {number}{tags}", "bold"))
        _print_code(screen, render(program))


def _print_code(screen: Console, text: str) -> None:
    code = Syntax(text.rstrip(), "python", theme="ansi_dark", background_color="default")
    screen.print(Padding(code, (0, 0, 0, 2)))
