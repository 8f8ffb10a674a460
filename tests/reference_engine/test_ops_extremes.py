"""First and second derivatives where formulas cancel, overflow or have no limit of their own:
against 40 digits, and against PyTorch where it chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

import reference_engine

mpmath.mp.dps = 40
_I = mpmath.besseli
EXACT: dict[str, Callable[[Any], Any]] = {
    "sinc": mpmath.sincpi,
    "special.i1": lambda x: _I(1, x),
    "special.i1e": lambda x: _I(1, x) * mpmath.exp(-abs(x)),
    "special.log_ndtr": lambda x: (
        mpmath.log1p(-mpmath.ncdf(-x)) if x > 0 else mpmath.log(mpmath.ncdf(x))
    ),
    "nn.functional.silu": lambda x: x / (1 + mpmath.exp(-x)),
    "nn.functional.logsigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "nn.functional.softplus": lambda x: mpmath.log1p(mpmath.exp(x)) if x < 20 else x,
}
POINTS = (1e-17, 1e-8, 1e-4, 0.29, 0.31, 0.9, 1.1, 5.0, 30.0, 50.0, -2.0, -30.0, -50.0)


def function(library: Any, name: str) -> Any:
    """A function of a library by its dotted name."""
    for part in name.split("."):
        library = getattr(library, part)
    return library


def slopes(library: Any, run: Callable[..., Any], *data: Any, device: str = "cpu") -> list[Any]:
    """Value, gradients, and gradients of the gradients' sum, as arrays."""
    xs = [library.tensor(np.float64(v), device=device).requires_grad_() for v in data]
    y = run(*xs)
    first = library.autograd.grad(y.sum(), xs, create_graph=True)
    found = [y, *first]
    if any(g.requires_grad for g in first):
        second = library.autograd.grad(sum(g.sum() for g in first), xs, allow_unused=True)
        found += [x * 0 if g is None else g for g, x in zip(second, xs, strict=True)]
    return [np.array(v.detach().numpy(force=True)) for v in found]


@pytest.mark.parametrize("name", EXACT)
def test_both_derivatives_keep_their_digits(name: str) -> None:
    _, first, second = slopes(reference_engine, function(reference_engine, name), POINTS)
    exact = [[float(mpmath.diff(EXACT[name], mpmath.mpf(x), n)) for x in POINTS] for n in (1, 2)]
    np.testing.assert_allclose(first, exact[0], rtol=1e-12)
    np.testing.assert_allclose(second, exact[1], rtol=1e-11, atol=1e-300)


def test_sinc_is_bent_at_zero() -> None:
    _, first, second = slopes(reference_engine, reference_engine.sinc, [0.0])
    assert first == 0
    assert second == pytest.approx(-(np.pi**2) / 3, rel=1e-15)


def test_logaddexp_is_differentiated_twice_far_from_equality() -> None:
    for gap in (30.0, 50.0, 700.0):
        _, _, _, *second = slopes(reference_engine, reference_engine.logaddexp, [gap, 0], [0, gap])
        share = float(mpmath.exp(-gap) / (1 + mpmath.exp(-gap)) ** 2)
        assert second == [pytest.approx(0, abs=1e-300)] * 2  # of both together: it cancels
        x = reference_engine.tensor([gap], dtype=reference_engine.float64, requires_grad=True)
        y = reference_engine.logaddexp(x, x.detach() * 0)
        (g,) = reference_engine.autograd.grad(y, x, create_graph=True)
        (h,) = reference_engine.autograd.grad(g, x)
        assert h.item() == pytest.approx(share, rel=1e-11)


def test_atan2_turns_at_any_distance() -> None:
    for size in (1e-200, 1e200):
        _, by_x, by_y, *_ = slopes(reference_engine, reference_engine.atan2, [3 * size], [4 * size])
        np.testing.assert_allclose([by_x[0] * size, by_y[0] * size], [0.16, -0.12], rtol=1e-15)


def test_lerp_meets_both_ends() -> None:
    ends = [reference_engine.tensor([v], dtype=reference_engine.float64) for v in (1e16, 1.0)]
    for weight in (1.0, ends[1]):
        assert reference_engine.lerp(*ends, weight).item() == 1


nan, inf = float("nan"), float("inf")
AS_TORCH: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "atan2 at zero": (lambda t, x, y: t.atan2(x, y), ([0.0, -0.0], [0.0, 0.0])),
    "angle far out": (lambda t, x: t.angle(x), ([inf, -inf, 2.0],)),
    "hardswish": (lambda t, x: t.nn.functional.hardswish(x), ([-3.0, 3.0],)),
    "elu at zero": (lambda t, x: t.nn.functional.elu(x, 0.5), ([0.0, -0.0],)),
    "selu at zero": (lambda t, x: t.nn.functional.selu(x), ([0.0, -1.0],)),
    "clamp by nan": (lambda t, x, y: t.clamp_min(x, y), ([1.0, nan, 2.0], [nan, 1.0, 1.0])),
    "clamp above by nan": (lambda t, x, y: t.clamp_max(x, y), ([1.0, 2.0], [nan, 1.0])),
}


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("case", AS_TORCH)
def test_choice_at_a_point_is_torchs(case: str, device: str) -> None:
    run, data = AS_TORCH[case]
    theirs = slopes(torch, lambda *xs: run(torch, *xs), *data)
    ours = slopes(reference_engine, lambda *xs: run(reference_engine, *xs), *data, device=device)
    # torch's second derivative of atan2 is nan there, and of angle it has none
    count = 1 + len(data) if case in ("atan2 at zero", "angle far out") else len(theirs)
    for g, e in zip(ours[:count], theirs[:count], strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-12)
