"""Arguments that PyTorch's own samples leave out: what they do to value, dtype and gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import reference_engine

nan, inf = float("nan"), float("inf")
_GRID = np.linspace(-1.1, 1.2, 24).reshape(1, 2, 3, 4)
CASES: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "any over nothing": (lambda t, x: x.any(dim=()), [[0, 2], [3, 0]]),
    "sum as int32": (lambda t, x: x.sum(dtype=t.int32), [1, 2]),
    "prod as bool": (lambda t, x: x.prod(dtype=t.bool), [1, 2]),
    "cumsum of a scalar": (lambda t, x: x.cumsum(0), True),
    "cumprod of bytes": (lambda t, x: x.to(t.uint8).cumprod(0), [1, 2]),
    "gather of a bool": (lambda t, x: x.gather(0, t.tensor(0)), True),
    "scatter into a bool": (lambda t, x: x.scatter(0, t.tensor(0), x), True),
    "scatter a number into an integer": (lambda t, x: x.scatter(0, t.tensor(0), 2.5), 1),
    "scatter a number into integers": (lambda t, x: x.scatter(0, t.tensor([1]), 2.5), [1, 2]),
    "index_reduce of a scalar": (
        lambda t, x: x.index_reduce(0, t.tensor([0]), x.detach() * 2, "mean"), np.float32(3)),
    "mean of integers": (
        lambda t, x: x.scatter_reduce(0, t.tensor([0]), x[1:], "mean"), [-4, -5]),
    "masked integers": (
        lambda t, x: t.masked.amin(x, 0, mask=t.tensor([False, False])), [1, 2]),
    "matrix_power 0": (lambda t, x: t.linalg.matrix_power(x, 0), [[1.0, 2.0], [3.0, 4.0]]),
    "argsort": (lambda t, x: t.argsort(x, stable=True), [2.0, 1.0, 2.0]),
    "rms_norm of small numbers": (
        lambda t, x: t.nn.functional.rms_norm(x, (3,)), np.float32([1e-4, -2e-4, 3e-5])),
    "layer_norm of halves": (
        lambda t, x: t.nn.functional.layer_norm(x, (3,)), np.float16([500, -700, 1000])),
    "rms_norm of halves": (
        lambda t, x: t.nn.functional.rms_norm(x, (3,), eps=0.5), np.float16([500, -700, 1000])),
    "group_norm of halves": (
        lambda t, x: t.nn.functional.group_norm(x[None], 1), np.float16([500, -700, 1000])),
    "attention to nothing": (
        lambda t, x: t.nn.functional.scaled_dot_product_attention(
            x, x, x, t.tensor([[True, True], [False, False]])), [[[1.0, 2.0], [3.0, 4.0]]]),
    "smooth_l1 at its kink": (
        lambda t, x: t.nn.functional.smooth_l1_loss(x, x.detach() * 0, reduction="none", beta=2.0),
        [2.0, -2.0, 1.0]),
    "huber at its kink": (
        lambda t, x: t.nn.functional.huber_loss(x, x.detach() * 0, reduction="none", delta=2.0),
        [2.0, -2.0, 1.0]),
    "cross_entropy of nothing": (
        lambda t, x: t.nn.functional.cross_entropy(x, t.zeros(0, dtype=t.int64)),
        np.zeros((0, 3))),
    "multilabel_margin of a row": (
        lambda t, x: t.nn.functional.multilabel_margin_loss(
            x, t.tensor([1, -1, 0]), reduction="none"), [0.1, 0.2, 0.3]),
    "bilinear antialias": (
        lambda t, x: t.nn.functional.interpolate(x, (1, 3), mode="bilinear", antialias=True),
        _GRID),
    "bicubic antialias": (
        lambda t, x: t.nn.functional.interpolate(x, (2, 2), mode="bicubic", antialias=True),
        _GRID),
    "nearest of a grid": (
        lambda t, x: t.nn.functional.grid_sample(
            x.detach(), x.reshape(1, 3, 4, 2), mode="nearest", align_corners=False), _GRID),
}  # fmt: skip


def outcome(
    library: Any, device: str, run: Callable[[Any, Any], Any], data: Any, twice: bool
) -> list[Any]:
    """Dtype, value and, where there is one, gradient and (``twice``) its own."""
    x = library.tensor(np.asarray(data), device=device)
    x = x.requires_grad_() if x.is_floating_point() else x
    y = run(library, x)
    found = [str(y.dtype).rpartition(".")[2], y]
    if y.requires_grad:
        weighed = (y * (y.detach() ** 2 + 1)).sum()
        found += library.autograd.grad(weighed, [x], create_graph=twice)
        if twice:
            found += library.autograd.grad(found[-1].sum(), [x])
    return found


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning", "ignore:size_average:UserWarning")
def test_arguments_mean_what_they_mean_to_torch(case: str, device: str) -> None:
    run, data = CASES[case]
    theirs = outcome(torch, "cpu", run, data, "kink" in case)
    reference_engine.set_default_device(device)
    try:
        ours = outcome(reference_engine, device, run, data, "kink" in case)
    finally:
        reference_engine.set_default_device("cpu")
    assert ours[0] == theirs[0]
    rtol = 4e-3 if "half" in case or "halves" in case else 1e-5 if ours[0] == "float32" else 1e-11
    for g, e in zip(ours[1:], theirs[1:], strict=True):
        numbers = [np.array(v.detach().numpy(force=True), ndmin=1) for v in (g, e)]
        assert g.shape == e.shape
        size = np.abs(numbers[1]).max(initial=0, where=np.isfinite(numbers[1]))
        np.testing.assert_allclose(*numbers, rtol=rtol, atol=rtol * size)


@pytest.mark.parametrize("target", [-1, 3])
def test_classes_that_there_are_none_of_are_refused(target: int) -> None:
    for library in (torch, reference_engine):
        logits, classes = library.zeros(2, 3), library.tensor([0, target])
        with pytest.raises(IndexError):
            library.nn.functional.cross_entropy(logits, classes)
