"""Profiles: how much work a run does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """How many programs a strategy of a clause draws, and how long failures are shrunk.

    `shrinking` bounds the programs that may be judged in search of a smaller one, per strategy and
    engine. It is a count and not a time, so that a ledger does not depend on the machine's speed.
    """

    name: str
    examples: int
    shrinking: int


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("smoke", examples=5, shrinking=100),
        Profile("default", examples=30, shrinking=400),
        Profile("thorough", examples=500, shrinking=1000),
    )
}
