"""The adapters of other people's engines: what they cover, and that they spell it right."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path

import pytest

from conformance.adapters.base import Engine
from conformance.adapters.load import BUILT_IN, load_engine
from conformance.catalogue import OPERATIONS
from conformance.execute import execute
from conformance.judge import judge
from conformance.program import Program, Step
from conformance.strategies.probe import operation_trials
from conformance.verdict import Outcome

ADAPTERS = Path(importlib.util.find_spec("conformance").submodule_search_locations[0]) / "adapters"  # type: ignore[union-attr,index]
ENGINES = Path(os.environ.get("AUTOGRAD_ENGINES", "/opt/engines"))
"""A folder of virtual environments, one named after each engine, used beside this one."""
COVERED = {
    "autograd": 40,
    "jax": 45,
    "micrograd": 7,
    "mlx": 43,
    "mygrad": 41,
    "paddle": 45,
    "pytensor": 43,
    "smallpebble": 16,
    "tensorflow": 45,
    "tinygrad": 43,
    "torch-func": 45,
}
"""Of the catalogue's operations, how many each adapter covers: all that the engine has."""
WRONG = {("autograd", "expand"), ("mlx", "erf"), ("tinygrad", "erf")}
"""Operations that are recorded as defects."""


@cache
def engine(name: str) -> Engine:
    if importlib.util.find_spec(name) is not None or name.startswith("torch"):
        return load_engine(name)
    python = ENGINES / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{name} is not installed, here or under {ENGINES}")
    return load_engine(f"{name}[python={python}]")


def with_gradients(program: Program) -> Program:
    """Track the leaves of a program of one operation, and read its value and gradients."""
    steps, leaves = [], []
    for step in program.steps:
        if step.verb == "leaf":
            leaves.append(step.out[0])
            params = tuple((k, v) for k, v in step.params if k != "requires_grad")
            step = Step("leaf", step.out, params=(*params, ("requires_grad", True)))
        steps.append(step)
    out = steps[-1].out[0]
    used = [name for name in leaves if name in steps[-1].args]
    steps += [
        Step("value", (), (out,)),
        Step("apply", ("s_",), (out,), "sum"),
        Step("backward", (), ("s_",)),
        *(Step("grad", (), (name,)) for name in used),
    ]
    return Program(tuple(steps))


@pytest.mark.parametrize("name", COVERED)
def test_an_adapter_covers_what_its_engine_has(name: str) -> None:
    known = engine(name).operations
    assert known is not None
    assert len(set(OPERATIONS) & known) >= COVERED[name]


@pytest.mark.parametrize("name", sorted(set(COVERED) - {"micrograd"}))
def test_operations_are_spelled_right(name: str) -> None:
    found, wrong = engine(name), {}
    for op, program in operation_trials().items():
        if op not in OPERATIONS or (name, op) in WRONG:
            continue
        finding = judge(found, with_gradients(program))
        if finding.outcome is Outcome.VIOLATED:
            wrong[op] = finding.message
    assert wrong == {}


@pytest.mark.parametrize("name", COVERED)
def test_an_adapter_copies_the_array_it_is_given(name: str) -> None:
    leaf = Step("leaf", ("x",), params=(("value", 2.0),))
    program = Program((leaf, Step("apply", ("y",), ("x", "x"), "mul"), Step("value", (), ("y",))))
    first = execute(engine(name), program).events[-1].value
    assert first == 4.0
    assert execute(engine(name), program).events[-1].value == first


def test_conventions_say_where_they_are_documented() -> None:
    for name in COVERED:
        if importlib.util.find_spec(name) is None:
            continue
        for convention, sentence in engine(name).conventions.items():
            assert convention.replace("_", "").isalpha()
            assert "(" in sentence, f"{name}: {convention} names no place in the documentation"


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"reference", "torch"}))
def test_adapters_are_short(name: str) -> None:
    module = BUILT_IN[name].partition(":")[0].rpartition(".")[2]
    for path in ADAPTERS.glob(f"{module.removesuffix('_engine')}_*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 120, path.name
