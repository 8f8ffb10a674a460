"""JUnit XML from ledgers, for CI systems: a suite per engine, a case per clause."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from xml.etree import ElementTree

from conformance.ledger import Ledger
from conformance.report.outcomes import NOT_ASKED, Outcome, outcome_of
from conformance.report.text import clause_text
from conformance.verdict import ClauseResult, Level

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped (https://www.w3.org/TR/xml/#charsets)."""


def render_junit(
    ledgers: Sequence[Ledger], expected: Collection[tuple[str, str]] = frozenset()
) -> str:
    """Return the XML. Only what sets the exit code fails: a MUST clause that is not met.

    A clause that is inconclusive or unexercised is not met. Departures from SHOULD clauses, what
    the engine does not support, and failures that are `expected`, given as pairs of engine and
    clause, are skipped cases with a reason; a crash or a timeout of a MUST clause is an error.
    """
    root = ElementTree.Element("testsuites", name="autograd-conformance")
    for ledger in ledgers:
        _suite(root, ledger, expected)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _suite(
    root: ElementTree.Element, ledger: Ledger, expected: Collection[tuple[str, str]]
) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=_legal(ledger.engine.name))
    properties = ElementTree.SubElement(suite, "properties")
    facts = {"version": ledger.engine.version, "seed": str(ledger.run.seed), **ledger.tool}
    for name, value in {**facts, "profile": ledger.run.profile}.items():
        ElementTree.SubElement(properties, "property", name=_legal(name), value=_legal(value))
    name = ledger.engine.name
    tags = [_case(suite, name, row, (name, row.id) in expected) for row in ledger.clauses]
    suite.set("tests", str(len(tags)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(tags.count(tag)))


def _case(suite: ElementTree.Element, engine: str, result: ClauseResult, expected: bool) -> str:
    outcome = outcome_of(result)
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_legal(f"{engine}.{result.theme}"),
        name=_legal(f"{result.id} {result.title}"),
    )
    tag = _tag(result, outcome, expected)
    if tag:
        message = f"{result.level.value} clause {outcome.label}" + (
            ", expected" if expected else ""
        )
        body = ElementTree.SubElement(case, tag, message=message)
        if tag != "skipped":
            body.set("type", outcome.key)
        body.text = _legal(clause_text(result))
    return tag


def _tag(result: ClauseResult, outcome: Outcome, expected: bool) -> str:
    if outcome.key == "holds":
        return ""
    if result.level is Level.SHOULD or outcome.key in NOT_ASKED or expected:
        return "skipped"
    return "error" if outcome.key in ("crashed", "timed-out") else "failure"


def _legal(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
