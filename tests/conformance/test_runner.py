"""Runs: the same ledger for any number of processes, and verdicts on engines that die or hang."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import conformance
from conformance.archive import ledger_text
from conformance.errors import EngineLoadError, UsageError
from conformance.ledger import EngineFacts, Ledger
from conformance.program import from_json
from conformance.runner import Plan, Run
from conformance.verdict import ClauseResult, Kind, Status

SOUND_TAPE = "tests.engines.sound_tape:SoundTape"
FAILING = "tests.engines.failing_processes"
ROOT = Path(__file__).parents[2]


def text(ledger: Ledger) -> str:
    return ledger_text(replace(ledger, machine={}))


class Listener:
    def __init__(self) -> None:
        self.engines: list[str] = []
        self.clauses: list[str] = []

    def started(self, engines: Sequence[EngineFacts], clauses: int) -> None:
        self.engines = [engine.name for engine in engines]
        assert clauses == 3

    def finished(self, engine: str, result: ClauseResult) -> None:
        self.clauses.append(f"{engine} {result.id}")


def test_a_run_judges_every_clause_on_every_engine_and_says_so() -> None:
    listener = Listener()
    ledgers = conformance.run(
        [SOUND_TAPE, "torch"], "smoke", "LEAF-[267]", jobs=1, progress=listener
    )
    assert [ledger.engine.name for ledger in ledgers] == [SOUND_TAPE, "torch"] == listener.engines
    assert [result.id for result in ledgers[1].clauses] == ["LEAF-2", "LEAF-6", "LEAF-7"]
    assert sorted(listener.clauses) == sorted(
        f"{engine} LEAF-{n}" for engine in (SOUND_TAPE, "torch") for n in (2, 6, 7)
    )
    torch = ledgers[1]
    assert {result.status for result in torch.clauses} == {Status.HOLDS}
    assert (torch.run.profile, torch.run.seed, torch.run.select) == ("smoke", 0, "LEAF-[267]")
    assert torch.run.complete
    assert torch.engine.adapter == "conformance.adapters.torch_engine.TorchEngine"
    assert "backward" in torch.engine.capabilities
    assert list(torch.engine.capabilities) == sorted(torch.engine.capabilities)
    assert [row.name for row in torch.operations] == sorted({row.name for row in torch.operations})
    assert set(torch.machine["clause_seconds"]) == {"LEAF-2", "LEAF-6", "LEAF-7"}  # type: ignore[arg-type]


def test_one_process_and_two_and_another_hash_seed_give_the_same_ledger(tmp_path: Path) -> None:
    (one,) = conformance.run([SOUND_TAPE], "smoke", "[AL]*-[2-4]", seed=7, jobs=1)
    code = (
        "import conformance; from tests.conformance.test_runner import SOUND_TAPE, text;"
        "ledger, = conformance.run([SOUND_TAPE], 'smoke', '[AL]*-[2-4]', seed=7, jobs=2);"
        "print(text(ledger), end='')"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "12345",
    }
    other = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout == text(one)


def test_an_engine_that_ends_its_process_costs_its_clause_only() -> None:
    ends = {
        "Killed": "the process died of SIGKILL",
        "Aborted": "the process died of SIGABRT",
        "Exiting": "raised SystemExit",
    }
    engines = [f"{FAILING}:{name}" for name in ends]
    *ledgers, sound = conformance.run([*engines, SOUND_TAPE], "smoke", "LEAF-2", jobs=2)
    for ledger, message in zip(ledgers, ends.values(), strict=True):
        lost, probe = ledger.clauses
        assert lost.status is Status.CRASHED
        assert_named(lost, Kind.CRASHED, message)
        assert (probe.id, probe.status) == ("PROBE", Status.CRASHED)
        assert {v.message.split("; ")[0] for v in probe.violations} == {
            f"{message} while the engine was probed for {name}" for name in ("mul", "mul.other")
        }
        assert ledger_text(ledger)
    assert sound.clauses[0].status is Status.HOLDS


def test_an_engine_that_dies_while_it_is_probed_loses_what_it_was_probed_for_only() -> None:
    (ledger,) = conformance.run([f"{FAILING}:DyingOfSine"], "smoke", "LEAF-1", jobs=1)
    clause, probe = ledger.clauses
    assert clause.status is not Status.CRASHED
    assert clause.programs > 1
    assert clause.note == (
        "random programs left out what killed the probe: sin (the process died of SIGKILL)"
    )
    (violation,) = probe.violations
    assert violation.kind is Kind.CRASHED
    assert "sin" in from_json(violation.program).operations
    assert violation.message.startswith(
        "the process died of SIGKILL while the engine was probed for sin"
    )


def test_an_engine_that_hangs_is_stopped() -> None:
    (ledger,) = conformance.run([f"{FAILING}:Hanging"], "smoke", "LEAF-2", timeout=5)
    lost = ledger.clauses[0]
    assert lost.status is Status.TIMED_OUT
    assert_named(lost, Kind.TIMED_OUT, "no answer within 5 s")


def assert_named(lost: ClauseResult, kind: Kind, message: str) -> None:
    """Check that the program under way is named, and that its script ends the process too."""
    (violation,) = lost.violations
    assert violation.kind is kind
    assert violation.message.startswith(f"{message} while this program ran")
    assert "mul" in from_json(violation.program).operations
    assert "mul(" in violation.text
    assert "'mul'" in violation.reproduction
    if kind is Kind.CRASHED:
        done = subprocess.run([sys.executable, "-c", violation.reproduction], cwd=ROOT, check=False)
        assert done.returncode not in (0, 1)


def test_an_engine_that_dies_while_it_is_loaded_cannot_be_loaded() -> None:
    with pytest.raises(EngineLoadError, match="exit code 9; import it in a Python of its own"):
        conformance.run([f"{FAILING}:DyingWhenLoaded"], "smoke", "LEAF-2")


def test_an_engine_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(EngineLoadError, match=r"no engine is called 'tortch'.*torch"):
        conformance.run(["torch", "tortch"], "smoke", "LEAF-2")


def test_a_run_cut_short_makes_incomplete_ledgers() -> None:
    class Interrupting(Listener):
        def finished(self, engine: str, result: ClauseResult) -> None:
            raise KeyboardInterrupt

    running = Run(Plan.make(["torch"], "smoke", "LEAF-[267]", jobs=1), Interrupting())
    with pytest.raises(KeyboardInterrupt):
        running.execute()
    (ledger,) = running.ledgers()
    assert not ledger.run.complete
    assert [result.id for result in ledger.clauses] == ["LEAF-2"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"engines": []}, "no engine is named"),
        ({"engines": [3]}, "3 is not the name of an engine; .*package.module:attribute"),
        ({"engines": "torch", "profile": "quick"}, "'quick'; expected smoke, default, thorough"),
        ({"engines": "torch", "select_glob": "ACK-*"}, "no clause matches 'ACK-\\*'"),
        ({"engines": "torch", "jobs": 0}, "0 worker processes cannot run anything"),
        ({"engines": "torch", "timeout": 0}, "a time limit of 0 s"),
        ({"engines": ["a:b", "a-b"]}, "'a:b' and another engine .* share the file a-b.json"),
    ],
)
def test_an_impossible_request_is_refused_before_anything_runs(
    request_: dict[str, object], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        Plan.make(**request_)  # type: ignore[arg-type]


def test_one_engine_may_be_given_as_a_string_and_twice_counts_once() -> None:
    assert Plan.make("torch").engines == ("torch",)
    assert Plan.make(["torch", "torch"]).engines == ("torch",)
