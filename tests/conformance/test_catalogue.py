"""The facts of the catalogue are checked against PyTorch, which had no part in writing them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conformance.catalogue import (
    APART,
    OPERATIONS,
    REACH,
    Interval,
    Operation,
    apart,
    share,
    within,
)

ELEMENTWISE = [op for op in OPERATIONS.values() if op.elementwise]
RANGES: list[Interval] = [(0.5, 2.0), (-2.0, 2.0), (-3.0, -0.5), (0.25, 3.0), (-1.0, 1.0)]


def function(op: Operation):
    found = torch
    for part in op.name.split("."):
        found = getattr(found, part)
    return found


def operands(op: Operation) -> int:
    return 2 if op.family == "binary" else 1


def samples(interval: Interval, seed: int) -> torch.Tensor:
    numbers = np.random.default_rng(seed).uniform(*interval, 400)
    numbers[:2] = interval
    return torch.tensor(numbers, requires_grad=True)


def calls(op: Operation):
    """Yield intervals of operands, a number or None, and the interval that the row promises."""
    for a in RANGES:
        if op.family == "number":
            yield from ((n, (a,), op.result((a,), n)) for n in op.numbers)
            continue
        yield from (
            (None, pair, op.result(pair)) for b in RANGES for pair in [(a, b)[: operands(op)]]
        )
        yield from ((n, (a,), op.result((a,), n)) for n in op.numbers)


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_results_lie_in_the_promised_interval_and_gradients_are_finite(op: Operation) -> None:
    tried = 0
    for number, intervals, promised in calls(op):
        if promised is None:
            continue
        tried += 1
        inputs = [samples(interval, seed) for seed, interval in enumerate(intervals)]
        extra = {"exponent" if op.name == "pow" else "other": number} if number is not None else {}
        result = function(op)(*inputs, **extra)
        slack = 1e-9 * (1 + max(map(abs, promised)))
        assert promised[0] - slack <= result.min().item(), (number, intervals)
        assert result.max().item() <= promised[1] + slack, (number, intervals)
        for gradient in torch.autograd.grad(result.sum(), inputs):
            assert torch.isfinite(gradient).all()
    assert tried > 0


def saved_by_torch(op: Operation) -> set[str]:
    """Return what PyTorch's node for the operation keeps of its operands and its result."""
    inputs = [torch.tensor([1.5, 1.75], requires_grad=True) for _ in range(operands(op))]
    if op.family == "matmul":
        inputs = [torch.rand(2, 2, requires_grad=True) for _ in range(2)]
    elif op.family in ("reduce", "along"):
        result = function(op)(inputs[0], dim=0)
        return _kept(result.grad_fn)
    elif op.family == "number":
        return _kept(function(op)(inputs[0], exponent=2.0).grad_fn)
    return _kept(function(op)(*inputs).grad_fn)


def _kept(node: torch.autograd.graph.Node) -> set[str]:
    tensors = {
        name.removeprefix("_saved_")
        for name in dir(node)
        if name.startswith("_saved_") and isinstance(getattr(node, name), torch.Tensor)
    }
    return {"output" if name == "result" else "input" for name in tensors}


@pytest.mark.parametrize(
    "op",
    [op for op in OPERATIONS.values() if op.family not in ("shape", "join")],
    ids=lambda op: op.name,
)
def test_saved_values_are_those_that_pytorch_saves(op: Operation) -> None:
    expected = {"input" if what == "other" else what for what in op.saves}
    assert saved_by_torch(op) == expected


@pytest.mark.parametrize(
    "name", ["transpose", "unsqueeze", "permute", "narrow", "select", "expand"]
)
def test_views_share_memory(name: str) -> None:
    assert OPERATIONS[name].view


def test_kinks_zero_divisors_and_domains_are_kept_away_from() -> None:
    assert OPERATIONS["abs"].result(((-1.0, 1.0),)) is None
    assert OPERATIONS["abs"].result(((APART, 1.0),)) == (APART, 1.0)
    assert OPERATIONS["div"].result(((1.0, 2.0), (-1.0, 1.0))) is None
    assert OPERATIONS["log"].result(((0.0, 1.0),)) is None
    assert OPERATIONS["maximum"].result(((0.0, 1.0), (0.5, 2.0))) is None
    assert OPERATIONS["maximum"].result(((0.0, 1.0), (1.25, 2.0))) == (1.25, 2.0)
    assert OPERATIONS["mul"].result(((-REACH, REACH), (2.0, 2.0))) is None


def test_sums_count_their_terms() -> None:
    assert OPERATIONS["sum"].result(((-1.0, 2.0),), 3.0) == (-3.0, 6.0)
    assert OPERATIONS["mean"].result(((-1.0, 2.0),), 3.0) == (-1.0, 2.0)
    assert OPERATIONS["matmul"].result(((1.0, 2.0), (-1.0, 3.0)), 4.0) == (-8.0, 24.0)


def test_intervals() -> None:
    assert within((1.0, 2.0), (1.0, 3.0))
    assert not within((0.9, 2.0), (1.0, 3.0))
    assert apart((APART, 1.0), 0.0)
    assert not apart((-1.0, 1.0), 0.0)


def test_a_share_counts_operations_of_the_catalogue_alone() -> None:
    assert share(("mul", "sin", "no such operation")) == f"2 of {len(OPERATIONS)}"
    assert share(OPERATIONS) == f"{len(OPERATIONS)} of {len(OPERATIONS)}"
    assert share(None) == ""
