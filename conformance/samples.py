"""Samples of operations: how each can be called, in what range, as data.

`operation_samples.json` holds facts of functions (names, shapes, domains, parameters), no formulas;
`tests/reference_engine/write_samples.py` writes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from conformance.leaves import leaf_array
from conformance.program import Param, Program, Ref, Step

PATH = Path(__file__).parent / "operation_samples.json"


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor, or a number, that an operation is given.

    value: fixed numbers, where only some will do; else numbers of `shape` in [`low`, `high`].
    """

    name: str
    shape: tuple[int, ...] = ()
    low: float = 0.0
    high: float = 0.0
    value: Param = None
    dtype: str | None = None
    constant: bool = False
    number: bool = False

    @property
    def tracked(self) -> bool:
        """Whether it can require gradients."""
        return not self.number and not self.constant and self.dtype is None


@dataclass(frozen=True, slots=True)
class Sample:
    """One way to call an operation.

    floats: of each result, whether it has gradients. kinks: whether it has points without a
    derivative. complex: whether it takes complex numbers. second: whether second derivatives can be
    judged.
    """

    op: str
    inputs: tuple[Input, ...]
    params: tuple[tuple[str, Param], ...]
    floats: tuple[bool, ...]
    kinks: bool
    complex: bool
    second: bool

    @staticmethod
    def read(form: dict[str, Any]) -> Sample:
        """Return the sample that an entry of the file stands for."""
        inputs = []
        for item in form["inputs"]:
            if "number" in item:
                inputs.append(Input(item["name"], value=item["number"], number=True))
            elif "value" in item:
                inputs.append(
                    Input(item["name"], value=_tuple(item["value"]), dtype=item.get("dtype"))
                )
            else:
                shape = tuple(item["shape"])
                inputs.append(
                    Input(item["name"], shape, item["low"], item["high"], constant=item["constant"])
                )
        floats = tuple(form.get("floats") or [True] * form["results"])
        params = tuple((key, _tuple(value)) for key, value in form["params"].items())
        return Sample(
            form["op"],
            tuple(inputs),
            params,
            floats,
            form["kinks"],
            form["complex"],
            form.get("second", True),
        )


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


@cache
def samples() -> tuple[Sample, ...]:
    """Return every sample, by the name of its operation."""
    forms: list[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))
    return tuple(map(Sample.read, forms))


class Call:
    """The steps of one call of an operation: its leaves, itself, and their names.

    tracked: names of the leaves that require gradients; results: names of those results that have
    gradients; every: names of all results.
    """

    def __init__(self, sample: Sample, seed: int, dtype: str | None, tracked: bool) -> None:
        self.sample, self.steps = sample, []
        self.tracked: list[str] = []
        args: list[str] = []
        params: list[tuple[str, Param]] = []
        for number, item in enumerate(sample.inputs):
            if item.number:
                params += [] if item.value is None else [(item.name, item.value)]
                continue
            name = f"x{number}" if number else "x"
            leaf = _leaf(name, item, seed + number, dtype, tracked and item.tracked)
            self.steps.append(leaf if all(sample.floats) else _untied(leaf))
            if item.tracked:
                self.tracked.append(name)
            if params:  # after a gap, what is left is given by name
                params.append((item.name, Ref(name)))
            else:
                args.append(name)
        count = len(sample.floats)
        self.every = tuple(f"y{n}" if n else "y" for n in range(count))
        self.results = [y for y, float_ in zip(self.every, sample.floats, strict=True) if float_]
        self.apply = Step("apply", self.every, tuple(args), sample.op, (*params, *sample.params))

    def program(self) -> Program:
        """Return the program that calls the operation and reads all results."""
        reads = (Step("value", (), (name,)) for name in self.every)
        return Program((*self.steps, self.apply, *reads))


def call(sample: Sample, seed: int = 0, dtype: str | None = None, tracked: bool = True) -> Call:
    """Return the call of a sample with seeded numbers, in a dtype where one is named."""
    return Call(sample, seed, dtype, tracked)


def _untied(leaf: Step) -> Step:
    """Return a leaf with another seed where its numbers tie: which index results then is open."""
    params = dict(leaf.params)
    while "seed" in params:
        numbers = leaf_array(leaf, "float64")
        if len(np.unique(numbers)) == numbers.size:
            break
        params["seed"] = int(str(params["seed"])) + 1
        leaf = replace(leaf, params=tuple(params.items()))
    return leaf


def _leaf(name: str, item: Input, seed: int, dtype: str | None, tracked: bool) -> Step:
    params: list[tuple[str, Param]]
    if item.value is not None:
        params = [("value", item.value)]
    else:
        params = [("shape", item.shape), ("seed", seed), ("low", item.low), ("high", item.high)]
    if item.dtype or dtype:
        params.append(("dtype", item.dtype or dtype))
    if tracked:
        params.append(("requires_grad", True))
    return Step("leaf", (name,), params=tuple(params))
