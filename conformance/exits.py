"""How a process ended, in words."""

from __future__ import annotations

import signal


def cause_of_death(code: int) -> str:
    """Return what the exit code of a process says: the signal that it died of, or the code."""
    if code < 0:
        try:
            return f"the process died of {signal.Signals(-code).name}"
        except ValueError:
            return f"the process died of signal {-code}"
    return f"the process ended with exit code {code}"
