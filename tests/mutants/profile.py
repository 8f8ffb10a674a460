"""The profile of these tests: fewer programs than that of `smoke`, and no shrinking."""

from __future__ import annotations

from conformance.profiles import PROFILES, Profile

PROFILE = "mutants"
PROFILES[PROFILE] = Profile(PROFILE, examples=3, shrinking=0)  # type: ignore[index]
