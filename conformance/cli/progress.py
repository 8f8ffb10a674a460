"""The live display of a run: a bar per engine, and every departure as soon as it is found."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.text import Text

from conformance.cli.tables import STYLES, label
from conformance.ledger import EngineFacts, short_name
from conformance.report.outcomes import DEPARTURES, OUTCOMES, outcome_of
from conformance.verdict import ClauseResult


class LiveProgress:
    """Shows a run on a terminal; elsewhere prints a line at the start and one per departure."""

    def __init__(self, out: Console, jobs: int) -> None:
        self._out, self._jobs = out, jobs
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            _Done(),
            Elapsed(),
            _Found(),
            console=out,
            transient=True,
            disable=not out.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._found: dict[str, list[str]] = {}

    def __enter__(self) -> LiveProgress:
        self._loading = self._bars.add_task("loading engines", total=None, found=Text())
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._bars.stop()

    def started(self, engines: Sequence[EngineFacts], clauses: int) -> None:
        """Replace the waiting bar by one per engine."""
        self._bars.remove_task(self._loading)
        names = [f"{short_name(engine.name)} {engine.version}" for engine in engines]
        for engine, name in zip(engines, names, strict=True):
            self._tasks[engine.name] = self._bars.add_task(name, total=clauses, found=Text())
            self._found[engine.name] = []
        workers = "1 process" if self._jobs == 1 else f"{self._jobs} processes"
        clause_words = "1 clause" if clauses == 1 else f"{clauses} clauses"
        self._out.print(Text(f"{clause_words} on {', '.join(names)}, in {workers}", "dim"))

    def finished(self, engine: str, result: ClauseResult) -> None:
        """Advance the engine's bar, and say what went wrong if something did."""
        outcome = outcome_of(result)
        self._found[engine].append(outcome.key)
        if outcome.key in DEPARTURES:
            line = label(outcome) + Text(f" {engine} {result.id}: {result.title}", "default")
            self._out.print(line, soft_wrap=True)
        self._bars.update(self._tasks[engine], advance=1, found=_tally(self._found[engine]))


def _tally(keys: list[str]) -> Text:
    text = Text()
    for outcome in OUTCOMES:
        if outcome.key in keys:
            text.append("  " if text else "")
            text.append(f"{keys.count(outcome.key)} {outcome.label}", STYLES[outcome.key])
    return text


class _Done(MofNCompleteColumn):
    """How many clauses of how many; nothing while their number is unknown."""

    def render(self, task: Task) -> Text:
        """Return the two numbers."""
        return super().render(task) if task.total is not None else Text()


class _Found(TextColumn):
    """The last column of a bar: how many clauses have which verdict so far."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """Return the tally that `finished` has stored with the task."""
        found: Text = task.fields["found"]
        return found
