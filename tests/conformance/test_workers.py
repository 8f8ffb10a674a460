"""Items run in processes of their own: what returns, what dies, what hangs, what is a fault."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.errors import UsageError
from conformance.workers import Lost, Notes, Workers, processors


def double(number: int, notes: Notes) -> int:
    return 2 * number


def end(how: str, notes: Notes) -> str:
    notes.write("a long first note that the second one replaces")
    notes.write(how)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exit":
        os._exit(7)
    if how == "system-exit":
        sys.exit(3)
    if how == "sleep":
        time.sleep(60)
    if how == "fault":
        raise LookupError("the harness is wrong")
    if how == "mistake":
        raise UsageError("the user is wrong")
    return f"{how} returned"


def threads(notes: Notes) -> str:
    return os.environ["OMP_NUM_THREADS"]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1) as pool:
        yield pool


def test_results_come_with_the_places_of_their_items(workers: Workers) -> None:
    ends = sorted(workers.run(double, [(1,), (2,), (3,)], 30), key=lambda done: done.index)
    assert [(done.index, done.result) for done in ends] == [(0, 2), (1, 4), (2, 6)]
    assert all(0 <= done.seconds < 5 for done in ends)


@pytest.mark.parametrize(
    ("how", "detail"),
    [
        ("kill", "the process died of SIGKILL"),
        ("exit", "the process ended with exit code 7"),
        ("system-exit", "raised SystemExit"),
    ],
)
def test_a_death_costs_its_item_only(workers: Workers, how: str, detail: str) -> None:
    ends = {done.index: done.result for done in workers.run(end, [(how,), ("well",)], 30)}
    assert ends == {0: Lost("crashed", detail, how), 1: "well returned"}


def test_a_hang_costs_its_item_only(workers: Workers) -> None:
    ends = {done.index: done.result for done in workers.run(end, [("sleep",), ("well",)], 1)}
    assert ends == {0: Lost("timed-out", "no answer within 1 s", "sleep"), 1: "well returned"}


def test_an_exception_is_a_fault_of_the_harness_that_costs_its_item_only(
    workers: Workers,
) -> None:
    ends = {done.index: done.result for done in workers.run(end, [("fault",), ("well",)], 30)}
    fault = Lost("faulted", "LookupError: the harness is wrong", "fault")
    assert ends == {0: fault, 1: "well returned"}
    with pytest.raises(UsageError, match="the user is wrong"):
        list(workers.run(end, [("mistake",)], 30))
    assert [done.result for done in workers.run(double, [(4,)], 30)] == [8]


def test_processes_compute_in_one_thread(workers: Workers) -> None:
    assert [done.result for done in workers.run(threads, [()], 30)] == ["1"]


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from conformance.workers import Workers\n"
        "from tests.conformance.test_workers import double\n"
        "print('ran')\n"
        "with Workers(1) as pool:\n"
        "    print([done.result for done in pool.run(double, [(21,)], 30)])\n",
        encoding="utf-8",
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "ran\n[42]\n"), done.stderr


def test_there_is_at_least_one_processor() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)
