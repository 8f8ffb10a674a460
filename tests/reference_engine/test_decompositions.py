"""Decompositions that are drawn at random or whose refusals matter: what torch's samples cannot
compare.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import reference_engine
from reference_engine import linalg


def _numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("name", ["svd_lowrank", "pca_lowrank"])
def test_a_low_rank_matrix_has_the_factors_and_gradients_of_its_svd(name: str, device: str) -> None:
    left, right = _numbers(5, 2), _numbers(4, 2, seed=1)
    x = reference_engine.tensor(left @ right.T, device=device).requires_grad_()
    u, s, v = getattr(reference_engine, name)(x, q=2)
    centred = left @ right.T - (left @ right.T).mean(0) * (name == "pca_lowrank")
    np.testing.assert_allclose(((u * s) @ v.mH).detach().cpu().numpy(), centred, atol=1e-10)
    (got,) = reference_engine.autograd.grad((s * s).sum(), x)
    other = torch.tensor(left @ right.T, requires_grad=True)
    shifted = other - other.mean(0) if name == "pca_lowrank" else other
    (expected,) = torch.autograd.grad((torch.linalg.svdvals(shifted)[:2] ** 2).sum(), other)
    np.testing.assert_allclose(got.cpu().numpy(), expected.numpy(), atol=1e-9)


def test_attention_without_dropout_is_torchs() -> None:
    given = [_numbers(3, 2, 4, seed=i) for i in range(3)]
    shapes = [(12, 4), (12,), (1, 1, 4), (1, 1, 4), (4, 4), (4,)]
    weights = [_numbers(*shape, seed=9 + i) for i, shape in enumerate(shapes)]
    results = []
    for library in (torch, reference_engine):
        q, k, v, w, b, bk, bv, ow, ob = (library.tensor(a).requires_grad_() for a in
                                         (*given, *weights))  # fmt: skip
        made, shares = library.nn.functional.multi_head_attention_forward(
            q, k, v, 4, 2, w, b, bk, bv, True, 0.0, ow, ob)  # fmt: skip
        total = (made * made).sum() + (shares * shares).sum()
        gradients = library.autograd.grad(total, [q, k, v, w, b, bk, bv, ow, ob])
        results.append([x.detach().numpy() for x in (made, shares, *gradients)])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11)


def test_lu_without_pivots_is_refused() -> None:
    with pytest.raises(RuntimeError, match="pivot"):
        linalg.lu_factor(reference_engine.ones(2, 2), pivot=False)


@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_an_exponential_of_a_large_matrix_is_good_to_its_last_digits(device: str) -> None:
    """The exact exponential by 50 digits of mpmath; scipy.linalg.expm misses it by 1e-12."""
    rows = [[1.953125, -0.359375, 0.3125], [-1.875, -0.15625, -0.75], [1.296875, -1.75, 1.4375]]
    exact = [
        [11.060719493527822, -2.6428010467034997, 2.873346633204542],
        [-10.08405478290852, 3.6587044409668237, -3.65966189618159],
        [16.18453180767505, -6.764151391141961, 8.453808880219897],
    ]
    batch = np.array([rows, np.full((3, 3), np.nan), np.zeros((3, 3))])
    found = linalg.matrix_exp(reference_engine.tensor(batch, device=device)).cpu().numpy()
    np.testing.assert_allclose(found[0], exact, rtol=0, atol=5e-14)
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[2], np.eye(3))


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("size", [1e-200, 1e10, 1e300])
def test_the_gradient_of_an_exponential_is_as_good_for_any_size_of_cotangent(
    device: str, size: float
) -> None:
    """As [[x, g], [0, x]], unscaled, it has no right digit left at 1e18."""
    batch = np.array([_numbers(3, 3), np.zeros((3, 3))])
    found = []
    for scale in (1.0, size):
        x = reference_engine.tensor(batch, device=device).requires_grad_()
        weights = _numbers(2, 3, 3, seed=2) * scale
        linalg.matrix_exp(x).backward(reference_engine.tensor(weights, device=device))
        assert x.grad is not None
        found.append(x.grad.cpu().numpy() / scale)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-13)


def test_undefined_and_empty_directions_of_an_exponential_pass() -> None:
    x = reference_engine.zeros(2, 2, 2, requires_grad=True)
    cotangent = np.zeros((2, 2, 2), np.float32)
    cotangent[1, 0, 0] = np.inf
    linalg.matrix_exp(x).backward(reference_engine.tensor(cotangent))
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy()[0], 0)
    empty = reference_engine.zeros(2, 0, 0, requires_grad=True)
    linalg.matrix_exp(empty).sum().backward()
    assert empty.grad is not None
    assert empty.grad.shape == (2, 0, 0)
