"""Levels of forward mode, which torch nests in func only, against calculus."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import reference_engine
from reference_engine import forward
from tests.reference_engine.outcome import assert_as_in_torch
from tests.reference_engine.test_forward_mode import dual, tangent

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_tangents_end_with_their_level(engine: Any) -> None:
    def run(lib: Any) -> Any:
        fw = lib.autograd.forward_ad
        with fw.dual_level():
            d = dual(lib)
            y = d.exp()
        outside = fw.unpack_dual(y).tangent
        with fw.dual_level():
            return outside, tangent(lib, y), tangent(lib, d)

    assert_as_in_torch(run, engine)


@pytest.mark.parametrize("level", [None, 1])
def test_exits_that_do_not_fit(engine: Any, level: int | None) -> None:
    def run(lib: Any) -> Any:
        lib.autograd.forward_ad.exit_dual_level(level=level)

    assert_as_in_torch(run, engine)


def derivative(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def df(x: Any) -> Any:
        with forward.Level() as level:
            y = f(forward.make_dual(x, reference_engine.ones_like(x.detach()), level))
            return forward.unpack(y, level)[1]

    return df


def number(x: float) -> Any:
    return reference_engine.tensor(x, dtype=reference_engine.float64)


def test_levels_nest() -> None:
    second = derivative(derivative(reference_engine.sin))(number(0.7))
    third = derivative(derivative(derivative(lambda x: x**5)))(number(2.0))
    assert second.item() == pytest.approx(-math.sin(0.7), rel=1e-14)
    assert third.item() == pytest.approx(60 * 4, rel=1e-14)


def test_nested_levels_are_not_confused() -> None:
    """d/dx x·(d/dy (x + y) at 1) is 1 (Siskind & Pearlmutter 2005); with x·y inside it is 2x."""
    one, x = number(1.0), number(0.7)
    assert derivative(lambda x: x * derivative(lambda y: x + y)(one))(x).item() == 1.0
    assert derivative(lambda x: x * derivative(lambda y: x * y)(one))(x).item() == 1.4


def test_reverse_over_forward_over_reverse() -> None:
    """The third derivative of eˣ sin x is 2 eˣ (cos x − sin x)."""
    p = number(0.7).requires_grad_()
    with forward.Level() as level:
        d = forward.make_dual(p, number(1.0), level)
        (g,) = reference_engine.autograd.grad(d.exp() * d.sin(), d, create_graph=True)
        second = forward.tangent_of(g, level)
        assert second is not None
        (third,) = reference_engine.autograd.grad(second, p)
    expected = 2 * math.exp(0.7) * (math.cos(0.7) - math.sin(0.7))
    assert third.item() == pytest.approx(expected, rel=1e-14)


def test_a_level_leaves_no_cycle() -> None:
    """A tangent may be computed from its own tensor's node, which keeps it as long as the level."""
    gc.collect()
    gc.disable()
    try:
        p = number(0.7).requires_grad_()
        with forward.Level() as level:
            y = forward.make_dual(p, number(1.0), level).exp()
            node = weakref.ref(y.grad_fn)
        del y, level
        assert node() is None
    finally:
        gc.enable()
