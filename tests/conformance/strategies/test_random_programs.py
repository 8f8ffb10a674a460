from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from conformance.adapters.load import load_engine
from conformance.adapters.reference import ReferenceEngine
from conformance.compare.agreement import agreed
from conformance.execute import execute
from conformance.fuzzing import Source, fuzz_chunk, violation
from conformance.notation import parse
from conformance.observation import Event
from conformance.program import Program
from conformance.promises import observed, promised, unpromised, up_to
from conformance.random_check import RandomCheck
from conformance.strategies import programs
from conformance.strategies.facts import Facts
from conformance.strategies.mixture import KINDS, LENGTH, common_facts, compose, decode
from conformance.strategies.shrinking import shrink
from conformance.verdict import Kind, Outcome
from conformance.workers import Notes

REFERENCE = load_engine("reference")
FACTS = common_facts(REFERENCE, load_engine("torch"))


class Planted(ReferenceEngine):
    """Wrong where a sine is applied to a hyperbolic tangent, and nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.last: Any = None

    def apply(self, op: str, *tensors: Any, **params: Any) -> Any:
        result = super().apply(op, *tensors, **params)
        if op == "sin" and tensors[0] is self.last:
            return super().apply("add", result, other=0.5)
        self.last = result if op == "tanh" else self.last
        return result


def test_programs_mix_every_kind_of_step_and_hold_on_the_reference_engine() -> None:
    source = random.Random(1)
    check = RandomCheck(REFERENCE)
    seen: Counter[str] = Counter()
    outcomes: Counter[Outcome] = Counter()
    for _ in range(250):
        program = decode(source.randbytes(LENGTH), FACTS)
        seen.update(step.verb for step in program.walk())
        outcomes[check(program).outcome] += 1
    assert {"apply", "apply_", "backward", "grad_of", "hook", "detach", "no_grad"} <= set(seen)
    assert {"retain_grad", "set_grad", "data", "requires_grad_", "detach_"} <= set(seen)
    assert outcomes[Outcome.HOLDS] >= 0.98 * 250
    assert outcomes[Outcome.VIOLATED] == 0


def test_every_program_uses_only_what_the_engine_declares() -> None:
    small = Facts(frozenset({"backward", "grad"}), operations=frozenset({"mul", "sin", "sum"}))
    source = random.Random(2)
    for _ in range(200):
        program = decode(source.randbytes(LENGTH), small)
        assert program.needs <= small.capabilities
        assert set(program.operations) <= {"mul", "sin", "sum"}


def test_empty_bytes_are_the_smallest_program() -> None:
    assert decode(bytes(LENGTH), FACTS) == decode(b"", FACTS)
    assert len(decode(b"", FACTS).steps) <= 4


def test_kinds_need_only_capabilities_that_exist() -> None:
    needs = {name for _, _, words, _ in KINDS for name in words.split()}
    assert needs <= FACTS.capabilities


@settings(max_examples=20, deadline=None)
@given(programs())
def test_the_strategy_draws_programs(program: Program) -> None:
    assert execute(REFERENCE, program).unsupported is None


@pytest.mark.parametrize("seed", [0])
def test_a_bug_of_two_steps_is_found_and_shrunk_to_the_two(seed: int) -> None:
    check = RandomCheck(Planted())
    for chunk in range(200):
        texts = Source(seed).texts(chunk, 100)
        agreeing = check.agreeing([compose(data, FACTS) for data in texts])
        for data in (data for data, agrees in zip(texts, agreeing, strict=True) if not agrees):
            found = check.check(decode(data, FACTS))
            if found.finding.outcome is Outcome.VIOLATED:
                smallest = shrink(data, found.finding.cause, FACTS, check)
                verbs = [step.op or step.verb for step in smallest.program.walk()]
                assert verbs == ["leaf", "tanh", "sin", "value"]
                return
    raise AssertionError("20,000 programs did not find the bug")


def test_a_chunk_counts_causes_and_leaves_programs_out(tmp_path: Any) -> None:
    notes = Notes(tmp_path / "note")
    chunk = fuzz_chunk("reference", None, Source(3), 0, 20, frozenset({4, 5}), True, notes)
    notes.close()
    assert sum(chunk.outcomes.values()) == 18
    assert (tmp_path / "note").read_text() == "19"


def test_a_violation_carries_a_script_that_was_seen_to_fail() -> None:
    program = parse("""
        x = leaf([1.0], requires_grad=True)
        y = mul(x, x)
        with raises():
            backward(y, gradient=[1.0])
        grad(x)
    """)
    check = RandomCheck(REFERENCE)
    finding = check._judged(program, execute(check.oracle, unpromised(program))).finding
    assert finding.outcome is Outcome.HOLDS  # the oracle, not the text, says what is owed
    planted = RandomCheck(Planted())
    wrong = parse("""
        x = leaf([1.0])
        y = tanh(x)
        z = sin(y)
        value(z)
    """)
    record = violation(planted, planted.check(wrong))
    assert record.kind is Kind.SILENTLY_WRONG
    assert len(record.reproduction.splitlines()) <= 15


def test_what_the_oracle_refuses_is_owed_and_nothing_is_asked_after_a_refused_backward() -> None:
    program = parse("""
        x = leaf([1.0], requires_grad=True)
        y = exp(x)
        backward(y, gradient=[1.0])
        backward(y, gradient=[1.0])
        grad(x)
    """)
    form = promised(program, execute(load_engine("torch"), program).events)
    assert [step.verb for step in form.steps] == ["leaf", "apply", "backward", "backward"]
    assert form.steps[-1].refused
    assert not unpromised(form).steps[-1].refused


def test_observing_keeps_raise_last_and_cutting_keeps_blocks_whole() -> None:
    program = parse(
        """
        x = leaf([1.0], requires_grad=True)
        with no_grad():
            y = exp(x)
            raise_()
        z = exp(x)
    """.replace("raise_()", "raise")
    )
    seen = observed(program)
    assert [step.verb for step in seen.steps[1].body] == ["apply", "value", "raise"]
    assert len(up_to(program, 2).steps) == 2


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        (np.array([1.0]), np.array([1.0 + 2e-16]), True),
        (np.array([1.0]), np.array([1.0 + 1e-14]), False),
        (np.array([1.0]), np.array([1.0], "float32"), False),
        (np.array([1.0]), np.array([[1.0]]), False),
        (np.array([1.0]), None, False),
        (None, np.array([1.0]), False),
        (None, None, True),
        (True, False, False),
        ("SinBackward0", "sin", True),
        ((np.array([1.0]),), (), False),
        ((np.array([1.0]),), (np.array([1.0]),), True),
    ],
)
def test_agreement(mine: Any, theirs: Any, same: bool) -> None:
    one, other = (Event(0, "value", value, seen=True) for value in (mine, theirs))
    assert agreed([one], [other]) is same
