"""Prints docs/findings.md: `python -m conformance.defects > docs/findings.md`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from conformance.defects import Defect, defects

_HEAD = """\
# Findings

Defects of released engines that the suite found, {count} of them in {engines} engines. Every script
stands alone: it needs the engine and not this project, and exits with code 1 as long as the defect
is there. The tests run each where its engine is installed. A behaviour that an engine documents is
a *convention* and no defect; conventions are declared in the adapters (`conventions`), and a clause
that one of them touches is reported as unsupported, with the convention's name.

This file is generated: `python -m conformance.defects > docs/findings.md`.

| id | clauses | kind | what is wrong |
|---|---|---|---|
"""
_KINDS = {
    "crashed": "**crashes**",
    "silently-wrong": "**silently wrong**",
    "refused-loudly": "refused loudly",
    "not-refused": "error missing",
}


def findings() -> str:
    """Return the text of the document."""
    rows = defects()
    engines = len({defect.engine for defect in rows})
    parts = [_HEAD.format(count=len(rows), engines=engines)]
    parts += [
        f"| [{d.id}](#{d.id}) | {', '.join(d.clauses)} | {_KINDS[d.kind]} | {d.sentence} |\n"
        for d in rows
    ]
    for engine, group in groupby(rows, key=lambda defect: defect.engine):
        parts.append(f"\n## {engine}\n")
        for defect in group:
            parts += _section(defect)
    return "".join(parts)


def _section(defect: Defect) -> Iterator[str]:
    yield f"\n### {defect.id}\n\n{defect.sentence}\n\n"
    yield f"{_KINDS[defect.kind]}; {defect.engine} {defect.versions};"
    yield f" clauses {', '.join(defect.clauses)}.\n"
    if defect.documented:
        yield f"Its documentation: {defect.documented}\n"
    if defect.issue:
        yield f"Reported: <{defect.issue}>\n"
    yield f"\n```python\n{defect.script.strip()}\n```\n"


if __name__ == "__main__":
    print(findings(), end="")
