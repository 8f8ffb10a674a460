"""Every test that takes ``torch`` runs on PyTorch first, then on the reference engine's backends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch as pytorch

import reference_engine


@pytest.fixture(params=["pytorch", "numpy-backend", "torch-backend"])
def torch(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The library under test, with float64 as its default dtype: values are exact to 1e-12."""
    library: Any = pytorch if request.param == "pytorch" else reference_engine
    device = reference_engine.get_default_device()
    if request.param != "pytorch":
        reference_engine.set_default_device("cpu" if request.param == "numpy-backend" else "torch")
    before = library.get_default_dtype()
    library.set_default_dtype(library.float64)
    yield library
    library.set_default_dtype(before)
    reference_engine.set_default_device(device)
