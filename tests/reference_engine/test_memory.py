"""Which results share memory with inputs: views do and say so, everything else must not.

An output that shared memory without sharing the version counter would let in-place writes go
unnoticed, the silent error that the counters are there to prevent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference_engine
from reference_engine.dispatch import apply, operator
from reference_engine.fast import quick
from reference_engine.ops.table import TABLE
from tests.reference_engine.op_samples import cases, inputs, samples

CASES = [case for case in cases(TABLE) if TABLE[case[0]].kind != "composite"]


def tensors(value: Any) -> list[Any]:
    if isinstance(value, reference_engine.Tensor):
        return [value]
    return [t for part in value for t in tensors(part)] if isinstance(value, tuple) else []


@pytest.mark.parametrize(("name", "number"), CASES)
def test_only_views_share_memory_with_their_input(name: str, number: int) -> None:
    op = TABLE[name]
    sample = samples(op)[number]
    kind = "complex128" if name == "view_as_real" else "float64"
    made = [
        reference_engine.tensor(x) if isinstance(x, np.ndarray) else x
        for x in inputs(op, sample, kind)
    ]
    outs = tensors(apply(operator(op), made, sample[1]))
    assert outs
    if not sample[1]:  # the short way, where there is one, now that there is a kernel
        outs += tensors(quick(op)(*made))
    for out in outs:
        for x in tensors(tuple(made)):
            shared = np.shares_memory(out._raw, x._raw)
            assert shared <= (out._storage is x._storage), f"{name} returns its input's memory"
            assert out._is_view() is op.view
