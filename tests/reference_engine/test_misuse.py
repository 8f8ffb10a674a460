"""The misuse table of the semantics inventory: the same class of outcome as PyTorch, row by row.

Rows 112 to 118 and 120 are with the tests of func, functional and checkpoint.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch as pytorch

import reference_engine
from reference_engine.dispatch import Operator, apply
from reference_engine.ops.opdef import REGISTRY, OpDef
from tests.reference_engine import (
    misuse_of_forward,
    misuse_of_functions,
    misuse_of_graphs,
    misuse_of_hooks,
    misuse_of_tensors,
    misuse_of_transforms,
)
from tests.reference_engine.misuse import ROWS
from tests.reference_engine.outcome import assert_as_in_torch, outcome

assert misuse_of_forward
assert misuse_of_functions
assert misuse_of_graphs
assert misuse_of_hooks
assert misuse_of_tensors
assert misuse_of_transforms


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


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


def test_an_op_without_a_forward_rule_has_the_transpose_of_its_gradients() -> None:
    """Row 105. torch refuses such ops; here any vjp gives a jvp, its transpose."""
    op = OpDef(**vars(REGISTRY["linalg.inv"]) | {"jvp": None})
    x = reference_engine.tensor([[2.0, 1.0], [0.0, 4.0]])
    t, fw = reference_engine.tensor([[0.0, 0.0], [1.0, 0.0]]), reference_engine.autograd.forward_ad
    with fw.dual_level():
        tangent = fw.unpack_dual(apply(Operator(op), (fw.make_dual(x, t),), {})).tangent
    inverse = x.inverse()
    assert tangent.tolist() == (-(inverse @ t @ inverse)).tolist() != t.tolist()
    fw = pytorch.autograd.forward_ad
    scores = pytorch.ones(4, 2, 3).log_softmax(-1)
    with fw.dual_level(), pytest.raises(NotImplementedError):
        pytorch.nn.functional.ctc_loss(
            fw.make_dual(scores, scores), pytorch.tensor([[1], [2]]), (4, 4), (1, 1)
        )
