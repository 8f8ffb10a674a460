"""`pytest --pyargs conformance.suite`, run as the author of an engine runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import conformance
from conformance.archive import ledger_text, read_ledger
from conformance.ledger import Ledger
from conformance.verdict import Status

ROOT = Path(__file__).parents[2]
SOUND_TAPE = "tests.engines.sound_tape:SoundTape"
WRONG = "tests.engines.wrong_tapes:Doubled"


def suite(folder: Path, *arguments: object, select: str = "LEAF-1[256]") -> tuple[int, str]:
    (folder / "pytest.ini").write_text(
        "[pytest]\npython_files = spec_*.py\npython_functions = spec_*\nfilterwarnings = error\n",
        encoding="utf-8",
    )
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--pyargs",
            "conformance.suite", "--conformance-profile", "smoke", "--conformance-select", select,
            *map(str, arguments),
        ],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def text(ledger: Ledger) -> str:
    return ledger_text(replace(ledger, machine={}))


@pytest.fixture(scope="module")
def expected() -> str:
    (ledger,) = conformance.run([SOUND_TAPE], "smoke", "LEAF-1[256]", jobs=1)
    return text(ledger)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_pytest_and_run_make_the_same_ledger_whatever_the_processes(
    tmp_path: Path, processes: str, expected: str
) -> None:
    page = tmp_path / "out" / "sound.html"
    code, output = suite(
        tmp_path, "--autograd-engine", SOUND_TAPE, "-n", processes, "--conformance-report", page
    )
    assert code == 0, output
    assert "2 passed, 1 skipped" in output
    assert "tests.engines.sound_tape:SoundTape 0.1: " in output
    assert f"report: {page}" in output
    assert "<html" in page.read_text(encoding="utf-8")
    assert text(read_ledger(page.with_suffix(".json"))) == expected


def test_violations_fail_with_the_whole_story_and_several_engines_are_compared(
    tmp_path: Path,
) -> None:
    code, output = suite(
        tmp_path, "--autograd-engine", SOUND_TAPE, "--autograd-engine", WRONG,
        "--conformance-report", tmp_path / "out" / "all.html", select="LEAF-12",
    )  # fmt: skip
    assert code == 1, output
    assert f"conformance.suite::LEAF-12[{WRONG}]" in output
    for part in ("silently wrong", "expected: ", "observed: ", "program:", "reproduction:"):
        assert part in output
    assert "Traceback" not in output
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name for name in names if name.endswith(".json")] == [
        "tests.engines.sound_tape-SoundTape.json",
        "tests.engines.wrong_tapes-Doubled.json",
    ]
    page = (tmp_path / "out" / "all.html").read_text(encoding="utf-8")
    assert "SoundTape" in page
    assert "Doubled" in page


def test_listed_failures_are_xfailed_and_stale_ones_told(tmp_path: Path) -> None:
    xfails = tmp_path / "xfails.txt"
    xfails.write_text(
        f"LEAF-*  {WRONG}  # doubled\nLEAF-12  {SOUND_TAPE}\nRET-1\nLEAFS-1\n", encoding="utf-8"
    )
    code, output = suite(
        tmp_path, "--autograd-engine", SOUND_TAPE, "--autograd-engine", WRONG, "-rx",
        "--conformance-xfails", xfails,
    )  # fmt: skip
    assert code == 0, output
    assert " xfailed" in output
    assert "lists it (doubled)" in output
    assert f"warning: expected failure 'LEAF-12 {SOUND_TAPE}' (line 2) is stale" in output
    assert "warning: expected failure 'LEAFS-1' (line 4) matches no clause" in output
    assert "RET-1" not in output


def test_advice_that_is_not_followed_is_xfailed(tmp_path: Path) -> None:
    engine = "tests.engines.wrong_tapes:Misnamed"
    code, output = suite(tmp_path, "--autograd-engine", engine, "-rx", select="LEAF-10")
    assert code == 0, output
    assert "1 xfailed" in output
    assert "advice that is not followed (" in output


def test_a_crash_costs_its_item_only(tmp_path: Path) -> None:
    engine = "tests.engines.failing_processes:Killed"
    page = tmp_path / "killed.html"
    code, output = suite(
        tmp_path, "--autograd-engine", engine, "--conformance-report", page, select="LEAF-[12]"
    )
    assert code == 1, output
    assert "crashed: float" in output
    assert "the process died of SIGKILL" in output
    found = read_ledger(page.with_suffix(".json"))
    assert found.clauses[0].status is Status.CRASHED
    assert len(found.clauses) == 2


def test_what_was_deselected_leaves_the_ledger_incomplete(tmp_path: Path) -> None:
    page = tmp_path / "one.html"
    code, output = suite(
        tmp_path, "--autograd-engine", SOUND_TAPE, "-k", "LEAF-15", "--conformance-report", page
    )
    assert code == 0, output
    found = read_ledger(page.with_suffix(".json"))
    assert [row.id for row in found.clauses] == ["LEAF-15"]
    assert not found.run.complete


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "conformance.suite needs an engine: add --autograd-engine E"),
        (["--autograd-engine", "tortch"], "no engine is called 'tortch'; did you mean torch"),
        (["--autograd-engine", "tortch", "-n", "2"], "no engine is called 'tortch'"),
        (
            ["--autograd-engine", "torch", "--conformance-profile", "quick"],
            "no profile is called 'quick'; expected smoke, default, thorough",
        ),
        (
            ["--autograd-engine", "torch", "--conformance-xfails", "none.txt"],
            "cannot read the expected failures 'none.txt'",
        ),
        (
            ["--autograd-engine", "torch", "--conformance-report", "pytest.ini/x.html"],
            "cannot write reports to 'pytest.ini'",
        ),
    ],
)
def test_wrong_usage_ends_the_session_in_one_sentence(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, output = suite(tmp_path, *arguments)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {message}" in output
    assert "Traceback" not in output


def test_the_plugin_is_inert_and_cheap_when_unused() -> None:
    code = (
        "import sys, time, pytest; before = set(sys.modules); start = time.perf_counter()\n"
        "import conformance.pytest_plugin\n"
        "seconds = time.perf_counter() - start\n"
        "print(seconds, *(set(sys.modules) - before))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    seconds = min(float(run.stdout.split()[0]) for run in runs)
    assert seconds < 0.01
    assert set(runs[0].stdout.split()[1:]) == {"conformance", "conformance.pytest_plugin"}
