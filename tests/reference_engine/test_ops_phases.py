"""Losses that depend on what a factorisation does not determine are refused, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

_RNG = np.random.default_rng(0)
REAL = _RNG.normal(size=(3, 3))
COMPLEX = REAL + 1j * _RNG.normal(size=(3, 3))
HERMITIAN = COMPLEX + COMPLEX.conj().T
TALL = COMPLEX[:, :2]

Case = tuple[Callable[[Any, Any], Any], Any]


def _svd(t: Any, x: Any) -> Any:
    return t.linalg.svd(x, full_matrices=False)


REFUSED: dict[str, Case] = {
    "left vectors": (lambda t, x: _svd(t, x)[0].real.sum(), TALL),
    "right vectors": (lambda t, x: _svd(t, x)[2].imag.sum(), TALL),
    "vectors of two decompositions": (
        lambda t, x: (_svd(t, x)[0] @ _svd(t, x.detach())[2]).real.sum(), COMPLEX),
    "eigenvectors of a hermitian matrix": (lambda t, x: t.linalg.eigh(x)[1].imag.sum(), HERMITIAN),
    "eigenvectors": (lambda t, x: t.linalg.eig(x)[1].real.sum(), COMPLEX),
    "eigenvectors of a real matrix": (
        lambda t, x: t.linalg.eig(x)[1].real.sum(), REAL - 2 * REAL.T),
    "all of Q of a tall matrix": (
        lambda t, x: t.linalg.qr(x, mode="complete")[0].abs().sum(), TALL),
    "R alone": (lambda t, x: t.linalg.qr(x, mode="r")[1].abs().sum(), COMPLEX),
}  # fmt: skip
TAKEN: dict[str, Case] = {
    "left and right vectors together": (
        lambda t, x: (lambda u, s, v: (u @ v).real.sum())(*_svd(t, x)), COMPLEX),
    "sizes of left vectors": (lambda t, x: _svd(t, x)[0].abs().sum(), TALL),
    "sizes of right vectors of a wide matrix": (
        lambda t, x: _svd(t, x)[2].abs().square().sum(), TALL.T.copy()),
    "real left vectors": (lambda t, x: _svd(t, x)[0].sum(), REAL),
    "singular values": (lambda t, x: t.linalg.svdvals(x).sum(), TALL),
    "sizes of eigenvectors of a hermitian matrix": (
        lambda t, x: t.linalg.eigh(x)[1].abs().sum(), HERMITIAN),
    "real eigenvectors": (lambda t, x: t.linalg.eigh(x)[1].sum(), REAL + REAL.T),
    "sizes of eigenvectors": (lambda t, x: t.linalg.eig(x)[1].abs().sum(), COMPLEX),
    "a projector": (
        lambda t, x: (lambda v: (v[:, :1] @ v[:, :1].mH).imag.square().sum())(t.linalg.eigh(x)[1]),
        HERMITIAN),
    "Q of a tall matrix": (lambda t, x: t.linalg.qr(x)[0].real.sum(), TALL),
    "all of Q of a wide matrix": (
        lambda t, x: t.linalg.qr(x, mode="complete")[0].real.sum(), TALL.T.copy()),
}  # fmt: skip


def gradient(lib: Any, case: Case) -> Any:
    function, data = case
    x = lib.tensor(data).requires_grad_()
    function(lib, x).backward()
    return np.array(x.grad.cpu().resolve_conj().numpy())


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_determined_has_no_gradient(engine: Any, case: str) -> None:
    for lib in (torch, engine):
        with pytest.raises(RuntimeError):
            gradient(lib, REFUSED[case])


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_determined_has_torchs_gradient(engine: Any, case: str) -> None:
    expected = gradient(torch, TAKEN[case])
    np.testing.assert_allclose(gradient(engine, TAKEN[case]), expected, rtol=1e-9, atol=1e-11)


def test_each_item_of_a_batch_is_judged(engine: Any) -> None:
    def loss(x: Any) -> Any:
        return engine.linalg.eigh(x)[1].abs().sum()

    def depends(x: Any) -> Any:
        return engine.linalg.eigh(x)[1].real.sum()

    batch = engine.tensor(np.stack([HERMITIAN, HERMITIAN @ HERMITIAN]))
    found = engine.func.vmap(engine.func.grad(loss))(batch)
    alone = [engine.func.grad(loss)(x) for x in batch]
    np.testing.assert_allclose(found[1].cpu().numpy(), alone[1].cpu().numpy(), rtol=1e-12)
    with pytest.raises(RuntimeError, match="phases"):
        engine.func.vmap(engine.func.grad(depends))(batch)
