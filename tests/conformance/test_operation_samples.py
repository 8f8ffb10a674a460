"""The samples of operations: whatever numbers they draw, their operation has a value there."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.leaves import leaf_array
from conformance.samples import Sample, call, samples

#: of which a quotient's divisors, multiples of 1/64 around zero, met zero every fortieth time
SEEDS = 150
QUOTIENTS = [sample for sample in samples() if sample.op in ("addcdiv", "div", "reciprocal")]


@pytest.mark.parametrize("sample", QUOTIENTS, ids=lambda s: f"{s.op}-{len(s.inputs[-1].shape)}")
def test_no_divisor_is_zero(sample: Sample) -> None:
    engine = load_engine("reference")
    for seed in range(SEEDS):
        event = execute(engine, call(sample, seed).program()).events[-1]
        assert isinstance(event.value, np.ndarray)
        assert np.isfinite(event.value).all(), seed


@pytest.mark.parametrize("name", ["sort", "topk", "cummax", "nn.functional.max_pool1d"])
def test_numbers_do_not_tie_where_indices_are_results(name: str) -> None:
    for sample in (s for s in samples() if s.op == name and not all(s.floats)):
        for seed in range(20):
            numbers = leaf_array(call(sample, seed).steps[0], "float64")
            assert len(np.unique(numbers)) == numbers.size
