"""Clipping gradients against ``torch.nn.utils``."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest

from tests.reference_engine.outcome import assert_as_in_torch


def parameters(t: Any, *grads: list[float]) -> Any:
    """Parameters with these gradients, and one without any."""
    made = [t.nn.Parameter(t.ones(len(g))) for g in grads]
    for p, g in zip(made, grads, strict=True):
        p.grad = t.tensor(g)
    return [*made, t.nn.Parameter(t.ones(1))]


def clipped(*grads: list[float], **options: Any) -> Callable[[Any], Any]:
    def scenario(t: Any) -> Any:
        params = parameters(t, *(grads or ([3.0, 4.0], [-12.0])))
        total = t.nn.utils.clip_grad_norm_(params, **{"max_norm": 1.0, **options})
        return total, [p.grad for p in params if p.grad is not None]

    return scenario


def by_value(t: Any, **options: Any) -> Any:
    params = parameters(t, [3.0, -4.0], [0.5])
    made = t.nn.utils.clip_grad_value_(params, 1, **options)
    return made, [p.grad for p in params if p.grad is not None]


def with_norm(t: Any) -> Any:
    params = parameters(t, [3.0, -4.0])
    t.nn.utils.clip_grads_with_norm_(params, 2.0, t.tensor(10.0))
    return params[0].grad


CASES: dict[str, Callable[[Any], Any]] = {
    **{f"norm {kind}": clipped(norm_type=kind) for kind in (2, 1, 0, 3.5, inf, -inf, "inf")},
    "small enough": clipped(max_norm=100.0),
    "in one go": clipped(foreach=True),
    "one by one": clipped(foreach=False),
    "infinite": clipped([inf, 1.0]),
    "nan": clipped([nan, 1.0]),
    "infinite refused": clipped([inf, 1.0], error_if_nonfinite=True),
    "nan refused": clipped([nan, 1.0], error_if_nonfinite=True),
    "odd norm": clipped(norm_type="odd"),
    "zero gradients": clipped([0.0, 0.0]),
    "no gradients": lambda t: t.nn.utils.clip_grad_norm_([t.nn.Parameter(t.ones(1))], 1.0),
    "no parameters": lambda t: t.nn.utils.clip_grad_norm_([], 1.0),
    "used generator": lambda t: t.nn.utils.clip_grad_norm_((p for p in []), 1.0),
    "one parameter": lambda t: t.nn.utils.clip_grad_norm_(parameters(t, [3.0, 4.0])[0], 1.0),
    "by value": by_value,
    "by value in one go": lambda t: by_value(t, foreach=True),
    "with a norm": with_norm,
    "total norm": lambda t: t.nn.utils.get_total_norm([t.tensor([3.0]), t.tensor([4.0])]),
    "total of none": lambda t: t.nn.utils.get_total_norm([]),
    "total refused": lambda t: t.nn.utils.get_total_norm(
        [t.tensor([inf])], error_if_nonfinite=True
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_clipping_comes_to_what_it_does_in_torch(engine: Any, name: str) -> None:
    assert_as_in_torch(CASES[name], engine)
