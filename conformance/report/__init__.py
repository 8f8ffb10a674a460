"""Reports, made from ledgers alone: pages, terminal text, JUnit XML."""

from conformance.report.gradcheck import render_gradcheck
from conformance.report.html import render_engine, render_index
from conformance.report.junit import render_junit
from conformance.report.text import clause_text, render_text
from conformance.report.write import write_reports

__all__ = [
    "clause_text",
    "render_engine",
    "render_gradcheck",
    "render_index",
    "render_junit",
    "render_text",
    "write_reports",
]
