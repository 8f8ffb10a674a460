"""Writes the picture of docs/engine.md: ``python -m tests.draw_graph``."""

from __future__ import annotations

from tests.test_engine_document import DOCS, run_blocks

if __name__ == "__main__":
    (DOCS / "graph.svg").write_text(run_blocks()["picture"], encoding="utf-8")
