"""Makes the small profile known while a test of this folder runs, and to no other test."""

from __future__ import annotations

import pytest

from conformance.profiles import PROFILES
from tests.mutants.profile import SMALL


@pytest.fixture(autouse=True)
def small_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROFILES, SMALL.name, SMALL)  # type: ignore[arg-type]
