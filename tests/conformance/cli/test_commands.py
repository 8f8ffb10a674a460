"""The command line as a user meets it: what it prints, what it writes, how it exits."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.archive import read_ledger, write_ledger
from conformance.cli import main
from conformance.verdict import Status
from tests.conformance.samples import ledger, result

SOUND_TAPE = "tests.engines.sound_tape:SoundTape"
WRONG = "tests.engines.wrong_tapes"
DOUBLED = f"{WRONG}:Doubled"

Ended = tuple[int, str, str]


@pytest.fixture(autouse=True, scope="module")
def _wide() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        yield


def command(*arguments: object) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    return int(str(ended.value.code)), out.getvalue(), err.getvalue()


def run(out: Path, engine: str, *more: object) -> Ended:
    return command(
        "run", "--engine", engine, "--profile", "smoke", "--select", "LEAF-1[25]", "-n", 1,
        "--out", out, *more,
    )  # fmt: skip


@dataclass(frozen=True)
class WrongRun:
    """A run of the doubled engine: how it ended, and the ledger that it left."""

    ended: Ended
    path: Path


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> WrongRun:
    folder = tmp_path_factory.mktemp("wrong")
    return WrongRun(run(folder, DOUBLED), folder / "tests.engines.wrong_tapes-Doubled.json")


def test_a_run_of_a_sound_engine_writes_its_ledger_its_page_and_the_index(tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "new" / "reports", SOUND_TAPE)
    assert (code, err) == (0, "")
    assert f"2 clauses on {SOUND_TAPE}" in out
    assert "Leaves" in out
    stem = "tests.engines.sound_tape-SoundTape"
    names = sorted(path.name for path in (tmp_path / "new" / "reports").iterdir())
    assert names == ["index.html", "specification.html", f"{stem}.html", f"{stem}.json"]
    found = read_ledger(tmp_path / "new" / "reports" / f"{stem}.json")
    assert [row.id for row in found.clauses] == ["LEAF-12", "LEAF-15"]


def test_a_run_of_a_wrong_engine_says_so_first_and_exits_with_1(wrong: WrongRun) -> None:
    code, out, _ = wrong.ended
    assert code == 1
    lines = out.splitlines()
    first = next(n for n, line in enumerate(lines) if "silently wrong" in line)
    themes = next(n for n, line in enumerate(lines) if line.strip().startswith("theme"))
    assert first < themes
    assert "1 MUST clause fails this run." in out


def test_listed_failures_do_not_fail_the_run_and_stale_ones_are_told(tmp_path: Path) -> None:
    xfails, junit = tmp_path / "xfails.txt", tmp_path / "ci" / "junit.xml"
    xfails.write_text(
        f"LEAF-*  {DOUBLED}  # doubled\nLEAF-*  {SOUND_TAPE}\nRET-1\nLEAFS-1\n", encoding="utf-8"
    )
    code, out, _ = run(
        tmp_path, DOUBLED, "--engine", SOUND_TAPE, "--xfails", xfails, "--junit", junit
    )
    assert code == 0
    assert "expected, as line 1 of the expected failures lists it (doubled): " in out
    assert f"warning: expected failure 'LEAF-* {SOUND_TAPE}' (line 2) is stale" in out
    assert "warning: expected failure 'LEAFS-1' (line 4) matches no clause" in out
    assert out.count("warning: ") == 2
    assert "MUST clause silently wrong, expected" in junit.read_text(encoding="utf-8")


def test_a_baseline_lets_known_violations_pass(wrong: WrongRun, tmp_path: Path) -> None:
    other = write_ledger(ledger(engine="jax"), tmp_path / "jax.json")
    code, out, _ = run(tmp_path, DOUBLED, "--baseline", wrong.path, "--baseline", other)
    assert code == 0
    assert "expected, as the baseline has it already: " in out
    assert "All MUST clauses that are not met were expected to fail." in " ".join(out.split())
    assert "warning: the baseline of 'jax' was not used" in out


def test_replay_tells_fixed_from_still_violated(wrong: WrongRun) -> None:
    number = sum(len(row.violations) for row in read_ledger(wrong.path).clauses)
    code, out, _ = command("replay", wrong.path)
    assert (code, out.count("still violated ")) == (1, number)
    assert f"0 of {number} recorded violations are fixed" in out
    code, out, _ = command("replay", wrong.path, "--engine", SOUND_TAPE)
    assert (code, out.count("fixed   ")) == (0, number)
    assert f"{number} of {number} recorded violations are fixed" in out


def test_advice_that_is_not_followed_is_told_and_does_not_fail_the_run(tmp_path: Path) -> None:
    code, out, _ = command(
        "run", "--engine", f"{WRONG}:Misnamed", "--profile", "smoke", "--select", "LEAF-10",
        "--out", tmp_path,
    )  # fmt: skip
    assert code == 0
    assert "SHOULD" in out
    assert "Mystery" in out
    assert "this run" not in out


def test_report_rebuilds_pages_from_ledgers_alone(tmp_path: Path) -> None:
    one = write_ledger(ledger(result("ACC-1")), tmp_path / "1.json")
    two = write_ledger(ledger(result("ACC-1", Status.VIOLATED, "a"), engine="jax"), tmp_path / "2")
    code, out, _ = command("report", one, two, "--out", tmp_path / "pages")
    assert code == 0
    assert out == f"report: {tmp_path / 'pages' / 'index.html'}\n"
    names = sorted(path.name for path in (tmp_path / "pages").iterdir())
    assert names == ["index.html", "jax.html", "specification.html", "torch.html"]


def test_diff_names_regressions_and_fixes(tmp_path: Path) -> None:
    old = write_ledger(
        ledger(result("ACC-1", Status.VIOLATED, "a"), result("ACC-2")), tmp_path / "o"
    )
    new = write_ledger(
        ledger(result("ACC-1"), result("ACC-2", Status.VIOLATED, "b")), tmp_path / "n"
    )
    code, out, _ = command("diff", old, new)
    assert code == 1
    assert "Regressions\n  ACC-2 MUST (holds → violated) b: grad(x)" in out
    assert "Fixes\n  ACC-1 MUST (violated → holds) a: grad(x)" in out
    assert "1 regression, 1 fix, 0 other changes" in out
    assert command("diff", old, old)[0] == 0


def test_engines_says_what_is_installed_and_what_it_can_do() -> None:
    code, out, _ = command("engines")
    assert code == 0
    assert "reference" in out
    assert "torch 2." in out
    assert "retain_grad" in out
    assert "operations: 45 of 45 of the catalogue, " in out


def test_spec_lists_matches_and_explains() -> None:
    code, everything, _ = command("spec")
    assert code == 0
    assert "Leaves" in everything
    assert "ACC-2" in everything
    matches = command("spec", "acc-*")[1]
    assert "ACC-2" in matches
    assert "LEAF-1" not in matches
    one = command("spec", "ACC-2")[1]
    assert one.startswith("ACC-2 MUST ")
    for part in ("Why: ", "Source: https://", "Scenario 1", "backward("):
        assert part in one


DAMAGED = {"schema": 1, "tool": {}}
FUTURE = {"schema": 99}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "--engine", "tortch"], 3, "no engine is called 'tortch'; did you mean torch"),
        (["run", "--engine", "no.such:E"], 3, "cannot import no.such"),
        (["run", "--engine", "json:loads"], 3, "'json:loads'"),
        (["run", "--engine", "tests.engines.wrong_tapes:Nothing"], 3, "has no attribute 'Nothing'"),
        (["run", "--engine", "tests.engines.wrong_tapes:Halved"], 3, "does not define numpy()"),
        (["run", "--engine", "torch[device=cuda:9]"], 3, "'torch[device=cuda:9]': device 'cuda:9'"),
        (["run", "--engine", "torch[colour=red]"], 3, "unknown option 'colour'"),
        (["run", "--select", "ACK-*"], 2, "no clause matches 'ACK-*'"),
        (["run", "--profile", "quick"], 2, "'quick' is not one of 'smoke', 'default', 'thorough'"),
        (["run", "-n", "none"], 2, "'none' is not a number of processes; give 1 or more, or auto"),
        (["run", "--seed", "x"], 2, "'x' is not a valid integer"),
        (["run", "--out", "FILE"], 2, "cannot write reports to"),
        (["run", "--xfails", "MISSING"], 2, "cannot read the expected failures"),
        (["run", "--baseline", "MISSING"], 2, "cannot read the ledger"),
        (["run", "--baseline", "DAMAGED"], 2, "is damaged or is no ledger"),
        (
            ["run", "--baseline", "FUTURE"],
            2,
            "has ledger schema 99, and this version reads up to 1",
        ),
        (["spec", "ACC-77"], 2, "no clause has the id 'ACC-77'; did you mean "),
        (["replay", "DAMAGED"], 2, "is damaged or is no ledger: at $: 'engine' is a required"),
        (["replay", "FUTURE"], 2, "upgrade autograd-conformance"),
        (["replay", "SOUND", "--engine", "tortch"], 3, "did you mean torch"),
        (["report", "DAMAGED", "--out", "PAGES"], 2, "is damaged or is no ledger"),
        (["report", "SOUND", "--out", "FILE"], 2, "cannot write reports to"),
        (["diff", "SOUND", "MISSING"], 2, "cannot read the ledger"),
        (["frobnicate"], 2, "No such command 'frobnicate'"),
    ],
)
def test_bad_input_is_one_sentence_the_right_code_and_nothing_overwritten(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    places = {name: tmp_path / name for name in ("FILE", "MISSING", "DAMAGED", "FUTURE", "PAGES")}
    places["FILE"].write_text("kept", encoding="utf-8")
    places["DAMAGED"].write_text(json.dumps(DAMAGED), encoding="utf-8")
    places["FUTURE"].write_text(json.dumps(FUTURE), encoding="utf-8")
    places["SOUND"] = write_ledger(
        ledger(result("ACC-1", Status.VIOLATED, "a")), tmp_path / "SOUND"
    )
    if arguments[0] == "run" and "--out" not in arguments:
        arguments = [*arguments, "--out", str(tmp_path / "reports")]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found, out, err = command(*(places.get(word, word) for word in arguments))
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("Error: ")
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before
    assert list(tmp_path.glob("reports/*")) == []


def test_a_fault_of_the_harness_is_told_from_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("conformance.cli.listing.available_engines", broken)
    code, _, err = command("engines")
    assert code == 70
    assert "ZeroDivisionError: a bug" in err
    assert err.endswith("please report it with the lines above.\n")


def test_an_interrupted_run_keeps_what_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("conformance.cli.progress.LiveProgress.finished", interrupt)
    code, out, err = run(tmp_path, SOUND_TAPE)
    assert (code, err) == (130, "Interrupted.\n")
    assert "The run was cut short." in out
    found = read_ledger(tmp_path / "tests.engines.sound_tape-SoundTape.json")
    assert (found.run.complete, len(found.clauses)) == (False, 1)


def test_an_adapter_is_found_in_the_folder_where_its_author_stands(tmp_path: Path) -> None:
    (tmp_path / "my_engine.py").write_text(
        "import numpy as np\n"
        "from conformance import TapeEngine, Unsupported\n"
        "class Mine(TapeEngine):\n"
        "    def tensor(self, array, requires_grad=False): return array\n"
        "    def numpy(self, tensor): return tensor\n"
        "    def apply(self, op, *tensors, **params): raise Unsupported(op)\n"
        "    def backward(self, tensor, gradient=None): pass\n"
        "    def grad(self, tensor): return None\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            sys.executable, "-I", "-c", "from conformance.cli import main; main()", "run",
            "--engine", "my_engine:Mine", "--profile", "smoke", "--select", "LEAF-8",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_ledger(tmp_path / "reports" / "my_engine-Mine.json")
    assert found.clauses[0].status is Status.UNSUPPORTED


@pytest.mark.parametrize("program", [["-m", "conformance"], ["-m", "conformance.cli"]])
def test_the_package_runs_as_a_module(program: list[str]) -> None:
    if program == ["-m", "conformance.cli"]:
        program = ["-c", "from conformance.cli import main; main()"]
    done = subprocess.run(
        [sys.executable, *program, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("autograd-conformance, version ")
