"""The active part of the pytest plugin: engines, worker processes, results of all xdist workers."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from conformance.archive import ledger_text, prepare_folder, write_text
from conformance.errors import ConformanceError
from conformance.item import Deadly, Examined, examine_item
from conformance.known import Known, failures, read_xfails
from conformance.ledger import (
    Ledger,
    clause_from_json,
    clause_to_json,
    file_stem,
    operation_from_json,
    operation_to_json,
)
from conformance.report import render_engine, render_index, write_reports
from conformance.report.model import headline
from conformance.runner import Plan, Run, explain_lost, load_facts, probed
from conformance.spec import clauses
from conformance.suite.items import FOLDER, ClauseItem, Suite
from conformance.workers import Lost, Workers, look_in

ATTRIBUTE = "autograd_conformance"
"""Where a test report carries its result, as JSON text, from an xdist worker to the controller."""


class Session:
    """Everything that one pytest process knows of the run.

    With xdist there is one per worker, which examines clauses, and one in the controller, which
    loads the engines first, so that a wrong name ends the run, and collects the results.
    """

    def __init__(self, config: pytest.Config, plan: Plan, known: Known) -> None:
        self.config, self.plan, self.known = config, plan, known
        self.distributed = bool(config.getoption("dist", "no") != "no")
        self.is_controller = not hasattr(config, "workerinput")
        self.run = Run(plan)
        self._workers: Workers | None = None
        self._deadly: dict[str, Deadly] = {}

    @classmethod
    def of(cls, config: pytest.Config) -> Session:
        """Read the options. Raises `pytest.UsageError` where they make no run."""
        engines = config.getoption("autograd_engine")
        if not engines:
            raise pytest.UsageError(
                "conformance.suite needs an engine: add --autograd-engine E, as in"
                " `pytest --pyargs conformance.suite --autograd-engine torch`"
            )
        look_in(config.invocation_params.dir)
        xfails = config.getoption("conformance_xfails")
        try:
            plan = Plan.make(
                engines,
                config.getoption("conformance_profile"),
                config.getoption("conformance_select"),
                config.getoption("conformance_seed"),
                jobs=config.getoption("numprocesses", None) or 1,
            )
            known = Known(() if xfails is None else read_xfails(xfails))
            session = cls(config, plan, known)
            if session.is_controller:
                session._prepare()
        except ConformanceError as error:
            raise pytest.UsageError(str(error)) from error
        return session

    def _prepare(self) -> None:
        path = self.report_path
        if path is not None:
            prepare_folder(path.parent, option="--conformance-report")
        self.run.facts = load_facts(self.workers, self.plan.engines)
        if self.distributed:
            self._close()

    @property
    def report_path(self) -> Path | None:
        """Return where the report is written, None where none is asked for."""
        given = self.config.getoption("conformance_report")
        return None if given is None else Path(given)

    @property
    def workers(self) -> Workers:
        """Return the worker process of this pytest process, started on first use."""
        if self._workers is None:
            self._workers = Workers(1)
        return self._workers

    def _close(self) -> None:
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def examine(self, engine: str, clause_id: str) -> tuple[Examined, float]:
        """Examine one clause on one engine; return the result and the seconds that it took."""
        if engine not in self._deadly:
            self._deadly[engine] = probed(self.workers, engine, self.plan.timeout)
        settings = self.plan.profile, self.plan.seed
        arguments = (engine, clause_id, *settings, self._deadly[engine])
        (done,) = self.workers.run(examine_item, [arguments], self.plan.timeout)
        if isinstance(done.result, Lost):
            return explain_lost(self.workers, engine, clause_id, done.result), done.seconds
        return done.result, done.seconds

    def pytest_collect_directory(
        self, path: Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        """Collect the folder of the suite by its own rules."""
        if path != FOLDER:
            return None
        suite: Suite = Suite.from_parent(parent, path=path, nodeid="conformance.suite")
        suite.session_of_run = self
        return suite

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the result to the report of the item."""
        report = yield
        if isinstance(item, ClauseItem) and item.examined is not None and report.when == "call":
            setattr(report, ATTRIBUTE, _encode(item.engine, item.examined, item.seconds))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in a result, in the controller or in the only process."""
        text = getattr(report, ATTRIBUTE, None)
        if self.is_controller and text is not None:
            self.run.record(*_decode(text))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Stop the worker process and write the report."""
        self._close()
        path = self.report_path
        if self.is_controller and path is not None and self.run.examined:
            try:
                write_report(self.run.ledgers(), path)
            except ConformanceError as error:
                raise pytest.UsageError(str(error)) from error

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say the result of every engine, and which expected failures are not needed."""
        if not self.run.examined:
            return
        terminalreporter.section("autograd conformance")
        for ledger in self.run.ledgers():
            summary = headline(ledger.clauses)
            failing = len(failures(ledger, self.known))
            name = f"{ledger.engine.name} {ledger.engine.version}"
            terminalreporter.write_line(f"{name}: {summary.sentence} {summary.detail}")
            if failing:
                terminalreporter.write_line(f"  MUST clauses that fail this run: {failing}")
        for warning in self.known.warnings(self.run.ledgers(), (row.id for row in clauses())):
            terminalreporter.write_line(f"warning: {warning}")
        if self.report_path is not None:
            terminalreporter.write_line(f"report: {self.report_path}")


def write_report(ledgers: list[Ledger], path: Path) -> None:
    """Write the page to `path` and the ledger beside it.

    For several engines, `path` compares them; their own pages and ledgers stand beside it.
    """
    folder = path.parent
    if len(ledgers) == 1:
        texts = {
            path.with_suffix(".json"): ledger_text(ledgers[0]),
            path: render_engine(ledgers[0]),
        }
    else:
        named = [(folder / f"{file_stem(led.engine.name)}.json", led) for led in ledgers]
        texts = {place: ledger_text(ledger) for place, ledger in named}
        texts[path] = render_index(ledgers)
        write_reports(ledgers, folder)
    for place, text in texts.items():
        write_text(place, text)


def _encode(engine: str, examined: Examined, seconds: float) -> str:
    return json.dumps(
        {
            "engine": engine,
            "clause": clause_to_json(examined.clause),
            "operations": [operation_to_json(row) for row in examined.operations],
            "seconds": seconds,
        }
    )


def _decode(text: str) -> tuple[str, Examined, float]:
    form = json.loads(text)
    rows = tuple(operation_from_json(row) for row in form["operations"])
    examined = Examined(clause_from_json(form["clause"]), rows)
    return form["engine"], examined, form["seconds"]
