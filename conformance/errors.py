"""The exceptions of the package: each message names the value, what was expected, the remedy."""

from __future__ import annotations


class ConformanceError(Exception):
    """Base of every error that this package raises for a user's mistake."""

    exit_code = 2


class UsageError(ConformanceError):
    """A wrong option, name, glob or file: exit code 2."""


class EngineLoadError(ConformanceError):
    """An engine could not be found, imported or constructed: exit code 3."""

    exit_code = 3


class InvalidProgram(ConformanceError):
    """A program that breaks the grammar of `conformance.program`."""


class InvalidLedger(ConformanceError):
    """A ledger file that is damaged, not a ledger, or of a future schema."""


class Unsupported(Exception):
    """Raised by an adapter for what its engine does not have; never counted against the engine.

    Not a `ConformanceError`: it is an answer, not a user's mistake.
    """
