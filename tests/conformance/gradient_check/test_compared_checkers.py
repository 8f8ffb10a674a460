"""The benchmark's columns: those installed are asked, those missing are named."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from benchmarks.gradcheck import checkers
from benchmarks.gradcheck.behaviours import BEHAVIOURS
from benchmarks.gradcheck.catch_rate import asked, counted
from benchmarks.gradcheck.checkers import CHECKERS, heading, installed, say_which
from benchmarks.gradcheck.functional_peers import CAUGHT


def test_a_library_that_is_missing_is_named_and_has_no_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        checkers, "find_spec", lambda name: None if name == "jax" else find_spec("torch")
    )
    say_which()
    columns, *missing = capsys.readouterr().out.splitlines()
    assert columns == "columns: ours, torch slow, torch fast, HIPS autograd, numdifftools"
    assert len(missing) == 1
    assert "JAX: jax is not installed" in missing[0]
    assert "JAX" not in heading("")
    assert "HIPS autograd" in heading("")


def test_what_a_library_cannot_express_is_not_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        checkers, "find_spec", lambda name: find_spec("torch") if name == "torch" else None
    )
    jax = next(checker for checker in CHECKERS if checker.name == "JAX")
    strides = [p for p in BEHAVIOURS if p.kind == "expanded cotangent"]
    assert strides
    assert asked(jax, strides) == {}
    answers = {checker.name: asked(checker, strides) for checker in installed()}
    assert counted("strides", answers, strides).split() == ["strides", "2/2", "0/2", "0/2"]
    assert counted("strides", {**answers, "torch fast": {}}, strides).split()[-1] == "-"


def test_every_checker_has_formula_errors_of_its_own() -> None:
    assert list(CAUGHT) == [checker.name for checker in CHECKERS]
