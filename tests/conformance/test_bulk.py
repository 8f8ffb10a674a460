"""Bare runs observe what step-by-step runs observe, and rounding is told from defects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conformance.adapters.load import load_engine
from conformance.bulk import REFUSED, SKIPPED, Bulk
from conformance.compare.agreement import same
from conformance.execute import execute
from conformance.fuzzing import Source
from conformance.notation import parse
from conformance.program import Program
from conformance.promises import GRADIENT_PASSES
from conformance.random_check import RandomCheck
from conformance.rounding import rounding_explains
from conformance.strategies.mixture import common_facts, compose

REFERENCE, TORCH = load_engine("reference"), load_engine("torch")


def observed_by(engine: Any, program: Program) -> list[object]:
    """Return what a run step by step observes, in the form of a bare run."""
    seen: list[object] = []
    for event in execute(engine, program).events:
        if event.skipped:
            seen.append(SKIPPED)
        elif event.refusal is not None:
            seen.append(REFUSED)
            if event.verb in GRADIENT_PASSES:
                break
        elif event.seen:
            seen.append(event.value)
    return seen


@pytest.mark.filterwarnings("ignore")  # of gradients of results, which `RandomCheck` silences
@pytest.mark.parametrize("engine", [REFERENCE, TORCH], ids=["reference", "torch"])
def test_a_bare_run_observes_what_a_run_step_by_step_does(engine: Any) -> None:
    facts, bulk = common_facts(REFERENCE, TORCH), Bulk(engine, "float64")
    count = 0
    for data in Source(11).texts(0, 300):
        program = Program(compose(data, facts))  # validates what bulk runs take unvalidated
        bare, slow = bulk(program.steps), observed_by(engine, program)
        assert len(bare) == len(slow), program
        assert all(map(same, bare, slow)), program
        count += any(
            item in (REFUSED, SKIPPED) for item in bare if not isinstance(item, np.ndarray)
        )
    assert count >= 5  # refusals are among them


BLOCKS = """
    x = leaf([1.0, 2.0], requires_grad=True)
    with no_grad():
        y = exp(x)
        value(y)
        raise
    with enable_grad(decorator=True):
        z = mul(x, x)
    requires_grad(y)
    add_(x, other=1.0)
    g = grad(x)
    value(g)
    w = mul(g, x)
    backward(z, gradient=[1.0, 1.0])
    backward(z, gradient=[1.0, 1.0])
    grad(x)
"""


def test_blocks_refusals_and_absent_gradients_leave_their_marks() -> None:
    y, tracked, written, grad, absent, skipped, again = Bulk(REFERENCE, "float64")(
        parse(BLOCKS).steps
    )
    assert isinstance(y, np.ndarray)
    assert tracked is False
    assert (written, skipped, again) == (REFUSED, SKIPPED, REFUSED)
    assert grad is None
    assert absent is None


CANCELLED = parse("""
    x = leaf([3.0])
    y = exp(x)
    z = log(y)
    w = sub(z, x)
    value(y)
    value(w)
""")


@pytest.mark.parametrize(
    ("error", "explained"), [(0.0, True), (1e-15, True), (1e-12, False), (np.nan, False)]
)
def test_one_perturbed_run_tells_rounding_from_a_defect(error: float, explained: bool) -> None:
    due = Bulk(TORCH, "float64")(CANCELLED.steps)
    found = [due[0], due[1] + error]
    steps = CANCELLED.steps
    assert rounding_explains(TORCH, "float64", steps, found, due) is explained
    assert not rounding_explains(TORCH, "float64", steps, [due[0], due[1].astype("f4")], due)
    assert not rounding_explains(TORCH, "float64", steps, [due[0], None], due)


RULED = parse("""
    x = leaf([-3.0], requires_grad=True)
    y = custom_function(x, forward="tanh(a)", backward="sub(g, mul(g, mul(y, y)))")
    backward(y, gradient=[2.0])
    grad(x)
""").steps


@pytest.mark.parametrize(("error", "explained"), [(4e-16, True), (1e-12, False)])
def test_what_the_rules_of_a_custom_function_compute_is_rounded_too(
    error: float, explained: bool
) -> None:
    (due,) = Bulk(TORCH, "float64")(RULED)
    assert isinstance(due, np.ndarray)
    assert not same(due + error, due)  # far from the 8 roundings of the element itself
    assert rounding_explains(TORCH, "float64", RULED, [due + error], [due]) is explained


def test_an_engine_whose_mode_leaks_into_the_next_program_is_reset() -> None:
    check = RandomCheck(REFERENCE)
    leaking = parse("x = leaf([1.0], requires_grad=True)\ny = exp(x)\nrequires_grad(y)").steps
    REFERENCE.module.set_grad_enabled(False)
    assert check.agreeing([leaking, leaking]) == [True, True]
    assert REFERENCE.module.is_grad_enabled()
