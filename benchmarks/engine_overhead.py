"""What an operation costs on the reference engine, beside torch eager, in one run.

    python benchmarks/engine_overhead.py [--device torch] [--nodes 1000000] [--json FILE]

Times are per operation, in µs of processor time, the best of several repeats that take turns:
forward, backward and freeing a chain of operations on shape (8,). The garbage collector stays on:
an engine whose graphs need it pays for it.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

CHAIN = 1_000


def operations(lib: Any) -> dict[str, Callable[[Any], Any]]:
    weight = lib.ones(8, dtype=lib.float64, requires_grad=True)
    constant = lib.ones(8, dtype=lib.float64)
    return {
        "add": lambda y: y + constant,
        "add, both tracked": lambda y: y + weight,
        "add number": lambda y: y + 1.5,
        "mul": lambda y: y * constant,
        "mul, both tracked": lambda y: y * weight,
        "sin": lib.sin,
    }


def chain(lib: Any, operation: Callable[[Any], Any], length: int) -> tuple[float, float, float]:
    """Seconds for forward, backward and freeing of one chain."""
    x = lib.ones(8, dtype=lib.float64, requires_grad=True)
    start = time.process_time()
    y = x
    for _ in range(length):
        y = operation(y)
    forward = time.process_time()
    y.sum().backward()
    backward = time.process_time()
    del y
    freed = time.process_time()
    return forward - start, backward - forward, freed - backward


def best(cases: list[tuple[Any, Callable[[Any], Any]]], repeats: int) -> list[list[float]]:
    """For each (library, operation) the parts of its fastest run; they take turns."""
    runs = [[chain(*case, CHAIN) for case in cases] for _ in range(repeats)]
    return [[t / CHAIN * 1e6 for t in min(column, key=sum)] for column in zip(*runs, strict=True)]


def long_chain(lib: Any, nodes: int) -> list[float]:
    constant = lib.ones(8, dtype=lib.float64)
    return [t / nodes * 1e6 for t in chain(lib, lambda y: y + constant, nodes)]


def bytes_per_node(lib: Any, operation: Callable[[Any], Any], nodes: int = 20_000) -> float:
    """Python memory that one more node of a chain keeps alive (NumPy reports its buffers too)."""
    y = operation(lib.ones(8, dtype=lib.float64, requires_grad=True))
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(nodes):
        y = operation(y)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / nodes


def measure(device: str, nodes: int, repeats: int) -> dict[str, Any]:
    engine, torch = importlib.import_module("reference_engine"), importlib.import_module("torch")
    torch.set_num_threads(1)
    engine.set_default_device(device)
    ours, theirs = operations(engine), operations(torch)
    table: dict[str, Any] = {}
    for name in ours:
        mine, reference = best([(engine, ours[name]), (torch, theirs[name])], repeats)
        table[name] = {
            "engine_us": mine,
            "torch_us": reference,
            "ratio": sum(mine) / sum(reference),
            "bytes_per_node": bytes_per_node(engine, ours[name]),
        }
    mine, reference = long_chain(engine, nodes), long_chain(torch, nodes)
    table[f"{nodes}-node chain (add)"] = {
        "engine_us": mine,
        "torch_us": reference,
        "ratio": sum(mine) / sum(reference),
    }
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--json")
    options = parser.parse_args()
    table = measure(options.device, options.nodes, options.repeats)
    print(f"{'':28}{'engine (fwd+bwd+free)':>28}{'torch':>28}{'ratio':>7}{'bytes':>7}")
    for name, row in table.items():
        cells = [
            f"{sum(row[k]):6.2f} ({' + '.join(f'{t:.2f}' for t in row[k])})"
            for k in ("engine_us", "torch_us")
        ]
        size = f"{row['bytes_per_node']:7.0f}" if "bytes_per_node" in row else ""
        print(f"{name:28}{cells[0]:>28}{cells[1]:>28}{row['ratio']:7.2f}{size}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
