"""Judging: what one program says of one engine, by the clause's own figures first, then by oracles."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.adapters.base import Engine
from conformance.program import Program
from conformance.verdict import Finding

__all__ = ["Finding", "judge"]


def judge(
    engine: Engine,
    program: Program,
    *,
    dtype: str | None = None,
    oracles: Sequence[str] = ("differential",),
) -> Finding:
    """Run `program` on `engine` in `dtype` (default: its preferred one) and judge every step."""
    raise NotImplementedError("judge is being written: see conformance/judge.py in a later commit")
