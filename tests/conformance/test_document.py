"""The specification as a document: up to date, complete, its links and its examples sound."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from conformance import spec
from conformance.document import markdown
from conformance.example import MOST_LINES, code, example
from conformance.notation import parse
from conformance.spec.clause import Clause

COMMITTED = Path(__file__).parents[2] / "docs" / "specification.md"
TEXT = markdown()
TOO_LONG = {"TRN-4"}
"""Clauses about networks whose shortest program does not fit a page."""

every_clause = pytest.mark.parametrize("clause", spec.clauses(), ids=lambda clause: clause.id)


def test_the_committed_document_is_up_to_date():
    assert COMMITTED.read_text(encoding="utf-8") == TEXT, (
        "run: autograd-conformance spec --markdown > docs/specification.md"
    )


def test_every_clause_stands_in_it_with_its_sentence_and_reason():
    for row in spec.clauses():
        assert f"### {row.id}\n\n**{row.title}**\n\n{row.why} (" in TEXT


def test_links_within_the_document_lead_somewhere():
    anchors = set(re.findall(r'<a id="([^"]+)"></a>', TEXT))
    assert len(anchors) == len(spec.clauses()) + len(spec.themes())
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


@every_clause
def test_an_example_in_pytorchs_spelling_holds_on_pytorch(clause: Clause):
    shown = example(clause)
    if clause.id in TOO_LONG:
        assert shown is None
        return
    assert shown is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # reading .grad of a result is advised against
        exec(compile(shown[0], clause.id, "exec"), {})
    assert shown[0].count("\n") <= MOST_LINES


def test_examples_say_what_programs_say():
    program = parse(
        """
        x = leaf([1.0, 2.0], requires_grad=True)
        hook(x, action="double")
        with no_grad():
            c = mul(x, x)
        assert not requires_grad(c)
        y = mul(x, c)
        with raises():
            backward(y)
        backward(y, gradient=[1.0, 1.0])
        assert grad(x) == [2.0, 8.0]
        assert hook_log() == [[1.0, 4.0]]
        """
    )
    assert code(program).splitlines() == [
        "from pytest import raises",
        "import torch",
        "",
        "log = []",
        "x = torch.tensor([1.0, 2.0], requires_grad=True)",
        "x.register_hook(lambda g: (log.append(g.clone()), g + g)[1])",
        "with torch.no_grad():",
        "    c = torch.mul(x, x)",
        "assert not c.requires_grad",
        "y = torch.mul(x, c)",
        "with raises(RuntimeError):",
        "    y.backward()",
        "y.backward(torch.tensor([1.0, 1.0]))",
        "assert x.grad.tolist() == [2.0, 8.0]",
        "assert [g.tolist() for g in log] == [[1.0, 4.0]]",
    ]


def test_an_example_with_a_wrong_figure_would_fail():
    program = parse("x = leaf(2.0)\nassert value(x) == 3.0")
    with pytest.raises(AssertionError):
        exec(code(program), {})
