"""`new-adapter`: what it writes runs at once, departs from nothing, and is never written over."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from conformance.adapters.load import load_engine
from conformance.cli import main
from conformance.cli.adapting import PROFILES
from conformance.examine import examine
from conformance.judge import judge
from conformance.spec import clause, clauses
from conformance.verdict import Outcome, Status


def new_adapter(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["new-adapter", *arguments])
    return int(str(ended.value.code)), out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])


@pytest.mark.parametrize("profile", PROFILES)
def test_a_skeleton_runs_and_departs_from_nothing(profile: str, tmp_path: Path) -> None:
    stem = profile.replace("-", "_")
    code, out, _ = new_adapter(f"My-{profile}", "--profile", profile)
    assert code == 0
    kind = "server" if profile == "process" else "adapter"
    path = tmp_path / f"my_{stem}_{kind}.py"
    assert f"wrote {path.name}" in out
    engine = f"process:{sys.executable} {path.name}"
    if profile != "process":
        class_name = "My" + profile.title().replace("-", "")
        engine = f"my_{stem}_adapter:{class_name}"
        assert f"--engine '{engine}'" in out
    loaded = load_engine(engine)
    asked = [row for row in clauses() if row.needs <= loaded.session().capabilities]
    findings = [judge(loaded, program) for row in asked for program in row.scenarios]
    assert [f.message for f in findings if f.outcome is Outcome.VIOLATED] == []
    assert sum(f.outcome is Outcome.HOLDS for f in findings) >= 8
    assert examine(loaded, clause("LEAF-1"), "smoke", 0).status is Status.HOLDS


def test_the_workflow_runs_the_adapter(tmp_path: Path) -> None:
    new_adapter("my-engine", "--profile", "functional", "--out", "deep/down")
    folder = tmp_path / "deep" / "down"
    text = (folder / ".github" / "workflows" / "my_engine-conformance.yml").read_text()
    assert "autograd-conformance run --engine 'my_engine_adapter:MyEngine' --out" in text
    assert "pip install autograd-conformance .  # and your engine" in text
    assert (folder / "my_engine_adapter.py").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "my_engine_adapter.py"
    path.write_text("precious", encoding="utf-8")
    code, _, err = new_adapter("my-engine")
    assert code == 2
    assert "'my_engine_adapter.py' exists and is not overwritten" in err
    assert path.read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / ".github").exists()


@pytest.mark.parametrize("name", ["", "3d", "...", "class"])
def test_a_name_that_names_no_module_is_refused(name: str) -> None:
    code, _, err = new_adapter(name)
    assert code == 2
    assert "cannot name a Python module" in err
