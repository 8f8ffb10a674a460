"""All figures of the gradient checker, part by part, each as soon as it is there.

`python -m benchmarks.gradcheck [EVERY]`: of PyTorch's operator database every EVERY-th sample is
taken (default: all of them). A few minutes on an idle machine. `tox -e bench -- gradcheck` does the
same in an environment that has the other libraries whose checkers are compared.
"""

from __future__ import annotations

import sys
import time

from benchmarks.gradcheck import (
    accuracy,
    catch_rate,
    false_alarms,
    functional_peers,
    opinfo_sweep,
)

PARTS = (catch_rate, false_alarms, functional_peers, accuracy, opinfo_sweep)


def main() -> None:
    every = sys.argv[1] if len(sys.argv) > 1 else "1"
    for part in PARTS:
        print(f"-- {part.__name__.rpartition('.')[2]}", flush=True)
        start = time.perf_counter()
        sys.argv = [part.__name__, every]
        part.main()
        print(f"   ({time.perf_counter() - start:.0f} seconds)", flush=True)


if __name__ == "__main__":
    main()
