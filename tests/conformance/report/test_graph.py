"""Pictures of graphs: each box has its own place, each line its two ends; damage shows nothing."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest

from conformance.report import render_engine
from conformance.report.graph import KINDS, MOST, Picture, picture
from tests.sample_ledgers import FAULTY, GRAPH, HOSTILE, box, ledger, violated

NUMBER = re.compile(r"-?\d+\.?\d*")


def drawn(*graph: Any) -> Picture:
    found = picture(graph)
    assert found is not None
    return found


def ends(line: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    numbers = [float(word) for word in NUMBER.findall(line)]
    return tuple(numbers[:2]), tuple(numbers[-2:])


def test_boxes_stand_apart_within_the_picture() -> None:
    made = drawn(*GRAPH)
    for one, other in combinations(made.boxes, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        below = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert beside or below, (one, other)
    for each in made.boxes:
        assert each.x >= 0
        assert each.y >= 0
        assert each.x + each.width <= made.width
        assert each.y + each.height <= made.height


def test_a_line_leaves_one_box_downwards_and_arrives_at_the_other() -> None:
    made = drawn(*GRAPH)
    pairs = [(0, 1), (1, 2), (2, 3), (2, 5), (3, 4), (4, 5)]
    assert len(made.lines) == len(made.tips) == len(pairs)
    for line, (source, target) in zip(made.lines, pairs, strict=True):
        (x, y), (end, below) = ends(line)
        upper, lower = made.boxes[source], made.boxes[target]
        assert upper.x < x < upper.x + upper.width
        assert y == pytest.approx(upper.y + upper.height, abs=0.1)
        assert lower.x < end < lower.x + lower.width
        assert below == pytest.approx(lower.y - 5, abs=0.1)
        assert y < below


def test_a_line_that_passes_a_layer_crosses_no_box_there() -> None:
    made = drawn(*GRAPH)
    (long,) = [line for line in made.lines if "V" in line]
    for x, upright in re.findall(r"([\d.]+) [\d.]+V([\d.]+)", long):
        assert all(
            not (each.x <= float(x) <= each.x + each.width and each.y < float(upright) <= each.y)
            for each in made.boxes
        )
        assert all(
            not each.x < float(x) < each.x + each.width
            for each in made.boxes
            if each.y < float(upright) <= each.y + each.height
        )


def test_texts_lie_within_their_box_and_long_ones_are_cut() -> None:
    made = drawn(box("leaf", "w" * 300, "[1, 2]", (), ("soft", "v" * 300)))
    (only,) = made.boxes
    assert [text.text[-1] for text in only.texts] == ["…", "]", "…"]
    assert max(len(text.text) for text in only.texts) == 64
    assert only.width < 600
    assert [text.end for text in only.texts] == [False, True, False]
    assert all(only.y < text.y < only.y + only.height for text in only.texts)


def test_outputs_of_one_node_have_ends_of_their_own() -> None:
    split = {**box("op", "SplitBackward0"), "outputs": ["[1]", "[2]"]}
    made = drawn(box("op", "AddBackward0", "[2]", [(1, 1), (1, 0)]), split)
    (_, right), (_, left) = map(ends, made.lines)
    assert right[0] > left[0]


@pytest.mark.parametrize(
    "graph",
    [
        [],
        [{}],
        [None],
        ["box"],
        [box("nonsense", "y")],
        [box("op", "y", "[]", [(7, 0)])],
        [{**box("op", "y"), "inputs": ["word"]}],
        [{**box("op", "y"), "outputs": None}],
        [{**box("op", "y"), "rows": [["soft"]]}],
        [box("op", "y", "[]", [(0, 0)])],
        [box("op", "y", "[]", [(1, 0)]), box("op", "z", "[]", [(0, 0)])],
        [box("leaf", "x")] * (MOST + 1),
    ],
    ids=repr,
)
def test_a_damaged_graph_has_no_picture(graph: Any) -> None:
    assert picture(graph) is None


def test_every_kind_has_a_colour() -> None:
    from pathlib import Path

    from conformance import report

    styles = Path(report.__file__).parent / "templates" / "engine.css"
    named = set(re.findall(r"\.[gt]-(\w+)", styles.read_text(encoding="utf-8")))
    assert set(KINDS) - {"plain"} <= named  # plain text has the page's own


def test_a_page_shows_the_graph_of_a_violation_and_nothing_where_there_is_none() -> None:
    page = render_engine(FAULTY)
    shown = sum(bool(v.graph) for result in FAULTY.clauses for v in result.violations)
    assert page.count('<figure class="listing graph">') == shown > 0
    assert "saved other [3] v0, now v1" in page
    assert render_engine(FAULTY) == page


def test_what_a_graph_says_is_escaped() -> None:
    page = render_engine(ledger("torch", "2.13.0", (violated("detach", 1, HOSTILE),)))
    assert "&lt;/text&gt;&lt;/svg&gt;&lt;script&gt;alert(3)" in page
    assert "<script>alert" not in page
    assert "<img" not in page
