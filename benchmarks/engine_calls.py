"""What a call costs on the reference engine, beside torch eager, in one run.

    python -m benchmarks engine_calls

µs of processor time for one call on tensors of shape (3, 4) or less, forward with and without
gradients, or of a whole gradient: the least of many short runs in which the libraries take turns.
"""

from __future__ import annotations

import importlib
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

ROUNDS = 60
#: seconds of one run: short, so that some are not interrupted
RUN = 2e-4

Calls = dict[str, Callable[[], Any]]


def operations(lib: Any, x: Any, mask: Any) -> Calls:
    row, y = x[0], x * x + 1.0
    return {
        "add": lambda: lib.add(x, y), "1 - x": lambda: 1.0 - x, "sin": lambda: lib.sin(x),
        "relu": lambda: lib.relu(x), "clamp": lambda: lib.clamp(x, min=-0.5, max=0.5),
        "sum": lambda: lib.sum(x), "sum of rows": lambda: lib.sum(x, dim=1),
        "mean": lambda: lib.mean(x), "max of rows": lambda: lib.max(x, dim=1),
        "cumsum": lambda: lib.cumsum(x, dim=1), "softmax": lambda: lib.softmax(x, dim=1),
        "matmul": lambda: lib.matmul(x, row), "where": lambda: lib.where(mask, x, y),
        "cat": lambda: lib.cat([x, y], dim=0), "clone": lambda: lib.clone(x),
        "view": lambda: x.view(2, 6), "reshape": lambda: lib.reshape(x, shape=(4, 3)),
        "transpose": lambda: lib.transpose(x, dim0=0, dim1=1), "x[1]": lambda: x[1],
        "x[:, 1:3]": lambda: x[:, 1:3], "unsqueeze": lambda: lib.unsqueeze(x, dim=0),
        "expand": lambda: row.expand(3, 4), "sin of a view": lambda: lib.sin(row),
    }  # fmt: skip


def writes(lib: Any, x: Any) -> Calls:
    out, row = lib.ones(3, 4, dtype=x.dtype), lib.ones(3, 4, dtype=x.dtype)[0]

    def written() -> Any:
        y = x * 1.0
        y[0].mul_(2.0)
        return y.grad_fn

    return {
        "mul_": lambda: out.mul_(1.0), "copy_": lambda: out.copy_(x.detach()),
        "mul_ of a view": lambda: row.mul_(1.0), "x[0] = 1": lambda: out.__setitem__(0, 1.0),
        "mul, and mul_ of a view": written,
    }  # fmt: skip


def gradients(lib: Any, x: Any) -> Calls:
    functions: dict[str, Callable[[], Any]] = {
        "sum": lambda: x.sum(), "mul, sum": lambda: (x * x).sum(), "x[1], sum": lambda: x[1].sum(),
        "matmul, sum": lambda: lib.matmul(x, x.t()).sum(), "max": lambda: x.max(),
        "cat, sum": lambda: lib.cat([x, x]).sum(), "softmax, sum": lambda: x.softmax(1).sum(),
    }  # fmt: skip
    calls: Calls = {
        f"gradient of {name}": lambda f=f: lib.autograd.grad(f(), (x,))  # type: ignore[misc]
        for name, f in functions.items()
    }

    def backward() -> None:
        x.grad = None
        (x * x).sum().backward()

    return calls | {"backward of mul, sum": backward}


def calls(lib: Any) -> Calls:
    values = [[0.3 * i - 0.7 * j for j in range(4)] for i in range(3)]
    constant = lib.tensor(values, dtype=lib.float64)
    leaf = lib.tensor(values, dtype=lib.float64, requires_grad=True)
    mask = constant > 0
    tracked = operations(lib, leaf * 1.0, mask)
    found = {f"{name}, tracked": call for name, call in tracked.items()}
    return found | operations(lib, constant, mask) | writes(lib, leaf) | gradients(lib, leaf)


def measure() -> dict[str, list[float]]:
    """Least µs of each call on the engine and on torch."""
    both = [calls(importlib.import_module(name)) for name in ("reference_engine", "torch")]
    best = {name: [float("inf")] * 2 for name in both[0]}
    for turn in range(ROUNDS):
        for name, times in best.items():
            for i in (0, 1) if turn % 2 else (1, 0):
                call = both[i][name]
                start = time.process_time()
                call()
                count = max(2, min(40, int(RUN / (time.process_time() - start + 1e-9))))
                start = time.process_time()
                for _ in range(count):
                    call()
                took = (time.process_time() - start) / count * 1e6
                times[i] = min(times[i], took)
    return best


def main() -> None:
    warnings.simplefilter("ignore")
    importlib.import_module("torch").set_num_threads(1)
    best = measure()
    print(f"{'':32}{'engine':>8}{'torch':>8}{'ratio':>8}")
    for name, (mine, theirs) in best.items():
        print(f"{name:32}{mine:8.2f}{theirs:8.2f}{mine / theirs:8.2f}")
    middle = statistics.median(mine / theirs for mine, theirs in best.values())
    print(f"{'median ratio':32}{middle:24.2f}")


if __name__ == "__main__":
    main()
