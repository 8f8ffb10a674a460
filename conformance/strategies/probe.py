"""Probing: which of the catalogue's operations an engine has, and in which forms.

Otherwise a program of several operations would nearly always contain something that a small engine
lacks, and would say nothing of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from conformance.adapters.base import Engine
from conformance.adapters.remote import EngineLost
from conformance.catalogue import OPERATIONS, Operation
from conformance.execute import execute
from conformance.program import Param, Program, Step
from conformance.strategies.choices import Choices
from conformance.strategies.draft import Draft
from conformance.strategies.facts import Facts
from conformance.strategies.graphs import Leaf
from conformance.strategies.growth import Growth
from conformance.strategies.kinks import ROWS as KINKED
from conformance.strategies.placement import Draw
from conformance.strategies.writes import WRITES

Deadly = Mapping[str, tuple[str, str]]
"""What ended an engine's process while it was probed, by name; how, and what is known of it."""
_probed: dict[tuple[type, str, str], frozenset[str]] = {}


def facts_of(engine: Engine) -> Facts:
    """Return the facts of an engine: what it declares, and what of that it can be seen to lack.

    Something counts as lacking only where the adapter raises `Unsupported` for it. The answer is
    kept for the life of the process, by the adapter's class and the engine's name and version.
    """
    if _key(engine) not in _probed:
        probe(engine, {}, lambda _: None)
    capabilities, listed = engine.session().capabilities, engine.operations
    lacking = _probed[_key(engine)]
    operations = frozenset({**operation_trials(), **kink_trials()}) if listed is None else listed
    return Facts(
        capabilities, engine.dtypes, operations - lacking, lacking & frozenset(form_trials())
    )


def probe(
    engine: Engine, deadly: Deadly, before: Callable[[str], None]
) -> dict[str, tuple[str, str]]:
    """Find out what the engine lacks; return what ends its process, by name, and how it ended.

    deadly: what is known to do so: it is not tried, and counts as lacking. before: called with the
    name of every trial that is about to run. The end of this process is the caller's to see.
    """
    capabilities, listed = engine.session().capabilities, engine.operations
    found, lacking = dict(deadly), set(deadly)
    for name, program in trials().items():
        known = listed is None or listed.issuperset(program.operations)
        if name in lacking or not known or not program.needs <= capabilities:
            continue
        before(name)
        try:
            if execute(engine, program).unsupported is not None:
                lacking.add(name)
        except EngineLost as lost:
            found[name] = lost.how, lost.detail
            lacking.add(name)
    _probed[_key(engine)] = frozenset(lacking)
    return found


def _key(engine: Engine) -> tuple[type, str, str]:
    return type(engine), engine.name, engine.version


def trials() -> dict[str, Program]:
    """Return the small program that is tried for every operation and every form, by name."""
    return {**kink_trials(), **operation_trials(), **form_trials()}


@lru_cache(maxsize=1)
def operation_trials() -> dict[str, Program]:
    """Return a small program for every operation that generated programs apply, by name."""
    found = {name: _trial(op) for name, op in OPERATIONS.items()}
    for name in ("sum", "mean"):
        found[name] = _on_leaves(Step("apply", ("y",), ("x",), name))
    found["view"] = _on_leaves(Step("apply", ("y",), ("x",), "view", (("size", (4,)),)))
    return found


@lru_cache(maxsize=1)
def kink_trials() -> dict[str, Program]:
    """Return a small program for every operation that random programs apply at its kinks."""
    return {
        op.name: _on_leaves(
            Step("apply", ("y",), ("x", "w") if op.family == "binary" else ("x",), op.name, params)
        )
        for op, params in KINKED
    }


@lru_cache(maxsize=1)
def form_trials() -> dict[str, Program]:
    """Return a small program for every form of an operation that an engine may lack, by name."""
    found = {}
    for name, op in OPERATIONS.items():
        if op.family == "reduce":
            found[f"{name}.dim"] = _trial(op)
        elif op.family == "binary" and op.numbers:
            found[f"{name}.other"] = _on_leaves(Step("apply", ("y",), ("x",), name, _NUMBER))
    for name in WRITES:
        args, params = _IN_PLACE.get(name, (("x",), ()))
        found[f"{name}_"] = _on_leaves(Step("apply_", (), args, name, params))
    return found


_NUMBER: tuple[tuple[str, Param], ...] = (("other", 2.0),)
_IN_PLACE: dict[str, tuple[tuple[str, ...], tuple[tuple[str, Param], ...]]] = {
    "copy": (("x", "w"), ()),
    "add": (("x",), _NUMBER),
    "sub": (("x",), _NUMBER),
    "mul": (("x",), _NUMBER),
}


def _on_leaves(step: Step) -> Program:
    leaves = (
        Step("leaf", (name,), params=(("shape", (2, 2)), ("seed", seed)))
        for seed, name in enumerate(("x", "w"))
    )
    return Program((*leaves, step))


def _trial(op: Operation) -> Program:
    anyone = Facts(frozenset())
    growth = Growth(anyone, room=0)
    leaves = [
        Leaf((2, 2), (1.5, 2.0), 0, False),
        Leaf((2, 1), (1.5, 2.0), 1, False),
        Leaf((2, 2), (0.5, 1.0), 2, False),
    ]
    indices = [growth.add(leaf) for leaf in leaves]
    for operand in indices:
        made = growth.apply(op, operand, Draw(0, 0, 0, 0))
        if made is not None:
            draft = Draft(Choices(b""), anyone)
            draft.forward(growth.graph, draft.leaves(growth.graph), made)
            return draft.program()
    raise AssertionError(f"no sample for {op.name}")
