"""Engines in processes of their own: what comes back, and what is made of servers gone wrong."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conformance.adapters import process_engine
from conformance.adapters.load import load_engine
from conformance.adapters.remote import EngineLost
from conformance.errors import EngineLoadError
from conformance.execute import execute
from conformance.item import examine_item
from conformance.judge import judge
from conformance.notation import parse
from conformance.reproduce import script
from conformance.spec import clause
from conformance.verdict import Kind, Outcome, Status
from conformance.workers import Notes

ROOT = Path(__file__).resolve().parents[3]
HERE = f"[python={sys.executable}]"
NUMPY = ("reference", f"reference{HERE}")
ONE = parse("x = leaf(1.0)\nvalue(x)")


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_environment_names_the_python_of_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOGRAD_PYTHONS", f"other=/no/such,reference={sys.executable}")
    engine = load_engine("reference")
    assert isinstance(engine, process_engine.ProcessEngine)
    assert engine.name == "reference"
    assert execute(engine, ONE).events[-1].value == 1.0
    assert not isinstance(load_engine("torch"), process_engine.ProcessEngine)


def wayward(mode: str, timeout: float = 5.0) -> str:
    command = shlex.join([sys.executable, "-S", "tests/engines/wayward_server.py", mode])
    return f"process[timeout={timeout:g}]:{command}"


def test_the_findings_are_those_of_the_engine_in_this_process() -> None:
    name = "tests.engines.wrong_tapes:Doubled"
    here, elsewhere = load_engine(name), load_engine(name + HERE)
    assert elsewhere.capabilities == here.capabilities
    outcomes = set()
    for identifier in ("LEAF-1", "ACC-1", "DET-1"):
        for program in clause(identifier).scenarios:
            mine, theirs = judge(here, program), judge(elsewhere, program)
            assert replace(theirs, message=theirs.message.replace(HERE, "")) == mine
            outcomes.add(mine.outcome)
    assert outcomes >= {Outcome.VIOLATED, Outcome.UNSUPPORTED}


def test_a_step_may_compare_and_refuse_and_be_skipped() -> None:
    program = parse("""
        x = leaf([1.0, 2.0], requires_grad=True)
        with no_grad():
            y = mul(x, other=2.0)
            raise
        assert value(y) == x
        with raises():
            backward(y, gradient=[1.0, 1.0])
        z = no_such_operation(x)
        value(z)
    """)
    mine, theirs = (execute(load_engine(n), program).events for n in NUMPY)
    assert [(e.step, e.verb, e.describe()) for e in mine] == [
        (e.step, e.verb, e.describe()) for e in theirs
    ]
    assert theirs[4].expected is not None
    np.testing.assert_array_equal(theirs[4].expected, [1.0, 2.0], strict=True)
    assert theirs[5].refusal is not None
    assert theirs[7].skipped


def test_what_the_engine_prints_is_kept_apart() -> None:
    program = parse("x = leaf([2.0])\nc = leaf([3.0])\ny = mul(x, c)\nvalue(y)")
    event = execute(load_engine(f"tests.engines.noisy_tape:NoisyTape{HERE}"), program).events[-1]
    np.testing.assert_array_equal(event.value, [6.0])  # type: ignore[arg-type]


def test_one_server_serves_all_adapters_of_a_process() -> None:
    first, second = (load_engine(wayward("good")) for _ in range(2))
    assert execute(first, ONE).events[1].describe() == execute(second, ONE).events[1].describe()
    commands = [command for command in process_engine._servers if command[-1] == "good"]
    assert len(commands) == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (wayward("old"), "it speaks version 0 of the protocol, this tool version 1"),
        (wayward("refusing"), "no licence was found"),
        (wayward("nameless"), "its hello cannot be read: it has no member `engine`"),
        (wayward("odd-dtype"), "`dtypes` holds 'float65'"),
        (wayward("no-dtypes"), "`dtypes` is empty"),
        (wayward("odd-limit"), "`limit` is 'much', not a number of bytes"),
        (wayward("early-leaving"), "ended with exit code 4; it last wrote to standard error: 'see"),
        (wayward("early-dying"), "the process died of SIGKILL"),
        (wayward("early-garbage"), "'Loading weights...' is not JSON"),
        ("process:no-such-command", "'no-such-command' cannot be started"),
        ("process:", "no command is given"),
        ("process:'", "cannot be split"),
        ("process[timeout=soon]:true", "timeout 'soon' is not a number of seconds"),
        ("process[colour=red]:true", "unknown option colour; `process` takes: timeout"),
        (f"no.such.module:Engine{HERE}", "cannot import no.such.module"),
        (f"tests.engines.tiny_tape:TinyTape[size=3,python={sys.executable}]", "option 'size'"),
    ],
)
def test_a_server_that_greets_wrongly_is_not_loaded(name: str, sentence: str) -> None:
    with pytest.raises(EngineLoadError, match=re.escape(sentence)) as caught:
        load_engine(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "how", "detail"),
    [
        ("dying", "crashed", "the process died of SIGKILL"),
        ("leaving", "crashed", "the process ended with exit code 4"),
        ("garbage", "crashed", "breaks the protocol: 'Loading weights...' is not JSON"),
        ("list", "crashed", "'[1, 2]' is not a JSON object"),
        ("closing", "crashed", "closed its standard output and went on"),
        ("few-events", "crashed", "1 events for a program of 2 steps"),
        ("no-events", "crashed", "no events for a program of 2 steps"),
        ("odd-event", "crashed", "step 1 (value): 7 is not an event"),
        ("no-value", "crashed", "step 1 (value): a value is due"),
        ("odd-value", "crashed", "step 1 (value): bool is not what this verb observes"),
        ("short-array", "crashed", "8 bytes are no array of dtype float64 and shape [3]"),
        ("odd-refusal", "crashed", "a refusal has a category"),
        ("other-id", "crashed", "a reply has id 99"),
        ("refusing-run", "crashed", "it cannot read a program: too tired"),
    ],
)
def test_a_server_that_goes_wrong_loses_its_engine(mode: str, how: str, detail: str) -> None:
    engine = load_engine(wayward(mode))
    with pytest.raises(EngineLost, match=re.escape(detail)) as caught:
        execute(engine, ONE)
    assert caught.value.how == how
    assert caught.value.program == ONE
    with pytest.raises(EngineLost):  # a new server was started, which does the same
        execute(engine, ONE)


def test_a_server_that_hangs_is_ended_in_time() -> None:
    engine = load_engine(wayward("hanging", timeout=0.3))
    started = time.monotonic()
    with pytest.raises(EngineLost, match=r"no answer within 0\.3 s") as caught:
        execute(engine, ONE)
    assert caught.value.how == "timed-out"
    assert time.monotonic() - started < 3.0


def test_a_line_without_end_is_cut_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_engine, "LIMIT", 1 << 20)
    with pytest.raises(EngineLost, match="a line of more than 1048576 bytes"):
        execute(load_engine(wayward("endless")), ONE)


def test_noise_on_standard_error_blocks_nothing() -> None:
    assert execute(load_engine(wayward("loud")), ONE).events[1].describe() == "1."


def test_what_is_over_a_limit_is_unsupported() -> None:
    large = parse("x = leaf(shape=(100, 100), seed=0)\nvalue(x)")
    mine = execute(load_engine(wayward("good")), large).unsupported
    theirs = execute(load_engine(wayward("too-long")), ONE).unsupported
    assert mine is not None
    assert re.fullmatch(r"the program has \d+ bytes; the server takes 4096", mine.message)
    assert theirs is not None
    assert theirs.message == "the answer is too long"


@pytest.mark.parametrize(
    ("adapter", "status", "kind"),
    [("Killed", Status.CRASHED, Kind.CRASHED), ("Hanging", Status.TIMED_OUT, Kind.TIMED_OUT)],
)
def test_a_lost_engine_costs_its_clause(
    adapter: str, status: Status, kind: Kind, tmp_path: Path
) -> None:
    name = f"tests.engines.failing_processes:{adapter}[timeout=0.5,python={sys.executable}]"
    found = examine_item(name, "LEAF-1", "smoke", 0, {}, Notes(tmp_path / "note")).clause
    assert found.status is status
    assert [violation.kind for violation in found.violations] == [kind]
    assert "mul(" in found.violations[0].text


def test_a_script_judges_the_program_anew() -> None:
    engine = load_engine(f"tests.engines.tiny_tape:TinyTape{HERE}")
    text = script(engine, ONE, "float64")
    assert "judge(load_engine(" in text
    assert engine.name in text


def test_a_hanging_server_does_not_outlive_this_tool() -> None:
    code = (
        "import sys\n"
        "from conformance.adapters import load, process_engine\n"
        "from conformance.execute import execute\n"
        "from conformance.notation import parse\n"
        "engine = load.load_engine(sys.argv[1])\n"
        "print(*(s._process.pid for s in process_engine._servers.values()), flush=True)\n"
        "execute(engine, parse('x = leaf(1.0)\\ny = mul(x, x)'))\n"
    )
    name = f"tests.engines.failing_processes:Hanging[timeout=60,python={sys.executable}]"
    with subprocess.Popen(
        [sys.executable, "-c", code, name], stdout=subprocess.PIPE, text=True
    ) as tool:
        assert tool.stdout is not None
        server = Path("/proc") / tool.stdout.readline().strip()
        time.sleep(0.2)  # the server is in its program by then
        tool.kill()
    if not Path("/proc/self").exists():
        pytest.skip("processes are looked up in /proc")
    deadline = time.monotonic() + 10.0
    while server.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not server.exists()
