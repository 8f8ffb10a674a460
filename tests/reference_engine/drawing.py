"""The same random numbers for torch's dropout and the reference engine's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from reference_engine.backends.base import BACKENDS


class _TorchDraws(TorchDispatchMode):
    """In it, ``bernoulli_`` keeps an element where a uniform number is at least 1 − p."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = np.random.default_rng(0)

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is not torch.ops.aten.bernoulli_.float:
            return function(*args, **kwargs or {})
        (x, p) = (*args, 0.5)[:2]  # a default is left out
        kept = self.numbers.random(tuple(x.shape)) >= 1 - p
        return x.copy_(torch.from_numpy(np.asarray(kept)))


@contextmanager
def same_draws() -> Iterator[None]:
    """In it, both libraries draw the same uniform numbers, in the same order."""
    numbers = np.random.default_rng(0)
    backends = list(BACKENDS.values())
    for backend in backends:
        backend.__dict__["random"] = lambda kind, shape, d, device, backend=backend: (
            backend.asarray(numbers.random(shape), d, device)
        )
    try:
        with _TorchDraws():
            yield
    finally:
        for backend in backends:
            del backend.__dict__["random"]
