"""Running a program in a test, and what its events say, in plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.notation import parse
from conformance.observation import Event, Observation

ENGINE = load_engine("torch")


def run(text: str, dtype: str = "float64", engine: Any = ENGINE) -> Observation:
    program = parse(text)
    observation = execute(engine, program, dtype)
    assert [e.step for e in observation.events] == list(range(len(list(program.walk()))))
    assert [e.verb for e in observation.events] == [s.verb for s in program.walk()]
    return observation


def seen(text: str, dtype: str = "float64", engine: Any = ENGINE) -> list[Any]:
    """Run, expect no refusal, and return what was observed, arrays as lists."""
    events = run(text, dtype, engine).events
    assert [e.describe() for e in events if e.refusal or e.skipped] == []
    return [plain(e.value) for e in events if e.seen]


def plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def refusals(events: tuple[Event, ...]) -> list[str]:
    return [f"{e.verb} {e.refusal.category} {e.refusal.type}" for e in events if e.refusal]
