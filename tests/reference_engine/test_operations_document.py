"""docs/operations.md is what the table says."""

from __future__ import annotations

from pathlib import Path

from reference_engine.ops.document import markdown
from reference_engine.ops.table import TABLE

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"


def test_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == markdown(), (
        "write docs/operations.md anew: autograd-conformance spec --ops > docs/operations.md"
    )


def test_every_operation_has_its_line() -> None:
    lines = {line.split("`")[1] for line in markdown().splitlines() if line.startswith("| `")}
    assert lines == {n for n in TABLE if not n.split(".")[-1].startswith("_")}
