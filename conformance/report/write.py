"""Writing a set of pages: all of them, or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from conformance.errors import UsageError
from conformance.ledger import Ledger
from conformance.report.comparison import page_names
from conformance.report.html import render_engine, render_index, render_specification
from conformance.report.triaged import Triage


def write_reports(
    ledgers: Sequence[Ledger],
    out: Path,
    absent: Mapping[str, str] = MappingProxyType({}),
    triage: Mapping[str, Triage] = MappingProxyType({}),
) -> tuple[Path, ...]:
    """Write one page per engine, `specification.html` and `index.html` into `out`.

    Returns the paths, the index last.

    absent: engines without a ledger, and why; the index names them. triage: what has been recorded
    of engines, by name, where somebody has.
    Everything is rendered and written aside before the first page is replaced. Raises `UsageError`,
    with the old pages untouched, where the folder cannot be made or written to.
    """
    pages = {
        name: render_engine(ledger, "index.html", triage.get(ledger.engine.name))
        for name, ledger in zip(page_names(ledgers), ledgers, strict=True)
    }
    pages["specification.html"] = render_specification(ledgers)
    pages["index.html"] = render_index(ledgers, absent, triage)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report-", dir=out) as aside:
            return _replace(pages, Path(aside), out)
    except OSError as error:
        raise UsageError(
            f"cannot write reports to {str(out)!r}: {error.strerror or error}; expected a writable"
            " folder; name another with --out"
        ) from error


def _replace(pages: Mapping[str, str], aside: Path, out: Path) -> tuple[Path, ...]:
    for name, text in pages.items():
        (aside / name).write_text(text, encoding="utf-8", newline="\n")
    for name in pages:
        os.replace(aside / name, out / name)
    return tuple(out / name for name in pages)
