"""One missing or wrong feature is one row, however many clauses it violates."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from conformance.cli.tables import print_summary
from conformance.known import Known
from conformance.report import render_text
from conformance.report.causes import shared_key, sharing, sharing_words
from conformance.report.html import render_engine
from conformance.report.model import engine_view
from conformance.verdict import ClauseResult, Kind, Status, Violation
from tests.conformance.samples import ledger, result, violation


def refusing(identifier: str, *operations: str | None, step: int = 3) -> ClauseResult:
    """Return a clause that was violated because the engine refuses the operations."""
    found = tuple(
        replace(
            violation(f"refused-loudly/apply/{name}", Kind.REFUSED_LOUDLY), operation=name,
            message=f"step {step}, `y = {name}(x)`: raised TypeError: no {name}",
        )
        for name in operations
    )  # fmt: skip
    return replace(result(identifier, Status.VIOLATED), violations=found)


HUNDRED = [refusing(f"VIEW-{number}", "expand", step=number) for number in range(100)]


def ids(results: list[ClauseResult]) -> list[list[str]]:
    return [[row.id for row in group] for group in sharing(results)]


def test_clauses_that_one_operation_violates_are_one_group() -> None:
    assert [len(group) for group in ids(HUNDRED)] == [100]


def test_another_operation_or_kind_is_another_cause() -> None:
    wrong = replace(result("A-3", Status.VIOLATED), violations=(expand_is_wrong(),))
    rows = [refusing("A-1", "expand"), refusing("A-2", "sin"), wrong]
    assert ids(rows) == [["A-1"], ["A-2"], ["A-3"]]


def expand_is_wrong() -> Violation:
    return replace(violation("silently-wrong/value/value"), operation="expand")


def test_a_clause_with_a_cause_of_its_own_too_stays_to_be_seen() -> None:
    rows = [refusing("A-1", "expand"), refusing("A-2", "expand", "sin"), refusing("A-3", "expand")]
    assert ids(rows) == [["A-1", "A-3"], ["A-2"]]


def test_refusals_without_an_operation_share_a_cause_by_their_words() -> None:
    first, later = refusing("A-1", None).violations[0], refusing("A-2", None, step=9).violations[0]
    assert shared_key(first) == shared_key(later)
    assert shared_key(replace(later, message="step 9, `y`: raised TypeError: other")) != shared_key(
        first
    )


def test_wrong_numbers_of_no_known_operation_are_never_taken_for_one() -> None:
    wrong = replace(violation("silently-wrong/grad/value"), operation=None)
    rows = [replace(result(f"A-{n}", Status.VIOLATED), violations=(wrong,)) for n in (1, 2)]
    assert ids(rows) == [["A-1"], ["A-2"]]
    assert ids([result("A-3", Status.INCONCLUSIVE), result("A-4", Status.INCONCLUSIVE)]) == [
        ["A-3"], ["A-4"],
    ]  # fmt: skip


def test_a_hundred_clauses_are_a_row_on_the_screen_in_the_text_and_on_the_page() -> None:
    book = ledger(*HUNDRED)
    screen = Console(width=220, file=StringIO())
    print_summary(screen, [book], Known())
    assert isinstance(screen.file, StringIO)
    shown = " ".join(screen.file.getvalue().split())
    assert shown.count("raised TypeError") == 1
    assert "100 clauses share this cause" in shown
    text = render_text(book)
    assert text.count("raised TypeError") == 1
    assert "100 clauses share this cause, also VIEW-1, VIEW-2" in text
    ((clause, _, also),) = engine_view(book).worst
    assert (clause.record.id, also) == ("VIEW-0", sharing_words([r.id for r in HUNDRED[1:]]))
    assert "100 clauses share this cause" in render_engine(book)
