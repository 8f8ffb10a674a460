"""The pytest items: the folder of the suite collects them, each judges a clause on an engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.item import Examined
from conformance.known import unmet
from conformance.report.outcomes import outcome_of
from conformance.report.text import clause_text
from conformance.spec import Clause
from conformance.verdict import ClauseResult, Level, Status

if TYPE_CHECKING:
    from conformance.suite.session import Session

FOLDER = Path(__file__).parent


class Suite(pytest.Directory):
    """Stands for this folder. It needs no test files, so that no ini-file can hide them."""

    session_of_run: Session

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item per clause and engine, clauses in the order of the specification."""
        plan = self.session_of_run.plan
        for clause in plan.clauses:
            for engine in plan.engines:
                name = f"{clause.id}[{engine}]"
                item: ClauseItem = ClauseItem.from_parent(self, name=name)
                item.engine, item.clause, item.session_of_run = engine, clause, self.session_of_run
                yield item


class Unmet(Exception):
    """Carries the result of a clause that is not met to the report of its item."""

    def __init__(self, result: ClauseResult) -> None:
        super().__init__(f"{result.id} {result.status.value}")
        self.result = result


class ClauseItem(pytest.Item):
    """One clause on one engine."""

    engine: str
    clause: Clause
    session_of_run: Session
    examined: Examined | None = None
    seconds: float = 0.0

    def runtest(self) -> None:
        """Examine the clause in a worker process, and report by pytest's outcomes.

        Unsupported is skipped. What the expected failures list, and a SHOULD clause that is not
        followed, are xfailed. Whatever else is not met fails.
        """
        self.examined, self.seconds = self.session_of_run.examine(self.engine, self.clause.id)
        result = self.examined.clause
        if result.status is Status.UNSUPPORTED:
            pytest.skip(result.note or "the engine lacks a capability that the clause needs")
        if result.status is Status.HOLDS:
            return
        reason = self.session_of_run.known.reason(self.engine, result)
        if reason is None and result.level is Level.SHOULD:
            reason = f"advice that is not followed ({outcome_of(result).label})"
        if reason is not None:
            pytest.xfail(reason)
        assert unmet(result), result
        raise Unmet(result)

    def repr_failure(  # type: ignore[override]  # pytest passes no style to items of its own either
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> str:
        """Return the whole story of the clause instead of a traceback of this package."""
        if isinstance(excinfo.value, Unmet):
            return clause_text(excinfo.value.result)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where the item stands: a clause has no line."""
        return self.path, None, self.name
