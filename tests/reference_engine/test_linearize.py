"""``func.linearize`` against PyTorch's, and where PyTorch's tracer gives what is no derivative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch as pytorch

from tests.reference_engine.outcome import assert_same, outcome


def point(t: Any, grad: bool = False) -> Any:
    return t.tensor([0.5, 1.0, 2.0], dtype=t.float64, requires_grad=grad)


def direction(t: Any, grad: bool = False) -> Any:
    return t.tensor([1.0, -1.0, 3.0], dtype=t.float64, requires_grad=grad)


def cube(x: Any) -> Any:
    return x**3


def runs(t: Any) -> Any:
    """How often the derivative runs the function, and that its values are those of each tangent."""
    calls = []

    def counted(x: Any) -> Any:
        calls.append(x)
        return x.sin() * x

    _, push = t.func.linearize(counted, point(t))
    before = len(calls)
    return push(direction(t)), push(direction(t) * 2), len(calls) - before


def tracked(t: Any, x: Any, tangent: Any) -> Any:
    value, push = t.func.linearize(cube, x)
    made = push(tangent)
    return value, value.requires_grad, made, made.requires_grad


def custom(t: Any) -> Any:
    """A function that has a rule for tangents, and none for cotangents."""

    class Sine(t.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.x = x
            return x.sin()

        @staticmethod
        def jvp(ctx: Any, tangent: Any) -> Any:
            return tangent * ctx.x.cos()

    return t.func.linearize(Sine.apply, point(t))[1](direction(t))


def of_trees(t: Any) -> Any:
    value, push = t.func.linearize(lambda a, b: {"y": a * b, "z": [b.sum()]}, point(t), point(t))
    made = push(direction(t), point(t))
    return value["y"], value["z"][0], made["y"], made["z"][0]


CASES: dict[str, Callable[[Any], Any]] = {
    "runs": runs,
    "trees": of_trees,
    "custom": custom,
    "plain": lambda t: tracked(t, point(t), direction(t)),
    "tracked_point": lambda t: tracked(t, point(t, True), direction(t)),
    "tracked_tangent": lambda t: tracked(t, point(t), direction(t, True)),
    "in_no_grad": lambda t: t.no_grad()(tracked)(t, point(t, True), direction(t)),
    "independent": lambda t: t.func.linearize(lambda x: x.detach() * 2, point(t))[1](direction(t)),
    "constant": lambda t: t.func.linearize(lambda x: t.ones(2), point(t))[1](direction(t)),
    "mapped": lambda t: t.func.vmap(t.func.linearize(cube, point(t))[1])(
        t.stack([point(t), direction(t)])
    ),
    "complex": lambda t: t.func.linearize(
        lambda z: z * z.conj() * z, t.complex(point(t), direction(t))
    )[1](t.complex(direction(t), point(t))),
    "nothing": lambda t: t.func.linearize(lambda x: (), point(t))[1](direction(t)),
    "refuses_another_structure": lambda t: t.func.linearize(cube, point(t))[1]((direction(t),)),
    "refuses_another_dtype": lambda t: t.func.linearize(cube, point(t))[1](direction(t).float()),
    "refuses_another_shape": lambda t: t.func.linearize(cube, point(t))[1](direction(t)[:2]),
    "refuses_integers": lambda t: t.func.linearize(cube, t.ones(3, dtype=t.int64)),
}


@pytest.mark.parametrize("name", CASES)
def test_linearize_comes_to_what_it_does_in_torch(engine: Any, name: str) -> None:
    expected = replace(outcome(CASES[name], pytorch), warned=())  # torch warns of its tracer
    assert_same(expected, outcome(CASES[name], engine))


def test_linearize_can_be_differentiated_by_point_and_tangent(engine: Any) -> None:
    """PyTorch's gives 0 by the tangent, and by the point memory that nobody has written."""
    x, v = point(engine), direction(engine)
    by_point = engine.func.grad(lambda u: engine.func.linearize(cube, u)[1](v).sum())(x)
    assert engine.allclose(by_point, 6 * x * v)
    by_tangent = engine.func.grad(lambda u: engine.func.linearize(cube, x)[1](u).sum())(v)
    assert engine.allclose(by_tangent, 3 * x**2)


def test_linearize_in_vmap_and_in_forward_mode(engine: Any) -> None:
    """PyTorch refuses both: its forward mode neither maps nor nests there."""
    x, v = point(engine), direction(engine)
    points = engine.stack([x, v])
    mapped = engine.func.vmap(lambda u: engine.func.linearize(cube, u)[1](v))(points)
    assert engine.allclose(mapped, 3 * points**2 * v)
    _, second = engine.func.jvp(lambda u: engine.func.linearize(cube, u)[1](v), (x,), (v,))
    assert engine.allclose(second, 6 * x * v * v)
