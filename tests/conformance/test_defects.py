"""The recorded defects: each script shows its defect where the engine is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import spec
from conformance.adapters.load import BUILT_IN
from conformance.defects import Defect, defects
from conformance.defects.__main__ import findings

ROOT = Path(__file__).resolve().parents[2]
ENGINES = Path(os.environ.get("AUTOGRAD_ENGINES", "/opt/engines"))
"""A folder of virtual environments, one named after each engine, used beside this one."""


def interpreter(engine: str) -> str | None:
    if importlib.util.find_spec(engine) is not None:
        return sys.executable
    own = ENGINES / engine / "bin" / "python"
    return str(own) if own.exists() else None


@pytest.mark.parametrize("defect", defects(), ids=lambda defect: defect.id)
def test_a_script_shows_its_defect(defect: Defect, tmp_path: Path) -> None:
    python = interpreter(defect.engine)
    if python is None:
        pytest.skip(f"{defect.engine} is not installed, here or under {ENGINES}")
    ran = subprocess.run(
        [python, "-c", defect.script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    assert "ModuleNotFoundError" not in ran.stderr, ran.stderr
    assert "SyntaxError" not in ran.stderr, ran.stderr


@pytest.mark.parametrize("defect", defects(), ids=lambda defect: defect.id)
def test_a_defect_names_an_engine_and_clauses_that_exist(defect: Defect) -> None:
    assert defect.engine in BUILT_IN
    assert defect.clauses
    for clause in defect.clauses:
        assert spec.clause(clause).level.value == "MUST"
    assert "conformance" not in defect.script, "a reproduction needs the engine alone"
    compile(defect.script, defect.id, "exec")


def test_numbers_are_used_once() -> None:
    ids = [defect.id for defect in defects()]
    assert len(set(ids)) == len(ids)


def test_the_document_of_findings_is_up_to_date() -> None:
    written = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    assert written == findings(), "run `python -m conformance.defects > docs/findings.md`"
