"""Accuracy of the numeric derivative, its bound over 10⁵ cases, power, and cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.gradcheck.planted import function, normal
from conformance import gradcheck
from conformance.gradient_check.numerics import derivative

SMOOTH: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "atan": (np.arctan, lambda x: 1 / (1 + x * x)),
    "cubic": (lambda x: x**3 - 2 * x, lambda x: 3 * x * x - 2),
    "log": (lambda x: np.log(3 + x), lambda x: 1 / (3 + x)),
    "sqrt": (lambda x: np.sqrt(3 + x), lambda x: 0.5 / np.sqrt(3 + x)),
    "gauss": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "logistic": (
        lambda x: 1 / (1 + np.exp(-x)),
        lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2,
    ),
    "reciprocal": (lambda x: 1 / (3 + x), lambda x: -1 / (3 + x) ** 2),
}
ROUNDING = 4 * 2.0**-53


def numeric(cases: int) -> None:
    """Print relative errors, and how often the bound holds."""
    random = np.random.default_rng(0)
    names = list(SMOOTH)
    errors, held, calls = [], 0, 0
    for number in range(cases):
        f, slope = SMOOTH[names[number % len(names)]]
        x = float(random.uniform(-2, 2))

        def value(t: float, f: Callable[[float], float] = f, x: float = x) -> tuple[float, float]:
            nonlocal calls
            calls += 1
            y = f(x + t)
            return y, ROUNDING * abs(y)

        found, right = derivative(value), slope(x)
        held += abs(found.value - right) <= found.error
        errors.append(abs(found.value - right) / abs(right))
    median, p95 = np.percentile(errors, [50, 95])
    print(
        f"numeric derivative, {cases} cases: median {median:.1e}, p95 {p95:.1e}, bound holds in"
        f" {100 * held / cases:.3f} %, {calls / cases:.1f} evaluations each"
    )
    if find_spec("numdifftools") is None:
        print("numdifftools: not installed")
        return
    import numdifftools

    errors = []
    for number in range(300):
        f, slope = SMOOTH[names[number % len(names)]]
        x = float(random.uniform(-2, 2))
        found_by_peer = float(numdifftools.Derivative(f)(x))
        errors.append(abs(found_by_peer - slope(x)) / abs(slope(x)))
    median, p95 = np.percentile(errors, [50, 95])
    print(f"numdifftools, 300 cases: median {median:.1e}, p95 {p95:.1e}")


def power() -> None:
    """Print how often small errors are found."""
    wrong = function(torch.matmul, lambda g, a, b: (g @ b.mT * (1 + 1e-8), a.mT @ g * (1 + 1e-8)))
    results = [
        gradcheck(wrong, (normal(30, 30, seed=s), normal(30, 30, seed=s + 99)), seed=s)
        for s in range(30)
    ]
    found = sum(r.verdict == "fail" for r in results)
    most = max(r.evaluations for r in results)
    print(f"uniform 1e-8 at 30×30: {found} of 30 seeds, at most {most} evaluations to the verdict")
    found = 0
    for seed in range(60):
        mask = torch.ones(1000, dtype=torch.float64)
        mask[(seed * 17) % 1000] = 1.01
        one = function(torch.sin, lambda g, x, m=mask: g * x.cos() * m)
        found += gradcheck(one, (normal(1000, seed=seed),), seed=seed).verdict == "fail"
    print(f"one element of 1,000 wrong by 1 %: {found} of 60")
    met, passed = 0, 0
    for seed in range(30):
        x = normal(1000, seed=seed).detach().float()

        def only(x: Any) -> Any:
            if x.dtype != torch.float32:
                raise TypeError("float32 only")
            return x.sin()

        right = gradcheck(only, (x,), seed=seed)
        passed += right.verdict == "pass"
        factor = 1 + 100 * right.limit
        bad = function(only, lambda g, x, k=factor: g * x.cos() * k)
        met += gradcheck(bad, (x,), seed=seed).verdict == "fail"
    print(
        f"float32 only: {passed} of 30 right ones pass, limit {right.limit:.0e} of the sum of"
        f" magnitudes; uniform errors of 100 limits found: {met} of 30"
    )


def cost() -> None:
    """Print processor times beside PyTorch's, the least of interleaved repetitions."""
    for name, call, inputs in (
        ("sin of 1,000", torch.sin, (normal(1000),)),
        ("matmul 30×30", torch.matmul, (normal(30, 30), normal(30, 30, seed=1))),
        ("exp of 5", torch.exp, (normal(5),)),
        ("layer norm", lambda x: F.layer_norm(x, (16,)), (normal(8, 16),)),
    ):
        runs: dict[str, Callable[[], Any]] = {
            "default": lambda c=call, i=inputs: gradcheck(c, i),
            "formula only": lambda c=call, i=inputs: gradcheck(c, i, probes=False),
            "torch fast": lambda c=call, i=inputs: torch.autograd.gradcheck(c, i, fast_mode=True),
        }
        best = dict.fromkeys(runs, math.inf)
        for _ in range(60):
            for kind, run in runs.items():
                start = time.process_time()
                run()
                best[kind] = min(best[kind], time.process_time() - start)
        base = best["torch fast"]
        cells = ", ".join(f"{k} {1e3 * t:.2f} ms ({t / base:.1f}×)" for k, t in best.items())
        print(f"cost, {name}: {cells}")


def main() -> None:
    torch.set_num_threads(1)
    with np.errstate(all="ignore"):
        numeric(100_000)
    power()
    cost()


if __name__ == "__main__":
    main()
