"""The page of a gradient check: made from its JSON alone, wrong elements marked, text escaped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.errors import UsageError
from conformance.report.gradcheck import picture, render_gradcheck

DEPARTURE = {
    "cause": "formula", "sentence": "wrong <here>", "output": {"name": "output", "index": [1]},
    "input": None, "analytic": 2.0, "numeric": 1.0, "error": 1.0, "bound": "nan",
}  # fmt: skip


def result(**changes: Any) -> str:
    data: dict[str, Any] = {
        "schema": 1, "verdict": "fail", "reason": "formula: <script>", "function": "f",
        "engine": "torch", "order": 1, "mode": "full", "seed": 0, "dtypes": ["float64"],
        "computed_in": "float64", "error": 1.0, "bound": 0.1, "limit": 1e-12, "evaluations": 10,
        "calls": 20, "failures": [DEPARTURE], "doubts": [], "notes": ["a note"],
        "probes": [{"name": "zero cotangent", "outcome": "passed", "detail": ""}],
        "elements": [{"input": "input 0", "shape": [2, 3], "error": [0, 0, 5.0, 0, 0, 0],
                      "bound": [1.0] * 6, "scale": [1.0] * 6}],
    }  # fmt: skip
    return json.dumps({**data, **changes})


def test_the_page_says_verdict_reason_and_place_and_escapes_them() -> None:
    page = render_gradcheck(result())
    assert "fail" in page
    assert "<script>" not in page.replace("<script>\n", "").split("<main", 1)[1]
    assert "&lt;script&gt;" in page
    assert "output[1]" in page
    assert "1 wrong" in page


def test_a_picture_has_a_cell_for_each_element_and_marks_those_beyond_their_bound() -> None:
    found = picture({"input": "x", "shape": [2, 2], "error": [0, 30.0, 0, "inf"], "bound": [1] * 4})
    assert (found.columns, found.rows, found.wrong) == (2, 2, 2)
    assert [cell.shade for cell in found.cells] == [0, 2, 0, 6]


def test_large_inputs_show_the_worst_of_each_block() -> None:
    errors = [0.0] * 40_000
    errors[201] = 9.0
    item = {"input": "x", "shape": [200, 200], "error": errors, "bound": [1.0] * 40_000}
    found = picture(item)
    assert len(found.cells) <= 64 * 64
    assert sum(cell.shade > 0 for cell in found.cells) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "it is wrong, and what"),
        ({"failures": [], "randomness": {"forward": 0.1}}, "repeated runs differ"),
        ({"failures": [], "verdict": "pass"}, "no more were asked for"),
    ],
)
def test_a_page_without_questions_says_why(changes: Any, why: str) -> None:
    page = render_gradcheck(result(probes=[], **changes))
    assert why in page
    assert '<table class="probes">' not in page


@pytest.mark.parametrize("text", ["{", "[]", '{"verdict": "maybe"}'])
def test_other_json_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="not the JSON of a gradient check"):
        render_gradcheck(text)
