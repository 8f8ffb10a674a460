"""Many samples of one function: every formula is checked, and no circumstance goes unasked."""

from __future__ import annotations

import pytest
import torch

from benchmarks.gradcheck.behaviours import BEHAVIOURS
from benchmarks.gradcheck.formulas import FORMULAS
from conformance.gradient_check import Sweep, Verdict, gradcheck
from tests.conformance.gradient_check.test_gradcheck import function, normal

SECOND = [p for p in (*FORMULAS, *BEHAVIOURS) if p.order == 1][::6]


def test_only_the_first_of_like_samples_is_asked_everything() -> None:
    sweep = Sweep()
    calls = [sweep.check(torch.sin, (normal(size),)).calls for size in (5, 6, 7)]
    assert calls[0] > 2 * calls[1] == 2 * calls[2]
    assert (sweep.samples, sweep.circumstances, sweep.verdict) == (3, 1, Verdict.PASS)


def test_another_shape_class_layout_or_backward_is_asked_again() -> None:
    sweep = Sweep()
    matrix = normal(4, 3)
    samples = [(torch.sin, normal(5)), (torch.sin, matrix), (torch.sin, matrix.detach().mT)]
    samples += [(torch.sin, normal(1, 3)), (torch.sin, torch.tensor(0.5)), (torch.cos, normal(5))]
    for number, (fn, x) in enumerate(samples, 1):
        sweep.check(fn, (x,))
        assert sweep.circumstances == number


def test_a_wrong_formula_of_a_later_sample_is_found() -> None:
    def backward(g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return g * x.cos() * (1.01 if ((x > 10) & (x < 20)).any() else 1.0)

    late = function(torch.sin, backward)
    sweep = Sweep()
    assert sweep.check(late, (normal(6),)).verdict is Verdict.PASS
    assert sweep.check(late, (normal(6).detach() + 12,)).verdict is Verdict.FAIL
    assert sweep.verdict is Verdict.FAIL


@pytest.mark.parametrize("planted", SECOND, ids=lambda p: f"{p.kind}, {p.name}")
def test_planted_errors_are_found_by_a_sweep_over_right_and_wrong(planted: object) -> None:
    fn, inputs = planted.make()  # type: ignore[attr-defined]
    sweep = Sweep()
    for _ in range(2):
        sweep.check(fn, inputs)
    assert sweep.verdict is Verdict.FAIL


def test_a_question_that_one_sample_skips_is_asked_of_the_next() -> None:
    wrong = function(torch.sin, lambda g, x: g * x.cos() * (1.0 if x.dim() else 2.0))

    def refusing(x: torch.Tensor) -> torch.Tensor:
        if not x.dim():
            raise ValueError("expected dimensions")
        return wrong.apply(x)

    sweep = Sweep()
    assert sweep.check(refusing, (normal(3, 4),)).verdict is Verdict.PASS
    assert sweep.check(wrong, (normal(5),)).reason.startswith("0-d inputs")


def test_what_a_sample_answered_about_other_inputs_is_not_asked_again() -> None:
    sweep = Sweep()
    first = sweep.check(torch.sin, (normal(3, 4),))
    other = sweep.check(torch.sin, (normal(5),))
    assert sweep.circumstances == 2
    names = {probe.name for probe in first.probes} - {probe.name for probe in other.probes}
    assert names == {"tiny inputs", "huge inputs", "larger inputs", "0-d inputs", "empty inputs"}


def test_a_spent_budget_is_said() -> None:
    x = normal(50)
    early = gradcheck(torch.sin, (x,), budget=200)
    assert early.verdict is Verdict.INCONCLUSIVE
    assert early.reason.startswith("budget: the budget of 200 numbers")
    late = gradcheck(torch.sin, (x,), budget=500)
    assert late.verdict is Verdict.PASS
    assert any("the budget was spent" in note for note in late.notes)
    assert {p.outcome for p in late.probes} == {"passed", "skipped"}


def test_an_error_stays_one_where_the_budget_ends_the_search_for_its_place() -> None:
    wrong = function(torch.sin, lambda g, x: g * x.cos() * 1.01)
    result = gradcheck(wrong, (normal(1000),), budget=30_000)
    assert result.verdict is Verdict.FAIL
    assert result.input is None
    assert "random combination of the inputs" in result.reason


def test_huge_inputs_are_as_huge_as_asked() -> None:
    seen: list[float] = []

    def fn(x: torch.Tensor) -> torch.Tensor:
        seen.append(float(x.detach().abs().max()) if x.numel() else 0.0)
        return x * x

    gradcheck(fn, (normal(5).detach().sign(),), huge=2.0**7)
    assert 128 <= max(seen) < 256
