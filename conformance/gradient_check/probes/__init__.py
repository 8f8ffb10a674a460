"""What a backward can get wrong besides the formula, each asked by a probe and named by a cause."""

from __future__ import annotations

from conformance.gradient_check.examination import Findings
from conformance.gradient_check.probes.calls import CALLS, received
from conformance.gradient_check.probes.context import Context
from conformance.gradient_check.probes.cotangents import COTANGENTS
from conformance.gradient_check.probes.inputs import INPUTS
from conformance.gradient_check.result import Probe

PROBES = (received, *COTANGENTS, *CALLS, *INPUTS)


def probed(context: Context, found: Findings) -> tuple[Probe, ...]:
    """Ask every probe; add failures to what was found."""
    asked = []
    for probe in PROBES:
        outcome = probe(context)
        if not isinstance(outcome, Probe):
            name, departure = outcome
            found.failures.append(departure)
            outcome = Probe(name, "failed", departure.sentence)
        asked.append(outcome)
    return tuple(asked)
