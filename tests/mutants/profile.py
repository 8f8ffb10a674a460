"""The profile of these tests: fewer programs than that of `smoke`, and no shrinking."""

from __future__ import annotations

from conformance.profiles import Profile

SMALL = Profile("mutants", examples=3, shrinking=0)
PROFILE = SMALL.name
