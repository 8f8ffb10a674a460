"""The ledger's view by operation: who is blamed, and how rows of several clauses are joined."""

from __future__ import annotations

from conformance.notation import parse
from conformance.operations import OperationCounts, merge_operations
from conformance.verdict import Finding, OperationResult, Outcome, Status

PROGRAM = parse(
    """
    x = leaf([1.0], requires_grad=True)
    y = sin(x)
    z = mul(y, y)
    add_(z, x)
    assert value(z) == [1.0]
    """
)


def rows(*findings: Finding) -> dict[str, tuple[Status, int, float | None]]:
    counts = OperationCounts()
    for finding in findings:
        counts.add(PROGRAM, finding)
    return {r.name: (r.status, r.programs, r.max_error_ulp) for r in counts.results()}


HOLDS = Finding(Outcome.HOLDS, "float32", error_ulp=0.5)


def test_a_program_counts_for_each_of_its_operations() -> None:
    assert rows(HOLDS, HOLDS) == dict.fromkeys(["add", "mul", "sin"], (Status.HOLDS, 2, 0.5))


def test_only_the_operation_to_blame_is_violated() -> None:
    blamed = Finding(Outcome.VIOLATED, "float32", operation="sin", error_ulp=8.0)
    assert rows(blamed) == {
        "add": (Status.INCONCLUSIVE, 1, None),
        "mul": (Status.INCONCLUSIVE, 1, None),
        "sin": (Status.VIOLATED, 1, 8.0),
    }
    assert rows(HOLDS, blamed)["mul"] == (Status.HOLDS, 2, 0.5)
    assert rows(HOLDS, blamed)["sin"] == (Status.VIOLATED, 2, 8.0)


def test_an_absent_operation_is_unsupported_and_the_others_unheard() -> None:
    assert rows(Finding(Outcome.UNSUPPORTED, "float32", operation="mul")) == {
        "mul": (Status.UNSUPPORTED, 0, None)
    }


def test_dtypes_have_rows_of_their_own() -> None:
    counts = OperationCounts()
    counts.add(PROGRAM, HOLDS)
    counts.add(PROGRAM, Finding(Outcome.INCONCLUSIVE, "complex64"))
    assert [(r.name, r.dtype, r.status.value) for r in counts.results()][:2] == [
        ("add", "complex64", "inconclusive"),
        ("add", "float32", "holds"),
    ]


def test_the_rows_of_clauses_are_joined() -> None:
    joined = merge_operations(
        [
            OperationResult("sin", "float64", Status.HOLDS, 2, 0.5),
            OperationResult("add", "float64", Status.HOLDS, 1, None),
            OperationResult("sin", "float64", Status.VIOLATED, 3, 7.0),
        ]
    )
    assert joined == (
        OperationResult("add", "float64", Status.HOLDS, 1, None),
        OperationResult("sin", "float64", Status.VIOLATED, 5, 7.0),
    )
