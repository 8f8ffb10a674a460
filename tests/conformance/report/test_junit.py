from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from conformance.report import render_junit
from conformance.verdict import Status
from tests.sample_ledgers import (
    ALL,
    FAULTY,
    HOSTILE,
    LOUD,
    SILENT,
    clause,
    ledger,
    violated,
)


def cases(text: str) -> dict[str, str]:
    """Return what became of each case, by the clause's id."""
    root = ElementTree.fromstring(text)
    return {
        case.get("name", "").split()[0]: next((child.tag for child in case), "passed")
        for case in root.iter("testcase")
    }


def test_only_must_clauses_that_are_not_met_fail() -> None:
    results = (
        clause("detach", 1),
        violated("detach", 2, SILENT),
        violated("detach", 8, LOUD),
        clause("detach", 3, Status.CRASHED),
        clause("detach", 4, Status.TIMED_OUT),
        clause("detach", 5, Status.INCONCLUSIVE),
        clause("detach", 6, Status.UNEXERCISED),
        clause("detach", 7, Status.UNSUPPORTED),
    )
    assert cases(render_junit([ledger("x", "1", results)])) == {
        "DET-1": "passed",
        "DET-2": "failure",
        "DET-8": "skipped",
        "DET-3": "error",
        "DET-4": "error",
        "DET-5": "failure",
        "DET-6": "failure",
        "DET-7": "skipped",
    }


def test_expected_failures_are_skipped() -> None:
    results = (violated("detach", 2, SILENT), clause("detach", 3, Status.CRASHED))
    expected = {("x", "DET-2"), ("y", "DET-3")}
    assert cases(render_junit([ledger("x", "1", results)], expected)) == {
        "DET-2": "skipped",
        "DET-3": "error",
    }


def test_a_suite_per_engine_counts_its_cases() -> None:
    root = ElementTree.fromstring(render_junit(ALL))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == [item.engine.name for item in ALL]
    faulty = suites["tinytape"]
    found = [faulty.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert found == ["56", "7", "2", "3"]


def test_a_failure_carries_the_whole_story() -> None:
    root = ElementTree.fromstring(render_junit([FAULTY]))
    (failure,) = [
        case.find("failure") for case in root.iter("testcase") if "ACC-2" in case.get("name", "")
    ]
    assert failure is not None
    assert failure.get("type") == "silently-wrong"
    assert failure.text is not None
    assert "reproduction:" in failure.text


def test_what_xml_cannot_hold_is_replaced() -> None:
    odd = replace(
        HOSTILE, message="nul \x00, escape \x1b, surrogate \ud800, fine \u2202 \U0001f525"
    )
    text = render_junit([ledger("a\x01<b>", "1", (violated("detach", 1, odd),))])
    (failure,) = ElementTree.fromstring(text.encode()).iter("failure")
    assert failure.text is not None
    assert "fine ∂ 🔥" in failure.text
