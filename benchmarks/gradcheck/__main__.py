"""All figures of the gradient checker in one run; the operator database by every 23rd sample."""

from __future__ import annotations

import sys

from benchmarks.gradcheck import (
    accuracy,
    catch_rate,
    false_alarms,
    functional_peers,
    opinfo_sweep,
    peers,
)

for part in (
    accuracy,
    catch_rate,
    functional_peers,
    peers,
    false_alarms,
    opinfo_sweep,
):
    print(f"-- {part.__name__.rpartition('.')[2]}", flush=True)
    sys.argv = [part.__name__, "23"]
    part.main()
