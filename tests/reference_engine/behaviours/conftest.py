"""Every test that takes ``torch`` runs on PyTorch, and on the reference engine's two backends."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch as pytorch

import reference_engine


@pytest.fixture(scope="session")
def _forward_mode_of_pytorch() -> None:
    """PyTorch loads some rules of forward mode when first used, with a warning about itself."""
    with warnings.catch_warnings(), pytorch.autograd.forward_ad.dual_level():
        warnings.simplefilter("ignore")
        pytorch.autograd.forward_ad.make_dual(pytorch.ones(1), pytorch.ones(1))


@pytest.fixture(params=["pytorch", "numpy-backend", "torch-backend"])
def torch(request: pytest.FixtureRequest, _forward_mode_of_pytorch: None) -> Iterator[Any]:
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
