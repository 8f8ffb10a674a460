"""Every kind of generated program: what it promises holds on PyTorch, and it needs what it says."""

from __future__ import annotations

import random
import zlib

import numpy as np
import pytest

from conformance import spec
from conformance.adapters.load import load_engine
from conformance.catalogue import OPERATIONS
from conformance.errors import Unsupported, UsageError
from conformance.execute import execute
from conformance.observation import Event
from conformance.program import VERBS, Program, Step
from conformance.strategies import RECIPES, Facts, facts_of
from conformance.strategies.driver import LENGTH
from conformance.strategies.recipes import named

TORCH = load_engine("torch")
FACTS = facts_of(TORCH)
MAY_REFUSE = {"data.inplace"}
"""Their hazards are drawn blindly: whether an error is owed is for the oracles to say."""
WRITTEN = [name for name in RECIPES if not name.startswith("variations.")]
"""Recipes that write programs, apart from those that vary scenarios."""
MODE_BLOCKS = {"enable_grad", "set_grad_enabled", "inference_mode"}


def strings(name: str, count: int) -> list[bytes]:
    draw = random.Random(zlib.crc32(name.encode()))
    return [b"", *(draw.randbytes(LENGTH) for _ in range(count))]


def programs(name: str, count: int, facts: Facts = FACTS) -> list[Program]:
    return [named(name).decode(data, facts) for data in strings(name, count)]


def broken(step: Step, event: Event, name: str) -> str | None:
    """Say how the event breaks what the step promises; None where it does not."""
    if event.skipped:
        may = name in MAY_REFUSE or step.verb == "apply_" or name == "numerics.tangent"
        return None if may else "skipped"
    if event.refusal is not None and event.refusal.category == "unsupported":
        return None if name == "numerics.tangent" else "unsupported"
    if (event.refusal is not None) != step.refused:
        return None if name in MAY_REFUSE else f"refused: {event.refusal}"
    if step.expect is None:
        return None
    figure = step.expect.value if event.expected is None else event.expected
    if isinstance(figure, str) or isinstance(event.value, tuple):
        same = len(figure) == len(event.value) if isinstance(figure, tuple) else True
        same = figure == event.value if isinstance(figure, str) else same
    elif figure is None or event.value is None:
        same = figure is None and event.value is None
    else:
        assert not isinstance(event.value, (str, tuple))
        same = np.shape(event.value) == np.shape(figure) and np.allclose(
            event.value, figure, rtol=1e-10, atol=1e-10
        )
    return None if same else f"expected {figure}, observed {event.value}"


@pytest.mark.parametrize("name", RECIPES)
def test_what_programs_promise_holds_on_pytorch(name: str) -> None:
    for program in programs(name, 40):
        events = execute(TORCH, program).events
        for step, event in zip(program.walk(), events, strict=True):
            assert broken(step, event, name) is None, (broken(step, event, name), program)


def test_nothing_is_written_into_the_memory_that_it_is_a_view_of() -> None:
    """PyTorch refuses such a write, so a clause that says when backward owes an error has none."""
    for program in programs("data.inplace", 600):
        events = execute(TORCH, program).events
        for step, event in zip(program.walk(), events, strict=True):
            assert step.verb != "apply_" or event.refusal is None, (event.refusal, program)


def test_no_hazard_is_written_through_a_view_of_turned_memory() -> None:
    """PyTorch refuses the `view`, so nothing is overwritten and backward owes no error."""
    for program in programs("data.hazard", 4000):
        turned: set[str] = set()
        for step in program.walk():
            if step.op in ("transpose", "permute") or turned & set(step.args):
                turned |= set(step.out)
            assert step.op != "view" or step.args[0] not in turned, program


def test_what_is_overwritten_unnoticed_is_used_by_the_gradient_for_certain() -> None:
    """A logsumexp has its gradient from its operand alone, or from that and its result."""
    for program in programs("data.silent", 600):
        assert "logsumexp" not in {step.op for step in program.walk()}


