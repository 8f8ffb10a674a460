"""The misuse table of the semantics inventory: the same class of outcome as PyTorch, row by row.

Rows of features that the engine does not have yet are not here.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch as pytorch

from tests.reference_engine import (
    misuse_of_functions,
    misuse_of_graphs,
    misuse_of_hooks,
    misuse_of_tensors,
)
from tests.reference_engine.misuse import ROWS
from tests.reference_engine.outcome import assert_as_in_torch, outcome

assert misuse_of_functions
assert misuse_of_graphs
assert misuse_of_hooks
assert misuse_of_tensors


@pytest.mark.parametrize("number", ROWS)
def test_a_row_of_the_misuse_table_comes_to_what_it_does_in_torch(engine: Any, number: int) -> None:
    assert_as_in_torch(ROWS[number][1], engine)


@pytest.mark.parametrize("number", ROWS)
def test_a_refusal_is_a_sentence_of_its_own(engine: Any, number: int) -> None:
    _, scenario = ROWS[number]
    refused = outcome(scenario, engine)
    if refused.raised is not None:
        assert len(refused.message) > 25
        assert refused.message != outcome(scenario, pytorch).message
