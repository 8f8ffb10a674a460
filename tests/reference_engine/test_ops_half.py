"""Every row in float16 and bfloat16 that torch computes and differentiates in them on the CPU.

Judged by the float64 result of the same inputs: the engine may be off by what roundings explain, or
by a few times what torch is off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import reference_engine
from conformance.compare.tolerance import MULTIPLE
from reference_engine.ops.call import function_of
from reference_engine.ops.table import TABLE
from tests.reference_engine.op_samples import cases, fill_of, inputs, samples
from tests.reference_engine.opinfo import numbers
from tests.reference_engine.test_ops import INTERNAL, caller, torch_function

ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
#: draws
RANDOM = {"uniform", "normal"}
CASES = [
    case for case in cases(TABLE)
    if case[0] not in INTERNAL | RANDOM and "complex" not in TABLE[case[0]].facts.fill.values()
]  # fmt: skip
#: times torch's own error that the engine's may be
WORSE = 4.0


def results(library: Any, device: str, name: str, number: int, half: str, kind: str) -> list[Any]:
    """Dtypes and values of a row's outputs and gradients, for inputs rounded to ``half``."""
    op, sample = TABLE[name], samples(TABLE[name])[number]
    names, xs, leaves = [*op.inputs, *[op.inputs[-1]] * 9], [], []
    for at, array in zip(names, inputs(op, sample, "float64"), strict=False):
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            rounded = torch.tensor(array).to(getattr(torch, half)).double().numpy()
            x = library.tensor(rounded, device=device).to(getattr(library, kind)).detach()
            if fill_of(op, at) != "constant":
                leaves.append(x.requires_grad_())
            xs.append(x)
        else:
            plain = isinstance(array, np.ndarray)
            xs.append(library.tensor(array, device=device) if plain else array)
    own = torch_function(name) if library is torch else function_of(op)
    outs = caller(op, own)(xs, sample[1])
    found = []
    for out in outs if isinstance(outs, (tuple, list)) else (outs,):
        found.append(out.detach())
        if out.requires_grad:
            ones = library.ones_like(out.detach())
            found += library.autograd.grad(out, leaves, ones, allow_unused=True, retain_graph=True)
    return [None if x is None else (str(x.dtype).rpartition(".")[2], numbers(x)) for x in found]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("half", ROUNDOFF)
@pytest.mark.parametrize(
    ("name", "number", "device"),
    # the torch backend has torch's own kernels: one sample shows that rules keep the dtype
    [(*case, device) for case in CASES for device in ("cpu", "torch")[: 2 - min(case[1], 1)]],
)
def test_row_is_as_good_as_torchs_in_half_precision(
    name: str, number: int, device: str, half: str
) -> None:
    try:
        theirs = results(torch, "cpu", name, number, half, half)
    except (RuntimeError, NotImplementedError, TypeError):
        return  # torch has no kernel for it
    ours = results(reference_engine, device, name, number, half, half)
    exact = results(reference_engine, "cpu", name, number, half, "float64")
    for g, t, e in zip(ours, theirs, exact, strict=True):
        if g is None or t is None:
            assert all(x is None or not np.any(x[1]) for x in (g, t))
            continue
        assert g[0] == t[0]
        if not t[0].endswith("float16"):
            np.testing.assert_array_equal(g[1], t[1])
            continue
        scale = MULTIPLE * math.sqrt(max(e[1].size, 1)) * ROUNDOFF[half]
        size = max(float(np.abs(e[1][np.isfinite(e[1])]).max(initial=0)), 1.0)
        both = np.isfinite(t[1]) & np.isfinite(e[1])
        off = float(np.abs(np.float64(t[1][both]) - e[1][both]).max(initial=0))
        atol = max(scale * size, WORSE * off)
        np.testing.assert_allclose(np.float64(g[1]), e[1], rtol=0, atol=atol)


LONG: dict[str, Callable[[Any, Any], Any]] = {
    "mean": lambda t, x: x.mean(),
    "var": lambda t, x: x.var(),
    "cumsum": lambda t, x: x.cumsum(0) / 5000,
    "mse_loss": lambda t, x: t.nn.functional.mse_loss(x, x.detach() * 0),
    "scatter_add": lambda t, x: t.scatter_add(x[:1] * 0, 0, (x.detach() * 0).long(), x / 500),
    "expand": lambda t, x: (x[:1] / 500).expand(5000) * 1,
}


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("half", ROUNDOFF)
@pytest.mark.parametrize("name", LONG)
def test_what_is_added_up_in_half_precision_neither_overflows_nor_stands_still(
    name: str, half: str, device: str
) -> None:
    found = []
    for library, place in ((torch, "cpu"), (reference_engine, device)):
        x = (library.ones(5000, device=place) * 30).to(getattr(library, half)).requires_grad_()
        y = LONG[name](library, x)
        (g,) = library.autograd.grad(y.sum(), [x])
        found.append([np.float64(numbers(v)) for v in (y, g)])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=8 * ROUNDOFF[half])
