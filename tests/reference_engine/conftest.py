"""Every test that takes ``engine`` runs on both backends, and on CUDA where there is a device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import reference_engine

DEVICES: list[Any] = ["cpu", "torch"]
if torch.cuda.is_available():
    DEVICES.append(pytest.param("cuda", marks=pytest.mark.gpu))


@pytest.fixture(params=DEVICES)
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    before = reference_engine.get_default_device()
    reference_engine.set_default_device(request.param)
    yield reference_engine
    reference_engine.set_default_device(before)


@pytest.fixture(autouse=True)
def _torch_warns_every_time() -> Iterator[None]:
    """torch gives some of its warnings once per process only, which no comparison could rely on."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """PyTorch's operator database takes seconds to import: only where its tests are asked for."""
    asked = "opinfo" in config.option.markexpr
    return True if collection_path.name.startswith("test_opinfo") and not asked else None
