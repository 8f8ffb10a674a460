"""Random operations: the moments of what they draw, its exact structure, and the gradient given
what was drawn, by reverse and forward mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

N = 20_000
#: how many standard deviations of a mean of N are allowed: the generators are seeded
SIGMAS = 4.5
SELU_LEAST = -1.7580993408473766  # -λα of selu

Operation = Callable[[Any, Any], Any]


def seeded(lib: Any, run: Operation, x: Any) -> Any:
    lib.manual_seed(3)
    return run(lib, x)


def pair(lib: Any, run: Operation, data: Any) -> tuple[Any, Any, Any]:
    """Value, gradient of the sum, and tangent along ones, of the same draws; as arrays."""
    x = lib.tensor(data).requires_grad_()
    y = seeded(lib, run, x)
    y.sum().backward()
    with lib.autograd.forward_ad.dual_level():
        dual = lib.autograd.forward_ad.make_dual(lib.tensor(data), lib.ones_like(x.detach()))
        tangent = lib.autograd.forward_ad.unpack_dual(seeded(lib, run, dual)).tangent
    return tuple(v.detach().cpu().numpy() for v in (y, x.grad, tangent))


def check_mean(values: Any, mean: float, deviation: float) -> None:
    assert abs(values.mean() - mean) <= SIGMAS * deviation / np.sqrt(values.size)


DATA = np.random.default_rng(0).normal(size=(N,)) + 3.0
IMAGES = np.random.default_rng(1).normal(size=(40, 50, 2, 5)) + 3.0


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_zeros_and_scales(engine: Any, p: float) -> None:
    y, g, t = pair(engine, lambda lib, x: lib.nn.functional.dropout(x, p), DATA)
    kept = y != 0
    check_mean(kept, 1 - p, np.sqrt(p * (1 - p)))
    np.testing.assert_allclose(y, np.where(kept, DATA / (1 - p), 0), rtol=1e-14)
    np.testing.assert_allclose(g, kept / (1 - p), rtol=1e-14)
    np.testing.assert_array_equal(t, g)


@pytest.mark.parametrize("name", ["dropout2d", "feature_alpha_dropout"])
def test_whole_channels_are_dropped(engine: Any, name: str) -> None:
    _, g, t = pair(
        engine, lambda lib, x: getattr(lib.nn.functional, name)(x, 0.4, training=True), IMAGES
    )
    kept = g.reshape(2000, 10) != 0
    assert (kept == kept[:, :1]).all()
    check_mean(kept[:, 0], 0.6, np.sqrt(0.24))
    np.testing.assert_array_equal(t, g)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(engine: Any, p: float) -> None:
    data = DATA - 3.0
    y, g, t = pair(engine, lambda lib, x: lib.nn.functional.alpha_dropout(x, p, True), data)
    kept = g != 0
    check_mean(kept, 1 - p, np.sqrt(p * (1 - p)))
    scale = ((1 - p) * (1 + p * SELU_LEAST**2)) ** -0.5
    shift = -scale * p * SELU_LEAST
    np.testing.assert_allclose(y, np.where(kept, data, SELU_LEAST) * scale + shift, rtol=1e-12)
    np.testing.assert_allclose(g, kept * scale, rtol=1e-14)
    np.testing.assert_array_equal(t, g)
    check_mean(y - data.mean() * scale * (1 - p), 0, 1)
    check_mean(np.square(y), 1, 2)


def test_rrelu_draws_slopes(engine: Any) -> None:
    data = DATA - 3.0
    run: Operation = lambda lib, x: lib.nn.functional.rrelu(x, 0.1, 0.4, training=True)  # noqa: E731
    y, g, t = pair(engine, run, data)
    low = data < 0
    assert (g[~low] == 1).all()
    assert (g[low] >= 0.1).all()
    assert (g[low] <= 0.4).all()
    assert len(np.unique(g[low])) == low.sum(), "each element has a slope of its own"
    check_mean(g[low], 0.25, 0.3 / np.sqrt(12))
    np.testing.assert_allclose(y, data * g, rtol=1e-14)
    np.testing.assert_array_equal(t, g)
    _, mean, _ = pair(engine, lambda lib, x: lib.nn.functional.rrelu(x, 0.1, 0.4), data)
    np.testing.assert_allclose(mean[low], 0.25, rtol=1e-14)


def test_bernoulli_is_constant(engine: Any) -> None:
    chances = np.random.default_rng(2).uniform(size=N)
    y, g, t = pair(engine, lambda lib, x: lib.bernoulli(x), chances)
    assert set(np.unique(y)) == {0.0, 1.0}
    check_mean(y - chances, 0, 0.5)
    assert np.corrcoef(y, chances)[0, 1] > 0.5, "each element has a chance of its own"
    assert not g.any()
    assert not t.any()
    y, _, _ = pair(engine, lambda lib, x: lib.bernoulli(x, 0.3), chances)
    check_mean(y, 0.3, np.sqrt(0.21))


def test_normal_moves_with_its_mean_and_deviation(engine: Any) -> None:
    y, g, t = pair(engine, lambda lib, x: lib.normal(x, 2.0), DATA)
    noise = (y - DATA) / 2
    check_mean(noise, 0, 1)
    check_mean(np.square(noise), 1, np.sqrt(2))
    assert (g == 1).all()
    assert (t == 1).all()
    y, g, t = pair(engine, lambda lib, x: lib.normal(5.0, x.abs()), DATA)
    np.testing.assert_allclose(y, 5 + np.abs(DATA) * g * np.sign(DATA), rtol=1e-12)
    check_mean(g * np.sign(DATA), 0, 1)
    np.testing.assert_array_equal(t, g)


def test_normal_of_numbers_and_of_both_tensors(engine: Any) -> None:
    engine.manual_seed(0)
    drawn = engine.normal(2.0, 3.0, (N,), requires_grad=True)
    assert drawn.is_leaf
    assert drawn.shape == (N,)
    check_mean(drawn.detach().cpu().numpy(), 2, 3)
    mean, std = (engine.ones(size, requires_grad=True) for size in ((4, 1), (3,)))
    y = engine.normal(mean, std)
    y.sum().backward()
    assert y.shape == (4, 3)
    np.testing.assert_allclose(mean.grad.cpu().numpy(), np.full((4, 1), 3.0))
    noise = (y.detach().cpu().numpy() - 1).sum(0)
    np.testing.assert_allclose(std.grad.cpu().numpy(), noise, rtol=1e-5)


REFUSED: dict[str, tuple[Operation, type[Exception]]] = {
    "dropout": (lambda lib, x: lib.nn.functional.dropout(x, 1.5), ValueError),
    "alpha_dropout": (lambda lib, x: lib.nn.functional.alpha_dropout(x, -0.5), ValueError),
    "feature_alpha_dropout": (
        lambda lib, x: lib.nn.functional.feature_alpha_dropout(x, 2.0), ValueError),
    "normal, negative": (lambda lib, x: lib.normal(x, -1.0), RuntimeError),
    "normal, a negative one": (lambda lib, x: lib.normal(0.0, -x), RuntimeError),
    "normal, integers": (lambda lib, x: lib.normal(x.long(), 1.0), RuntimeError),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_torchs(engine: Any, case: str) -> None:
    run, kind = REFUSED[case]
    for lib in (torch, engine):
        with pytest.raises(kind):
            run(lib, lib.ones(2, 3))


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout"])
def test_all_or_nothing(engine: Any, name: str) -> None:
    for lib in (torch, engine):
        function = getattr(lib.nn.functional, name)
        x = lib.ones(5, requires_grad=True)
        for p, expected in ((0.0, 1.0), (1.0, 0.0)):
            y = function(x, p, training=True)
            y.sum().backward()
            assert y.tolist() == [expected] * 5
            assert x.grad.tolist() == [expected] * 5
            x.grad = None
        assert function(x, 0.5, training=False).tolist() == [1.0] * 5


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "rrelu"])
def test_in_place_writes_and_is_tracked(engine: Any, name: str) -> None:
    for lib in (torch, engine):
        function = getattr(lib.nn.functional, name)
        x = lib.full((100,), -1.0, requires_grad=True)
        middle = x * 1
        lib.manual_seed(0)
        y = function(middle, training=True, inplace=True)
        assert y is middle
        assert middle._version > 0
        y.sum().backward()
        slopes = {round(v, 4) for v in x.grad.tolist()}
        assert slopes != {1.0}
        with pytest.raises(RuntimeError):
            function(lib.ones(2, requires_grad=True), training=True, inplace=True)
