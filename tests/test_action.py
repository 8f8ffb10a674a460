"""The GitHub Action: its inputs reach the command as they are, and nothing is pasted into shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "action.yml").read_text(encoding="utf-8")
SCRIPTS = [
    textwrap.dedent(script)
    for script in re.findall(r"^      run: \|\n((?:        .*\n|\n)+)", TEXT, flags=re.MULTILINE)
]
FAKE = '#!/bin/sh\nprintf "%s\\n" "$(basename "$0")" "$@" >> "$RECORD"\n'

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


def ran(script: str, folder: Path, **environment: str) -> list[str]:
    for name in ("autograd-conformance", "python"):
        (folder / name).write_text(FAKE)
        (folder / name).chmod(0o755)
    subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-u", "-c", script],
        check=True,
        cwd=folder,
        env={
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "RECORD": str(folder / "record"),
            "GITHUB_OUTPUT": str(folder / "output"),
            **environment,
        },
    )
    return (folder / "record").read_text().splitlines()


def test_every_input_is_used_and_declared() -> None:
    declared = re.findall(r"^  ([\w-]+):\n    description", TEXT.split("outputs:")[0], re.MULTILINE)
    assert set(re.findall(r"inputs\.([\w-]+)", TEXT)) == set(declared)


def test_no_expression_stands_in_a_script() -> None:
    assert len(SCRIPTS) == 2
    assert not any("${{" in script for script in SCRIPTS)


def test_the_run_step_hands_the_inputs_over(tmp_path: Path) -> None:
    given = {
        "ENGINE": "process:node a b.js; echo $(id)", "PROFILE": "smoke", "SELECT": "ACC*",
        "XFAILS": "known failures.txt", "BASELINE": "", "OUT": "report",
    }  # fmt: skip
    assert ran(SCRIPTS[1], tmp_path, **given) == [
        "autograd-conformance", "run", "--engine", "process:node a b.js; echo $(id)", "--profile",
        "smoke", "--select", "ACC*", "--out", "report", "--xfails", "known failures.txt",
    ]  # fmt: skip
    assert (tmp_path / "output").read_text() == "report-path=report\n"


def test_the_install_step_installs_the_tool_and_the_engine(tmp_path: Path) -> None:
    found = ran(SCRIPTS[0], tmp_path, INSTALL=". numpy<3", ACTION="/the action")
    assert found == ["python", "-m", "pip", "install", "--quiet", "/the action", ".", "numpy<3"]
