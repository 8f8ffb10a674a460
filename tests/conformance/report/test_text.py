from __future__ import annotations

from dataclasses import replace

from conformance.report import clause_text, render_text
from conformance.verdict import Status
from tests.sample_ledgers import (
    EMPTY,
    FAULTY,
    GOOD,
    HOSTILE,
    LOUD,
    MISSING,
    SILENT,
    clause,
    violated,
)

SILENT_TEXT = """\
ACC-2 MUST: silently wrong
  A second backward adds to the gradient that a leaf already has.
  source: https://docs.pytorch.org/docs/stable/notes/autograd.html

  silently wrong: mul · float32 · judged by the clause's figure · seed case A6 · seed case B5
  The second backward overwrote the gradient of `x` where it should have added
  to it.
  expected: [6., 6., 6.]
  observed: [3., 3., 3.]
  program:
      0  x = leaf([1.0, 2.0, -0.5], requires_grad=True)
      1  y = mul(x, other=3.0)
      2  s = sum(y)
      3  backward(s, retain_graph=True)
      4  assert grad(x) == [3.0, 3.0, 3.0]
      5  backward(s)
  >   6  assert grad(x) == [6.0, 6.0, 6.0]
  reproduction:
      import torch

      x = torch.tensor([1.0, 2.0, -0.5], requires_grad=True)  # float32
      s = (x * 3.0).sum()
      s.backward(retain_graph=True)
      s.backward()
      print("expected [6. 6. 6.], observed", x.grad.numpy())
      assert x.grad.tolist() == [6.0, 6.0, 6.0], "ACC-2: gradients accumulate\""""


def test_a_violation_reads_as_one_page() -> None:
    assert clause_text(violated("accumulation", 2, SILENT)) == SILENT_TEXT


def test_the_step_that_owed_an_error_is_pointed_at() -> None:
    text = clause_text(violated("data_hazards", 1, MISSING))
    assert "\n  >   6      backward(s)" in text


def test_causes_are_counted() -> None:
    text = clause_text(violated("accumulation", 2, SILENT, LOUD))
    assert "  causes: 1 silently wrong, 1 refused loudly\n" in text


def test_the_report_puts_departures_first_and_lists_every_clause() -> None:
    text = render_text(FAULTY)
    lines = text.splitlines()
    assert lines[0] == "tinytape 0.3.1: Silently wrong on 3 clauses, 5 more violated."
    assert "cut short" in text
    assert text.index("ACC-2 MUST: silently wrong") < text.index("also ACC-8.")
    assert text.index("also ACC-8.") < text.index("Leaf gradients: 8 holds")
    for result in FAULTY.clauses:
        assert any(result.id in line for line in lines)


def test_a_clean_report_is_short() -> None:
    text = render_text(GOOD)
    assert text.splitlines()[0] == "torch 2.13.0+cpu: Every clause holds."
    assert len(text.splitlines()) < 3 * len(GOOD.clauses)
    assert max(len(line) for line in text.splitlines()) <= 80


def test_an_empty_ledger_has_a_report() -> None:
    assert "Nothing was run." in render_text(EMPTY)


def test_control_characters_of_an_engine_do_not_reach_a_terminal() -> None:
    odd = replace(HOSTILE, message="\x1b[2J\x07gone", observed="a\x00b\r", expected="c\td")
    text = clause_text(violated("detach", 1, odd))
    assert not [c for c in text if ord(c) < 32 and c not in "\n\t"]
    assert "\\x1b[2J\\x07gone" in text


def test_a_note_explains_a_status_without_violations() -> None:
    text = clause_text(clause("detach", 7, Status.UNEXERCISED, note="Nothing reached it."))
    assert text.splitlines()[0] == "DET-7 MUST: unexercised"
    assert "  Nothing reached it." in text
