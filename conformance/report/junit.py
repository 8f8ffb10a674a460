"""JUnit XML from ledgers, for CI systems: a suite per engine, a case per clause."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from conformance.ledger import Ledger
from conformance.report.outcomes import DEPARTURES, Outcome, outcome_of
from conformance.report.text import clause_text
from conformance.verdict import ClauseResult, Level

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped (https://www.w3.org/TR/xml/#charsets)."""


def render_junit(ledgers: Sequence[Ledger]) -> str:
    """Return the XML. Only what sets the exit code fails: a MUST clause that is departed from.

    Departures from SHOULD clauses, and clauses that could not be judged, are skipped cases with a
    reason; a crash or a timeout of a MUST clause is an error.
    """
    root = ElementTree.Element("testsuites", name="autograd-conformance")
    for ledger in ledgers:
        _suite(root, ledger)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _suite(root: ElementTree.Element, ledger: Ledger) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=_legal(ledger.engine.name))
    properties = ElementTree.SubElement(suite, "properties")
    facts = {"version": ledger.engine.version, "seed": str(ledger.run.seed), **ledger.tool}
    for name, value in {**facts, "profile": ledger.run.profile}.items():
        ElementTree.SubElement(properties, "property", name=_legal(name), value=_legal(value))
    tags = [_case(suite, ledger.engine.name, result) for result in ledger.clauses]
    suite.set("tests", str(len(tags)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(tags.count(tag)))


def _case(suite: ElementTree.Element, engine: str, result: ClauseResult) -> str:
    outcome = outcome_of(result)
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_legal(f"{engine}.{result.theme}"),
        name=_legal(f"{result.id} {result.title}"),
    )
    tag = _tag(result, outcome)
    if tag:
        message = f"{result.level.value} clause {outcome.label}"
        body = ElementTree.SubElement(case, tag, message=message)
        if tag != "skipped":
            body.set("type", outcome.key)
        body.text = _legal(clause_text(result))
    return tag


def _tag(result: ClauseResult, outcome: Outcome) -> str:
    if outcome.key == "holds":
        return ""
    if result.level is Level.SHOULD or outcome.key not in DEPARTURES:
        return "skipped"
    return "error" if outcome.key in ("crashed", "timed-out") else "failure"


def _legal(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
