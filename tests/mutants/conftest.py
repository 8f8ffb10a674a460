"""What holds while a test of this folder runs, and for no other test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from conformance.profiles import PROFILES
from tests.mutants.profile import SMALL


@pytest.fixture(autouse=True)
def small_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROFILES, SMALL.name, SMALL)  # type: ignore[arg-type]


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Tensors here have a dozen elements: a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
