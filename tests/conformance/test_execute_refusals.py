"""Execution on torch: refusals, skipped steps, blocks, and what is restored after a program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from conformance.adapters.torch_engine import TorchEngine
from conformance.errors import InvalidProgram
from conformance.execute import sanitised
from conformance.observation import Array
from tests.conformance.executions import refusals, run, seen


def test_refusals_are_recorded_and_the_run_goes_on() -> None:
    text = """
    x = leaf([1.0, 2.0], requires_grad=True)
    y = sin(x)
    with raises():
        backward(y)
    z = frobnicate(x)
    with no_grad():
        u = sin(z)
    grad(x)
    s = sum(y)
    backward(s)
    grad(x)
    """
    observation = run(text)
    assert refusals(observation.events) == [
        "backward refused RuntimeError",
        "apply unsupported Unsupported",
    ]
    assert observation.unsupported is not None
    assert observation.unsupported.message == "torch has no operation frobnicate"
    assert [e.skipped for e in observation.events][4:7] == [False, True, False]
    assert observation.events[-1].value is not None


def test_blocks_nest_and_end_by_exceptions() -> None:
    text = """
    x = leaf(1.0, requires_grad=True)
    with no_grad():
        is_grad_enabled()
        with enable_grad():
            y = sin(x)
            requires_grad(y)
            raise
        is_grad_enabled()
        with set_grad_enabled(enabled=True, decorator=True):
            is_grad_enabled()
            raise
        is_grad_enabled()
    with inference_mode():
        z = sin(x)
        requires_grad(z)
        value(z)
    with no_grad(decorator=True):
        is_grad_enabled()
    is_grad_enabled()
    """
    sin1 = float(np.sin(1.0))
    assert seen(text) == [False, True, False, True, False, False, sin1, False, True]


class Leaky(TorchEngine):
    """Leaves gradients off after a block, and its decorator never calls the function."""

    @contextlib.contextmanager
    def no_grad(self) -> Iterator[None]:
        torch.set_grad_enabled(False)
        yield

    def enable_grad(self) -> Any:
        return lambda function: lambda: None


def test_the_grad_mode_is_restored_after_a_program_that_leaks_it() -> None:
    assert seen("with no_grad():\n    is_grad_enabled()\nis_grad_enabled()", engine=Leaky()) == [
        False,
        False,
    ]
    assert torch.is_grad_enabled()


def test_a_body_that_never_ran_is_skipped() -> None:
    text = """
    x = leaf(1.0)
    with enable_grad(decorator=True):
        with no_grad():
            y = sin(x)
    value(x)
    """
    events = run(text, engine=Leaky()).events
    assert [e.skipped for e in events] == [False, False, True, True, False]


def test_a_manager_that_cannot_be_entered_is_a_refusal() -> None:
    events = run("with enable_grad():\n    x = leaf(1.0)\ny = leaf(1.0)", engine=Leaky()).events
    assert refusals(events) == ["enable_grad refused TypeError"]
    assert events[1].skipped


def test_missing_capabilities_are_unsupported_step_by_step() -> None:
    class Poor(TorchEngine):
        def lacks(self) -> list[str]:
            return ["backward.gradient", "grad_fn", "dtype:int64"]

    text = """
    x = leaf([1.0, 2.0], requires_grad=True)
    i = leaf(1, dtype="int64")
    backward(x, gradient=[1.0, 1.0])
    grad_fn(x)
    s = sum(x)
    backward(s)
    grad(x)
    """
    events = run(text, engine=Poor()).events
    assert [e.verb for e in events if e.refusal] == ["leaf", "backward", "grad_fn"]
    assert all(e.refusal.category == "unsupported" for e in events if e.refusal)
    assert events[-1].value is not None


def test_warnings_of_an_engine_are_no_refusals() -> None:
    text = """
    x = leaf(1.0, requires_grad=True)
    y = sin(x)
    grad(y)
    """
    assert seen(text) == [None]  # torch warns of this read; tests turn warnings into errors


def test_a_fault_of_the_program_is_not_put_on_the_engine() -> None:
    with pytest.raises(InvalidProgram, match="not an array of numbers"):
        run("with no_grad():\n    x = leaf([[1.0], [2.0, 3.0]])")


def test_messages_hold_no_addresses_and_no_folders() -> None:
    error = RuntimeError("at 0x7f3a_no: <T object at 0x7F3Abc> in /usr/lib/x-1/y.py:3 C:\\a\\b.c")
    assert sanitised(error) == "at 0x…_no: <T object at 0x…> in …/y.py:3 …/b.c"
    assert sanitised(RuntimeError("a/b and 1/2 stay")) == "a/b and 1/2 stay"
    assert len(sanitised(RuntimeError("long" * 1000))) == 501


def test_two_runs_are_equal() -> None:
    text = "x = leaf(shape=[3], seed=4, requires_grad=True)\ny = sin(x)\nvalue(y)"
    first, second = (run(text).events[2].value for _ in range(2))
    assert isinstance(first, np.ndarray)
    assert isinstance(second, np.ndarray)
    assert first.tobytes() == second.tobytes()


def test_the_engine_cannot_change_the_harness_through_its_arrays() -> None:
    class Sharing(TorchEngine):
        def tensor(self, array: Array, requires_grad: bool = False) -> Any:
            return torch.from_numpy(array).requires_grad_(requires_grad)

    text = "x = leaf(shape=[2], seed=4)\nmul_(x, other=0.0)\ny = leaf(shape=[2], seed=4)\nvalue(y)"
    assert seen(text, engine=Sharing()) == seen(text)
