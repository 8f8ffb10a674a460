"""Random programs apply operations at their kinks, as PyTorch can run them."""

from __future__ import annotations

import numpy as np

from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.fuzzing import Source
from conformance.program import Program, Step
from conformance.strategies.composer import Composer
from conformance.strategies.kinks import ROWS, kinked
from conformance.strategies.mixture import common_facts, decode
from conformance.strategies.probe import kink_trials

TORCH = load_engine("torch")
FACTS = common_facts(load_engine("reference"), TORCH)


def test_every_row_applies_to_a_tensor_that_straddles_its_kinks() -> None:
    for number, (operation, _) in enumerate(ROWS):
        composer = Composer(FACTS)
        composer.leaf((2, 3), 1, 0, tracked=True)
        kinked(composer, bytes([0, number, 0, 0, 0, 0]))
        made = composer.variables[-1]
        program = Program(composer.steps())
        assert program.operations == (operation.name,)
        assert composer.kinked & made.graph
        value = execute(TORCH, _observing(program, made.name)).events[-1].value
        assert isinstance(value, np.ndarray)
        assert value.shape == made.shape
        assert made.bounds[0] <= value.min() <= value.max() <= made.bounds[1]


def _observing(program: Program, name: str) -> Program:
    return Program((*program.steps, Step("value", (), (name,))))


def test_every_row_is_tried_on_an_engine_before_it_is_generated() -> None:
    assert set(kink_trials()) == {operation.name for operation, _ in ROWS}
    for program in kink_trials().values():
        assert all(event.refusal is None for event in execute(TORCH, program).events)


def test_programs_meet_kinks_in_values_that_straddle_them() -> None:
    met = {op for data in Source(3).texts(0, 300) for op in decode(data, FACTS).operations}
    assert {operation.name for operation, _ in ROWS} <= met
