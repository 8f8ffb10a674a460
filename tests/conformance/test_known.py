"""Expected failures and baselines: what they cover, what is stale, what is a slip."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.errors import UsageError
from conformance.known import Known, Xfail, failures, read_xfails, unmet
from conformance.verdict import ClauseResult, Level, Status
from tests.conformance.samples import ledger, result

BROKEN = result("ACC-1", Status.VIOLATED, "a")


def test_the_file_form(tmp_path: Path) -> None:
    path = tmp_path / "xfails.txt"
    path.write_text(
        "# what we know\n\nACC-1   # issue 17\nRET-*  reference[backend=torch]\n", encoding="utf-8"
    )
    assert read_xfails(path) == (
        Xfail("ACC-1", None, "issue 17", 3),
        Xfail("RET-*", "reference[backend=torch]", "", 4),
    )


def test_a_line_that_says_too_much_is_named(tmp_path: Path) -> None:
    path = tmp_path / "xfails.txt"
    path.write_text("ACC-1\nACC-2 torch because it fails\n", encoding="utf-8")
    with pytest.raises(UsageError, match="line 2: 'ACC-2 torch because it fails' is not"):
        read_xfails(path)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the expected failures '.*none': No such"):
        read_xfails(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="it is not UTF-8 text"):
        read_xfails(tmp_path / "bytes")


@pytest.mark.parametrize(
    ("status", "level", "expected"),
    [
        (Status.HOLDS, Level.MUST, False),
        (Status.UNSUPPORTED, Level.MUST, False),
        (Status.VIOLATED, Level.MUST, True),
        (Status.VIOLATED, Level.SHOULD, False),
        (Status.CRASHED, Level.MUST, True),
        (Status.TIMED_OUT, Level.MUST, True),
        (Status.UNEXERCISED, Level.MUST, True),
        (Status.INCONCLUSIVE, Level.MUST, True),
    ],
)
def test_what_fails_a_run(status: Status, level: Level, expected: bool) -> None:
    assert unmet(result("ACC-1", status, level=level)) is expected


@pytest.mark.parametrize(
    ("entry", "covered"),
    [
        (Xfail("ACC-1", None, "", 1), True),
        (Xfail("ACC-*", None, "", 1), True),
        (Xfail("ACC-1", "torch", "", 1), True),
        (Xfail("ACC-1", "jax", "", 1), False),
        (Xfail("ACC-10", None, "", 1), False),
    ],
)
def test_an_entry_covers_its_clause_on_its_engine(entry: Xfail, covered: bool) -> None:
    assert (failures(ledger(BROKEN), Known((entry,))) == ()) is covered


def test_a_baseline_covers_the_causes_that_it_records_and_no_other() -> None:
    baseline = ledger(result("ACC-1", Status.VIOLATED, "a", "b"))
    known = Known(baselines={"torch": baseline})
    worse = result("ACC-1", Status.VIOLATED, "a", "new")
    assert failures(ledger(BROKEN), known) == ()
    assert failures(ledger(worse), known) == (worse,)
    assert failures(ledger(BROKEN, engine="jax"), known) == (BROKEN,)


def reasons(known: Known, *results: ClauseResult) -> list[str]:
    return list(known.warnings([ledger(*results)], ["ACC-1", "ACC-2", "RET-1"]))


def test_an_entry_that_nothing_needs_is_stale() -> None:
    known = Known((Xfail("ACC-*", None, "", 3),))
    assert reasons(known, BROKEN, result("ACC-2")) == []
    assert reasons(known, result("ACC-1"), result("ACC-2")) == [
        "expected failure 'ACC-*' (line 3) is stale: nothing fails there; delete the line"
    ]


def test_an_entry_about_what_did_not_run_is_not_stale() -> None:
    entries = (Xfail("RET-1", None, "", 1), Xfail("ACC-1", "jax", "", 2))
    assert reasons(Known(entries), result("ACC-1")) == []


def test_a_slip_is_told() -> None:
    known = Known((Xfail("AC-1", "torch", "", 2),))
    assert reasons(known, BROKEN) == [
        "expected failure 'AC-1 torch' (line 2) matches no clause; correct or delete the line"
    ]


def test_an_unused_baseline_is_told() -> None:
    known = Known(baselines={"jax": ledger(engine="jax"), "torch": ledger()})
    assert reasons(known, BROKEN) == ["the baseline of 'jax' was not used: that engine did not run"]