@pytest.mark.parametrize("name", RECIPES)
def test_programs_need_no_more_than_the_recipe_says(name: str) -> None:
    recipe = named(name)
    least = Facts(recipe.needs)
    assert recipe.missing(least) == frozenset()
    for program in programs(name, 40, least):
        assert program.needs <= recipe.needs


@pytest.mark.parametrize("name", WRITTEN)
def test_programs_apply_only_operations_that_the_engine_has(name: str) -> None:
    recipe = named(name)
    few = frozenset({"mul", "add", "sub", "sin", "tanh", "sum", "transpose", "narrow"})
    facts = Facts(FACTS.capabilities, operations=few | recipe.operations)
    for program in programs(name, 30, facts):
        applied = {step.op for step in program.walk() if step.verb == "apply"}
        assert applied <= few | recipe.operations


@pytest.mark.parametrize("name", WRITTEN)
def test_programs_differ_and_the_same_bytes_give_the_same_program(name: str) -> None:
    found = programs(name, 40)
    assert len(set(found)) > 35
    assert found == programs(name, 40)


def test_variations_differ_from_each_other_and_keep_what_is_owed() -> None:
    varied = set(programs("variations.LIFE-1", 40))
    assert len(varied) > 20
    for name in set(RECIPES) - set(WRITTEN):
        found = programs(name, 20)
        assert found == programs(name, 20)
        assert len(set(found)) > 1, name


@pytest.mark.parametrize("name", RECIPES)
def test_every_program_reads_something(name: str) -> None:
    for program in programs(name, 30):
        assert any(
            step.refused or step.expect is not None or VERBS[step.verb].observes
            for step in program.walk()
        )


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_reads_past_the_bytes_that_are_drawn(name: str) -> None:
    """Bytes after the end are zero; a recipe that needs more than are drawn would lose variety."""
    for data in strings(name, 40):
        longer = (data + bytes(LENGTH))[:LENGTH] + random.Random(1).randbytes(64)
        assert named(name).decode(longer, FACTS) == named(name).decode(data, FACTS)


def test_the_clauses_name_strategies_that_exist_and_all_are_named() -> None:
    used = {name for clause in spec.clauses() for name in clause.generated}
    assert used <= set(RECIPES)
    assert set(RECIPES) - used == set()


def test_an_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"unknown strategy 'leaves.nothing'; known: accumulation"):
        named("leaves.nothing")


def test_missing_names_capabilities_and_operations() -> None:
    recipe = named("accumulation.repeat")
    facts = Facts(frozenset({"backward", "grad"}), operations=frozenset({"sin"}))
    assert recipe.missing(facts) == {"accumulates", "mul"}
    assert recipe.missing(FACTS) == frozenset()


def test_an_engine_of_scalars_gets_programs_of_scalars() -> None:
    """As micrograd: a few operations on 0-d tensors, no sum."""
    operations = frozenset({"add", "mul", "sub", "div", "neg", "pow", "relu", "tanh", "exp"})
    facts = Facts(frozenset({"backward", "grad", "accumulates"}), operations=operations)
    for name in ("leaves.gradients", "leaves.fan_out", "leaves.unused", "accumulation.repeat"):
        for program in programs(name, 40, facts):
            shapes = {step.param("shape") for step in program.walk() if step.verb == "leaf"}
            assert shapes == {()}
            assert set(program.operations) <= operations


def test_every_operation_of_the_catalogue_is_generated() -> None:
    found: set[str] = set()
    for program in programs("leaves.gradients", 1500):
        found.update(program.operations)
    assert set(OPERATIONS) <= found


def test_unsupported_where_operations_do_not_suffice() -> None:
    facts = Facts(FACTS.capabilities, operations=frozenset({"view"}))
    with pytest.raises(Unsupported, match="operations for a graph of 2"):
        named("leaves.intermediates").decode(b"", facts)
