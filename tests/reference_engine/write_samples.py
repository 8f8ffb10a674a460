"""Writes what `conformance.samples` reads: `python -m tests.reference_engine.write_samples`.

The facts come from the reference engine's table: shapes, domains, fills, parameters. Kept are the
rows that PyTorch, under the same name and parameters, can run: no formula of the table is written.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from conformance.adapters.base import Engine
from conformance.adapters.load import load_engine
from conformance.execute import execute
from conformance.program import Program, Ref, Step
from conformance.samples import PATH, Sample, call
from reference_engine.ops.opdef import REGISTRY, OpDef
from tests.reference_engine.op_samples import fill_of, inputs, samples

LEFT_OUT = {
    **dict.fromkeys(("svd", "linalg.svd", "linalg.eig", "linalg.eigh", "linalg.qr", "qr"),
                    "the signs of its vectors are free"),
    **dict.fromkeys(("linalg.lu", "lu"), "a factor of its result may have no gradient"),
    **dict.fromkeys(("expand_as", "reshape_as", "view_as"), "its second operand is a shape"),
    "linalg.lstsq": "its residuals may be left out",
    "cholesky_inverse": "the samples are no Cholesky factors",
    "view_copy": "its parameter has two names",
    "nextafter": "a function of the grid of numbers, whose derivative is agreed upon",
    # where PyTorch, one of the two judges, is itself inexact: docs/findings.md
    "digamma": "PyTorch's derivative is right to 1e-9",
    "nn.functional.hardsigmoid": "PyTorch's derivative has a factor in single precision",
    "linalg.cond": "PyTorch refuses its backward",
    "sinc": "PyTorch's derivative in single precision loses digits near zero",
    "logcumsumexp": "PyTorch's tangents lose digits",
}  # fmt: skip
"""Operations without samples, and why."""
FIRST_ORDER = {
    **dict.fromkeys(("matrix_exp", "linalg.matrix_exp"), "its inner rounding is not measured"),
    "lgamma": "PyTorch's trigamma is right to 1e-9",
    "mvlgamma": "PyTorch's trigamma is right to 1e-9",
    "nn.functional.binary_cross_entropy": "PyTorch's derivative adds 1e-12 to a denominator",
    **dict.fromkeys(("pow", "float_power"), "PyTorch's mixed derivative at exponent 0 is zero"),
    "cdist": "PyTorch has no second derivative",
}
"""Operations whose second derivatives are not asked for, and why."""
POLES = {"addcdiv": "tensor2", "div": "other", "reciprocal": "x"}
"""Inputs that have no value at zero: their numbers are positive."""
MOST = 3
"""Samples kept of one operation."""
LARGEST = 64
RANDOM = ("dropout", "rand", "bernoulli", "multinomial", "normal", "poisson", "rrelu", "gumbel")
_BOUND = 2.0


def form_of(op: OpDef, sample: tuple[tuple[Any, ...], dict[str, Any]]) -> dict[str, Any] | None:
    """Return a sample as data, or None where it is too large or has something else than numbers."""
    given = inputs(op, sample, "float64")
    names = [name.lstrip("*") for name in op.inputs]
    found: list[Any] = []
    for number, value in enumerate(given):
        name = names[min(number, len(names) - 1)]
        if isinstance(value, np.ndarray):
            if value.size > LARGEST or value.size == 0:
                return None
            found.append({"name": name, **_array(op, name, value)})
        elif value is None or isinstance(value, (bool, int, float)):
            found.append({"name": name, "number": value})
        else:
            return None
    params = {key: value for key, value in sample[1].items() if key != "dtype"}
    try:
        json.dumps(params)
    except TypeError:
        return None
    return {"op": op.name, "inputs": found, "params": params, "kinks": bool(op.facts.kinks),
            "complex": op.facts.complex}  # fmt: skip


def _array(op: OpDef, name: str, value: np.ndarray[Any, Any]) -> dict[str, Any]:
    fill = fill_of(op, name).partition(":")[0]
    if value.dtype.kind in "bi":
        return {"value": value.tolist(), "dtype": value.dtype.name}
    if fill in ("positive-definite", "hermitian", "over-2") or op.name.startswith("linalg."):
        return {"value": np.round(value, 3).tolist()}
    low, high = (0.125, 0.875) if fill in ("unit", "constant") else _range(op, name)
    return {"shape": list(value.shape), "low": low, "high": high, "constant": fill == "constant"}


def _range(op: OpDef, name: str) -> tuple[float, float]:
    """Return an interval inside the domain, an eighth away from its ends."""
    low, high = op.facts.domain.get(name, (-np.inf, np.inf))
    low = 0.0 if POLES.get(op.name) == name else low
    least = max(low + 0.125, -_BOUND if high == np.inf else high - 3.0)
    return least, min(high - 0.125, _BOUND if low == -np.inf else low + 3.0)


def forms() -> list[dict[str, Any]]:
    """Return the samples that PyTorch runs, by the name of the operation."""
    torch, found = load_engine("torch"), []
    for name, op in sorted(REGISTRY.items()):
        private = name.split(".")[-1].startswith("_") or op.kind == "nondiff"
        if name in LEFT_OUT or private or any(word in name for word in RANDOM):
            continue
        kept = 0
        for sample in samples(op):
            form = form_of(op, sample)
            if form is None or kept == MOST:
                continue
            for results in (1, 2, 3, 4):
                form["results"] = results
                program = call(Sample.read(form)).program()
                events = execute(torch, program).events
                if all(e.refusal is None and not e.skipped for e in events):
                    values = [e.value for e in events if isinstance(e.value, np.ndarray)]
                    form["floats"] = [value.dtype.kind == "f" for value in values]
                    finite = all(np.isfinite(v).all() for v in values if v.dtype.kind == "f")
                    if any(form["floats"]) and finite:
                        form["complex"] = form["complex"] and _complex(form, torch)
                        form["second"] = name not in FIRST_ORDER
                        found.append(form)
                        kept += 1
                    break
    return found


def _complex(form: dict[str, Any], torch: Engine) -> bool:
    """Tell whether PyTorch runs the sample, and its backward, on complex numbers."""
    made = call(Sample.read(form), dtype="complex128")
    copies = [Step("reload", (f"{y}_like",), (y,)) for y in made.results]
    backward = Step(
        "backward", (), tuple(made.results),
        params=(("gradient", tuple(Ref(f"{y}_like") for y in made.results)
                 if len(made.results) > 1 else Ref(f"{made.results[0]}_like")),),
    )  # fmt: skip
    program = Program((*made.steps, made.apply, *copies, backward))
    events = execute(torch, program).events
    return all(event.refusal is None and not event.skipped for event in events)


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(form) for form in forms())
    PATH.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
