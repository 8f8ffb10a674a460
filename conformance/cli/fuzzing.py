"""`fuzz`: judge random programs in bulk."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.text import Text

from conformance.archive import ledger_text, prepare_folder, write_text
from conformance.cli.running import read_jobs
from conformance.cli.tables import console
from conformance.ledger import Ledger, file_stem
from conformance.report.causes import shared_key
from conformance.undecided import Undecided, sentences
from conformance.verdict import Outcome, Status, Violation
from conformance.workers import processors


@click.command()
@click.option(
    "--engine", "engines", multiple=True, required=True, metavar="E",
    help="Engine to test; repeat for several.",
)  # fmt: skip
@click.option(
    "--programs", type=click.IntRange(min=1), default=10_000, show_default=True, metavar="N",
    help="How many random programs each engine runs.",
)  # fmt: skip
@click.option(
    "-n", "jobs", metavar="N|auto", default="auto", callback=read_jobs, show_default=True,
    help="Worker processes; auto is one per processor.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all programs.")
@click.option(
    "--slots", type=click.IntRange(min=1, max=100), default=10, show_default=True, metavar="N",
    help="Length of a program: 10 slots make 16 steps in the mean, 5 make 10.",
)  # fmt: skip
@click.option(
    "--dtype", metavar="DTYPE", help="Dtype of the programs. Default: the engine's preferred one."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default="reports", show_default=True,
    help="Folder for ledgers.",
)  # fmt: skip
def fuzz(
    engines: tuple[str, ...], programs: int, jobs: int | None, seed: int, slots: int,
    dtype: str | None, out: Path,
) -> int:  # fmt: skip
    """Judge random programs of every kind of step; write OUT/<engine>.fuzz.json.

    Exit code 0 where none is violated, 1 where one is or could not be judged for a fault.
    """
    from conformance.fuzzing import Fuzz  # Hypothesis, only where it is needed

    prepare_folder(out)
    screen = console()
    failed = False
    for engine in dict.fromkeys(engines):
        started = time.perf_counter()
        running = Fuzz(engine, programs, seed, jobs or processors(), dtype, slots)
        with screen.status(f"{engine}: 0 of {programs} programs") as status:
            running.told = lambda done, e=engine, s=status: s.update(
                f"{e}: {done} of {programs} programs"
            )
            ledger = running.execute()
        seconds = time.perf_counter() - started
        ledger = replace(ledger, machine={"seconds": round(seconds, 3), "jobs": running.jobs})
        path = out / f"{file_stem(engine)}.fuzz.json"
        write_text(path, ledger_text(ledger))
        unclear = running.outcomes[Outcome.INCONCLUSIVE]
        screen.print(Text(
            f"{engine}: {programs} programs in {seconds:.0f} s,"
            f" {running.outcomes[Outcome.VIOLATED]} violated,"
            f" {unclear} inconclusive ({unclear / programs:.2%}); ledger: {path}"
        ), soft_wrap=True)  # fmt: skip
        _print_violations(ledger)
        _print_doubts(running.doubts, running.places)
        failed = failed or ledger.clauses[0].status is not Status.HOLDS
    return int(failed)


def _print_doubts(doubts: Counter[str], places: Sequence[Undecided]) -> None:
    """Print why nothing was decided and where, and the programs that the oracles disagree about."""
    for sentence in sentences(doubts, places):
        click.echo(f"\n{sentence}")
    for one in places:
        if one.text:
            click.echo(f"\n{one.place}:\n{one.text}")


def _print_violations(ledger: Ledger) -> None:
    alike: dict[object, list[Violation]] = {}
    for found in ledger.clauses[0].violations:
        alike.setdefault(shared_key(found) or found.cause, []).append(found)
    for causes in alike.values():
        first = min(causes, key=lambda found: len(found.text.splitlines()))
        click.echo(f"\n{first.kind.value}: {first.message}\n{first.reproduction}")
        others = [found.cause for found in causes if found is not first]
        if others:
            click.echo(f"{len(causes)} causes in the ledger are alike, also {', '.join(others)}")
