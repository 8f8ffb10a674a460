"""Planted bugs: a few generated programs find each, and shrinking leaves what shows it."""

from __future__ import annotations

import pytest
import torch

from conformance.adapters.base import Engine
from conformance.adapters.load import load_engine
from conformance.adapters.torch_engine import TorchEngine
from conformance.judge import judge
from conformance.notation import render
from conformance.program import Program
from conformance.strategies import SearchResult, facts_of, search
from conformance.verdict import Outcome


class SigmoidTwice(TorchEngine):
    def apply(self, op, *tensors, **params):
        result = super().apply(op, *tensors, **params)
        return result * 2 - result.detach() if op == "sigmoid" else result


class SameOperandOnce(TorchEngine):
    def apply(self, op, *tensors, **params):
        if op == "mul" and len(tensors) == 2 and tensors[0] is tensors[1]:
            tensors = (tensors[0], tensors[0].detach())
        return super().apply(op, *tensors, **params)


class NoVersionCheck(TorchEngine):
    def apply_(self, op, target, *tensors, **params):
        super().apply_(op, target.data, *tensors, **params)


class DetachCopies(TorchEngine):
    def detach(self, tensor):
        return tensor.detach().clone()


class KeepsGraph(TorchEngine):
    def backward(self, tensor, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        super().backward(tensor, gradient, True, create_graph, inputs)


class LeakyNoGrad(TorchEngine):
    def no_grad(self):
        return _Leaky()


class _Leaky:
    def __enter__(self):
        self.before = torch.is_grad_enabled()
        torch.set_grad_enabled(False)

    def __exit__(self, kind, *_):
        if kind is None:
            torch.set_grad_enabled(self.before)


PLANTED = {
    (SigmoidTwice, "leaves.gradients", "sigmoid"): """
        x = leaf(1.0, requires_grad=True)
        out = sigmoid(x)
        backward(out)
        grad(x)
    """,
    (SameOperandOnce, "leaves.fan_out", "mul"): """
        x = leaf(1.0, requires_grad=True)
        out = mul(x, x)
        backward(out)
        grad(x)
    """,
    (NoVersionCheck, "data.hazard", None): """
        x = leaf(1.0, requires_grad=True)
        y = mul(x, other=1.0)
        y1 = mul(y, y)
        add_(y, other=2.0)
        with raises():
            backward(y1)
    """,
    (DetachCopies, "detach.share", None): """
        x = leaf(1.0, requires_grad=True)
        d = detach(x)
        add_(d, other=2.0)
        assert value(x) == d
    """,
    (KeepsGraph, "retained.freed", None): """
        x = leaf(1.0, requires_grad=True)
        out = mul(x, x)
        backward(out)
        with raises():
            backward(out)
    """,
    (LeakyNoGrad, "modes.exceptions", None): """
        x = leaf(1.0, requires_grad=True)
        with no_grad():
            raise
        y = mul(x, other=2.0)
        assert requires_grad(y)
    """,
}


def found(engine: Engine, name: str, examples: int = 30) -> SearchResult:
    def check(program: Program):
        return judge(engine, program)

    return search(name, facts_of(engine), check, examples=examples, seed=0)


@pytest.mark.parametrize(("planted", "smallest"), PLANTED.items(), ids=lambda p: "")
def test_a_planted_bug_is_found_and_shrunk_to_its_smallest_program(planted, smallest) -> None:
    wrong, name, operation = planted
    result = found(wrong(), name)
    programs = {render(p): f for p, f in result.failing if operation in (None, f.operation)}
    lines = "\n".join(line[8:] for line in smallest.strip("\n").splitlines()[:-1])
    assert list(programs) == [lines]
    torch.set_grad_enabled(True)


def test_broadcasting_that_backward_forgets_is_found_in_a_tiny_engine() -> None:
    result = found(load_engine("tests.engines.tiny_tape:TinyTape"), "leaves.broadcast", 10)
    ((program, finding),) = result.failing
    assert finding.cause == "silently-wrong/grad/shape"
    assert [step.verb for step in program.steps] == ["leaf", "leaf", "apply", "backward", "grad"]
    assert program.operations == ("mul",)


def test_no_bug_is_found_where_there_is_none() -> None:
    for name in ("leaves.gradients", "data.inplace", "modes.nesting"):
        result = found(load_engine("torch"), name)
        assert result.failing == ()
        assert {finding.outcome for finding in result.findings} == {Outcome.HOLDS}
