"""What changed between two ledgers, matched by clause and cause."""

from __future__ import annotations

from conformance.difference import difference
from conformance.verdict import Status
from tests.conformance.samples import ledger, result


def test_equal_ledgers_do_not_differ() -> None:
    one = ledger(result("ACC-1", Status.VIOLATED, "a"), result("ACC-2"))
    found = difference(one, one)
    assert (found.regressions, found.fixes, found.altered, found.added, found.removed) == (
        ((),) * 5
    )


def test_a_new_cause_is_a_regression_and_a_lost_one_a_fix() -> None:
    old = ledger(result("ACC-1", Status.VIOLATED, "a", "b"), result("ACC-2"))
    new = ledger(result("ACC-1", Status.VIOLATED, "b", "c"), result("ACC-2"))
    found = difference(old, new)
    assert [(c.clause, c.cause) for c in found.regressions] == [("ACC-1", "c")]
    assert [(c.clause, c.cause) for c in found.fixes] == [("ACC-1", "a")]
    assert found.regressions[0].message.startswith("c: grad(x)")


def test_a_clause_that_breaks_or_heals_changes_its_status() -> None:
    old = ledger(result("ACC-1"), result("ACC-2", Status.VIOLATED, "a"))
    new = ledger(result("ACC-1", Status.VIOLATED, "b"), result("ACC-2"))
    found = difference(old, new)
    (broken,), (healed,) = found.regressions, found.fixes
    assert (broken.before, broken.after) == (Status.HOLDS, Status.VIOLATED)
    assert (healed.before, healed.after) == (Status.VIOLATED, Status.HOLDS)


def test_losing_the_exercise_of_a_clause_is_a_regression() -> None:
    note = "no program reached it"
    found = difference(
        ledger(result("ACC-1")), ledger(result("ACC-1", Status.UNEXERCISED, note=note))
    )
    (change,) = found.regressions
    assert (change.cause, change.message) == ("unexercised", note)


def test_changes_among_passing_statuses_stand_apart() -> None:
    found = difference(ledger(result("ACC-1")), ledger(result("ACC-1", Status.UNSUPPORTED)))
    assert (found.regressions, found.fixes) == ((), ())
    assert [(c.before, c.after) for c in found.altered] == [(Status.HOLDS, Status.UNSUPPORTED)]


def test_added_and_removed_clauses_are_listed_and_added_ones_judged() -> None:
    found = difference(
        ledger(result("ACC-1", Status.VIOLATED, "a")), ledger(result("ACC-2", Status.VIOLATED, "b"))
    )
    assert (found.added, found.removed) == (("ACC-2",), ("ACC-1",))
    assert [c.clause for c in found.regressions] == ["ACC-2"]
    assert found.fixes == ()
