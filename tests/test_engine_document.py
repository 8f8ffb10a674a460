"""docs/engine.md: its code runs, its links lead somewhere, its picture is what its code draws."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.reference_engine.pictures import Picture

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "engine.md").read_text(encoding="utf-8")


def run_blocks() -> dict[str, Any]:
    """What the code of the document defines: all its blocks, run one after the other."""
    found: dict[str, Any] = {}
    for block in re.finditer(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE):
        line = TEXT[: block.start(1)].count("\n")  # errors then name the line of the document
        exec(compile("\n" * line + block[1], str(DOCS / "engine.md"), "exec"), found)
    return found


def test_the_code_runs_and_the_picture_is_what_it_draws() -> None:
    shown = Picture((DOCS / "graph.svg").read_text(encoding="utf-8"))
    drawn = Picture(run_blocks()["picture"])  # where the boxes stand depends on a machine's fonts
    assert (shown.boxes, shown.edges()) == (drawn.boxes, drawn.edges()), (
        "rewrite docs/graph.svg: python -m tests.draw_graph"
    )


@pytest.mark.parametrize("document", ["specification.md", "findings.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (DOCS / document).read_text(encoding="utf-8")
    anchors = set(re.findall(r'<a id="([\w-]+)">', text))
    anchors |= {title.lower() for title in re.findall(r"^#+ ([\w-]+)$", text, re.MULTILINE)}
    linked = set(re.findall(rf"\({document}#([\w-]+)\)", TEXT))
    assert len(linked) > 10
    assert sorted(linked - anchors) == []


def test_links_say_where_they_lead() -> None:
    for shown, anchor in re.findall(r"\[([^\]]+)\]\(\w+\.md#([\w-]+)\)", TEXT):
        assert shown.lower() == anchor


def test_rows_are_quoted_as_they_are() -> None:
    sources = sorted((DOCS.parent / "reference_engine" / "ops").glob("*.py"))
    table = " ".join(" ".join(path.read_text(encoding="utf-8") for path in sources).split())
    quoted = re.findall(r"^# ((?:elementwise|floating)\(.*)\)$", TEXT, re.MULTILINE)
    assert len(quoted) == 3
    assert [row for row in quoted if row not in table] == []


def test_every_file_of_the_core_is_in_the_tour() -> None:
    headings = " ".join(re.findall(r"^## (.+)$", TEXT, re.MULTILINE))
    for part in (
        "storage.py", "tensor.py", "rare.py", "views.py", "inplace.py", "modes.py",
        "graph.py", "dispatch.py", "fast.py", "backward.py", "scope.py", "hooks.py",
        "saved_tensors.py", "function.py", "forward.py", "anomaly.py", "autograd/", "func/", "ops/",
        "backends/",
    ):  # fmt: skip
        assert part in headings
        assert (DOCS.parent / "reference_engine" / part).exists()
