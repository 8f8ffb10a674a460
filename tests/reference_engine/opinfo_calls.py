"""The reference engine's functions, called as PyTorch's database calls torch's: by its name of the
entry, where it wraps them in functions of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import reference_engine

_NN = reference_engine.nn.functional
_LINALG = reference_engine.linalg


def _given_samples(name: str, n: int) -> Callable[..., Any]:
    """Fractional pooling with the numbers that torch draws from the database's seed."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        torch.manual_seed(42)
        planes = tuple(x.shape[: x.ndim - n]) if x.ndim == n + 2 else (1, x.shape[0])
        drawn = torch.rand(*planes, n, dtype=torch.float64)
        drawn = reference_engine.tensor(drawn.numpy(), device=str(x.device))
        kwargs.setdefault("_random_samples", drawn)
        return getattr(_NN, name)(x, *args, **kwargs)

    return call


def _pool_of_ones(x: Any, stride: Any = (), **kwargs: Any) -> Any:
    """The gradient of max_pool2d's sum, by the kernel that computes it."""
    kwargs.pop("return_indices")
    out, indices = _NN.max_pool2d(x, stride=stride, return_indices=True, **kwargs)
    ones = reference_engine.ones_like(out.detach())
    return reference_engine.max_pool2d_with_indices_backward(
        ones, x, stride=stride, indices=indices, **kwargs
    )


CALLS: dict[str, Callable[..., Any]] = {
    "linalg.pinv.singular": lambda a, b: _LINALG.pinv(a @ b.mT),
    "linalg.lstsq.grad_oriented": lambda a, b, driver: _LINALG.lstsq(a, b, driver=driver)[:2],
    "svd_lowrank": lambda a, b, **k: reference_engine.svd_lowrank(a @ b.mT, **k),
    "pca_lowrank": lambda a, b, **k: reference_engine.pca_lowrank(a @ b.mT, **k),
    "nn.functional.embedding_bag": lambda w, i, **k: _NN.embedding_bag(i, w, **k),
    "max_pool2d_with_indices_backward": _pool_of_ones,
    "nn.functional.fractional_max_pool2d": _given_samples("fractional_max_pool2d", 2),
    "nn.functional.fractional_max_pool3d": _given_samples("fractional_max_pool3d", 3),
}
