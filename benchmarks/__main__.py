"""Runs the benchmarks, all of them or those named: `python -m benchmarks [NAME …]`."""

from __future__ import annotations

import pkgutil
import runpy
import sys

import benchmarks


def main(wanted: list[str]) -> None:
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    names.remove("__main__")
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names)}")
    for name in wanted or names:
        print(f"\n== {name}")
        sys.argv = [name]
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


main(sys.argv[1:])
