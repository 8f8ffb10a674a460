"""Probing: which of the catalogue's operations an engine has, where its adapter does not list them.

Otherwise nearly every program of several operations would contain one that the engine lacks, and
would say nothing of it.
"""

from __future__ import annotations

from functools import lru_cache

from conformance.adapters.base import Engine
from conformance.catalogue import OPERATIONS, Operation
from conformance.execute import execute
from conformance.program import Program, Step
from conformance.strategies.choices import Choices
from conformance.strategies.draft import Draft
from conformance.strategies.facts import Facts
from conformance.strategies.graphs import Leaf
from conformance.strategies.growth import Growth
from conformance.strategies.placement import Draw
from conformance.strategies.writes import WRITES

_probed: dict[tuple[type, str, str], frozenset[str]] = {}


def facts_of(engine: Engine) -> Facts:
    """Return the facts of an engine; its operations are tried where its adapter lists none.

    An operation counts as absent only where the adapter raises `Unsupported` for it. The answer is
    kept for the life of the process, by the adapter's class and the engine's name and version.
    """
    capabilities = engine.session().capabilities
    operations = engine.operations
    if operations is None:
        key = (type(engine), engine.name, engine.version)
        if key not in _probed:
            _probed[key] = frozenset(
                name
                for name, program in trials().items()
                if not program.needs <= capabilities or execute(engine, program).unsupported is None
            )
        operations = _probed[key]
    return Facts(capabilities, engine.dtypes, operations)


@lru_cache(maxsize=1)
def trials() -> dict[str, Program]:
    """Return a small program for every operation that generated programs apply, by name."""
    found = {name: _trial(op) for name, op in OPERATIONS.items()}
    for name in WRITES:
        if name not in found:
            found[name] = _trial_in_place(name)
    return found


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


def _trial_in_place(name: str) -> Program:
    leaves = tuple(
        Step("leaf", (x,), params=(("shape", (2, 2)), ("seed", seed)))
        for seed, x in enumerate(("x", "w"))
    )
    args = ("x", "w") if name == "copy" else ("x",)
    return Program((*leaves, Step("apply_", (), args, name)))
