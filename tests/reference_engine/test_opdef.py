"""Declaring operations: what each kind of row derives, and which rows are refused."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

import numpy as np
import pytest

from reference_engine.ops.call import function_of
from reference_engine.ops.namespace import lookup
from reference_engine.ops.opdef import (
    ALIASES,
    REGISTRY,
    bilinear,
    composite,
    elementwise,
    linear,
    nondiff,
    own,
)
from reference_engine.ops.plan import Plan


@pytest.fixture(autouse=True)
def _registry_as_it_was() -> Iterator[None]:
    rows, aliases = dict(REGISTRY), dict(ALIASES)
    yield
    for table, before in ((REGISTRY, rows), (ALIASES, aliases)):
        table.clear()
        table.update(before)


def leaf(engine: Any, *numbers: float) -> Any:
    return engine.tensor(list(numbers), dtype=engine.float64, requires_grad=True)


def test_an_elementwise_row_gives_gradients_of_any_order(engine: Any) -> None:
    cube = function_of(elementwise("test_cube", lambda xp, x: x * x * x, dx=lambda F, x: 3 * x * x))
    x = leaf(engine, 1.0, 2.0)
    (g,) = engine.autograd.grad(cube(x).sum(), x, create_graph=True)
    (h,) = engine.autograd.grad(g.sum(), x)
    assert g.tolist() == [3.0, 12.0]
    assert h.tolist() == [6.0, 12.0]


def test_constant_partials_broadcasting_and_zero(engine: Any) -> None:
    op = elementwise("test_affine", lambda xp, a, b, c: a - 2 * b + 0 * c, da=1, db=-2, dc=0)
    a, b = leaf(engine, 1.0, 2.0), leaf(engine, 3.0)
    c = leaf(engine, float("inf"))
    function_of(op)(a, b, c).backward(engine.ones(2, dtype=engine.float64))
    assert [t.grad.tolist() for t in (a, b, c)] == [[1.0, 1.0], [-4.0], [0.0]]


def test_an_own_row_with_several_outputs_and_a_parameter(engine: Any) -> None:
    op = own(
        "test_split_at",
        lambda xp, x, *, at: (xp.copy(x[:at]), xp.copy(x[at:])),
        vjp_x=lambda F, g_low, g_high, at: F.cat(g_low, g_high * at),
        outputs=("low", "high"),
    )
    x = leaf(engine, 1.0, 2.0, 3.0)
    low, high = function_of(op)(x, at=2)
    high.sum().backward()
    assert low.tolist() == [1.0, 2.0]
    assert x.grad.tolist() == [0.0, 0.0, 2.0]
    assert (low.output_nr, high.output_nr) == (0, 1)


def test_a_bilinear_row(engine: Any) -> None:
    op = bilinear(
        "test_outer",
        lambda xp, a, b: a[:, None] * b[None, :],
        vjp_a=lambda F, g, b: F.sum(g * b, dim=1),
        vjp_b=lambda F, g, a: F.sum(g * F.unsqueeze(a, dim=1), dim=0),
    )
    a, b = leaf(engine, 1.0, 2.0), leaf(engine, 3.0, 4.0, 5.0)
    function_of(op)(a, b).sum().backward()
    assert a.grad.tolist() == [12.0, 12.0]
    assert b.grad.tolist() == [3.0, 3.0, 3.0]


def test_a_composite_is_differentiable_through_its_parts(engine: Any) -> None:
    op = composite("test_softsign", lambda F, x, scale=1.0: x * scale / (F.abs(x) + 1))
    x = leaf(engine, 1.0, -3.0)
    function_of(op)(x, scale=2.0).sum().backward()
    np.testing.assert_allclose(x.grad.tolist(), [0.5, 0.125])


def test_a_view_row_shares_memory_and_follows_writes(engine: Any) -> None:
    op = linear(
        "test_head",
        lambda xp, x, *, n: x[:n],
        transpose=lambda F, g, x_shape, n: F.cat(g, F.zeros_of(g, size=(x_shape[0] - n,))),
        view=True,
    )
    x = leaf(engine, 1.0, 2.0, 3.0)
    y = x * 1
    head = function_of(op)(y, n=2)
    head.mul_(5)
    y.sum().backward()
    assert y.tolist() == [5.0, 10.0, 3.0]
    assert x.grad.tolist() == [5.0, 5.0, 1.0]


def test_a_nondiff_row_makes_no_graph(engine: Any) -> None:
    op = nondiff("test_positive", lambda xp, x: x > 0)
    x = leaf(engine, 1.0, -1.0)
    assert function_of(op)(x).tolist() == [True, False]
    for y in (function_of(op)(x), x > 0, x == x, x <= 0, engine.eq(x, 1.0), x.ne(x * 2)):
        assert not y.requires_grad
        assert y.grad_fn is None


def test_only_what_the_rules_name_is_saved() -> None:
    assert Plan(REGISTRY["add"], (0, 1), False).sources == ()
    assert Plan(REGISTRY["exp"], (0,), False).sources == (1,)
    assert Plan(REGISTRY["mul"], (0,), False).sources == (1,)
    assert set(Plan(REGISTRY["mul"], (0, 1), False).sources) == {0, 1}
    assert Plan(REGISTRY["sum"], (0,), False).sources == ()


def test_names_are_found_as_rules_write_them() -> None:
    assert lookup("mse_loss") is REGISTRY["nn.functional.mse_loss"]
    assert lookup("subtract") is REGISTRY["sub"]
    assert lookup("sin") is REGISTRY["sin"]
    with pytest.raises(AttributeError, match="'nonsense'"):
        lookup("nonsense")


@pytest.mark.parametrize(
    ("declare", "error", "says"),
    [
        (lambda: elementwise("sin", "sin", dx=1), ValueError, "two rows"),
        (lambda: elementwise("test_a", "sin", dx=lambda F, z: z), TypeError, "z"),
        (lambda: elementwise("test_b", "sin", dx="cos"), TypeError, "dx"),
        (lambda: elementwise("test_c", "sin", dx=1, skips=()), TypeError, "skips"),
        (lambda: bilinear("test_d", lambda xp, a, b: a, vjp_a=lambda F, g: g), TypeError, "two"),
        (lambda: nondiff("test_e", lambda xp, x: x, view=True), TypeError, "view"),
        (lambda: linear("test_f", lambda xp, x, *xs: x), TypeError, "no other array input"),
    ],
)  # fmt: skip
def test_a_row_that_makes_no_sense_is_refused(declare: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        declare()


def test_facts_of_a_row_can_be_read() -> None:
    op = REGISTRY["log"]
    assert op.kind == "elementwise"
    assert op.inputs == ("x",)
    assert op.rules.keys() == {"x"}
    assert op.facts.domain["x"] == (0.0, inf)
    assert "log" in repr(op)


@pytest.mark.parametrize(
    "call",
    [
        lambda e: e.sin(),
        lambda e: e.sin(e.ones(1), e.ones(1)),
        lambda e: e.sin(e.ones(1), dim=0),
        lambda e: e.sin([1.0]),
        lambda e: e.sum(e.ones(1), dim=0, axis=0),
        lambda e: e.transpose(e.ones(1, 1), 0),
        lambda e: e.mul(2, 3),
        lambda e: e.ones(2) + "a",
        lambda e: e.ones(2) * [1, 2],
    ],
)
def test_arguments_that_do_not_fit_are_refused(engine: Any, call: Any) -> None:
    with pytest.raises(TypeError):
        call(engine)


def test_pytorchs_other_spellings_of_arguments(engine: Any) -> None:
    x = engine.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert engine.sum(input=x, axis=0, keepdims=True).tolist() == [[4.0, 6.0]]
    assert engine.add(x, other=x, alpha=2).tolist() == [[3.0, 6.0], [9.0, 12.0]]
    assert x.view(size=(4,)).tolist() == x.view(4).tolist() == x.view([4]).tolist()
    assert engine.cat(tensors=[x, x], dim=1).tolist() == engine.cat((x, x), 1).tolist()


def test_numpy_scalars_are_numbers(engine: Any) -> None:
    x = engine.ones(2)
    for two in (np.float64(2), np.float32(2), np.int64(2)):
        for y in (x * two, two * x, x + two, two - x):
            assert isinstance(y, engine.Tensor)
            assert y.dtype is engine.float32
