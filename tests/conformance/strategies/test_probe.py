from __future__ import annotations

import numpy as np
import pytest

from conformance.adapters.base import Engine, TapeEngine
from conformance.adapters.load import load_engine
from conformance.catalogue import OPERATIONS
from conformance.errors import Unsupported
from conformance.execute import execute
from conformance.program import Program
from conformance.strategies import probe, search
from conformance.strategies.driver import Check
from conformance.strategies.probe import facts_of, form_trials, operation_trials
from conformance.verdict import Finding, Outcome


class FewOperations(TapeEngine):
    """Lists nothing; has two operations, and a third that is broken."""

    name = "few"
    version = "1"
    operations = None
    applied = 0

    def tensor(self, array, requires_grad=False):
        return array.copy()

    def numpy(self, tensor):
        return tensor

    def apply(self, op, *tensors, **params):
        type(self).applied += 1
        if op == "sin":
            return np.sin(*tensors)
        if op == "mul":
            if params:
                raise Unsupported("mul by a number")
            return tensors[0] * tensors[1]
        if op == "exp":
            raise RuntimeError("not today")
        raise Unsupported(op)

    def backward(self, tensor, gradient=None):
        pass

    def grad(self, tensor):
        return None


def test_every_operation_has_a_trial_that_pytorch_can_run() -> None:
    torch = load_engine("torch")
    assert set(operation_trials()) == {*OPERATIONS, "view"}
    for name, program in operation_trials().items():
        assert program.operations == (name,)
    for name, program in {**operation_trials(), **form_trials()}.items():
        assert all(event.refusal is None for event in execute(torch, program).events), name


def test_an_absent_operation_is_one_that_the_adapter_calls_unsupported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "_probed", {})
    facts = facts_of(FewOperations())
    assert facts.operations == {"sin", "mul", "exp"}
    assert not facts.takes("mul.other")
    assert facts.takes("zero_")  # nobody can say without apply_, and it is no matter
    assert facts.capabilities >= {"backward", "grad"}


def test_an_engine_is_probed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_probed", {})
    first = facts_of(FewOperations())
    count = FewOperations.applied
    assert facts_of(FewOperations()) == first
    assert FewOperations.applied == count


def test_of_a_list_of_operations_only_what_is_on_it_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "_probed", {})
    tried = set()

    class Listed(FewOperations):
        operations = frozenset({"mul", "sin", "cos", "unheard_of"})

        def apply(self, op, *tensors, **params):
            tried.add(op)
            return super().apply(op, *tensors, **params)

    assert facts_of(Listed()).operations == {"mul", "sin", "unheard_of"}
    assert tried == {"mul", "sin", "cos"}


def test_programs_for_a_small_engine_are_ones_that_it_supports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "_probed", {})
    engine = load_engine("tests.engines.tiny_tape:TinyTape")
    facts = facts_of(engine)
    for name in ("leaves.gradients", "leaves.unused", "accumulation.repeat", "cotangents.vjp"):
        found = search(name, facts, _supported_by(engine), examples=20, seed=0).findings
        assert {finding.outcome for finding in found} == {Outcome.HOLDS}


def _supported_by(engine: Engine) -> Check:
    def check(program: Program) -> Finding:
        unsupported = execute(engine, program).unsupported
        return Finding(Outcome.HOLDS if unsupported is None else Outcome.UNSUPPORTED, "float64")

    return check
