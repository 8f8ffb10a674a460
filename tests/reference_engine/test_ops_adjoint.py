"""Every row against itself and against differences: ⟨g, J t⟩ = ⟨Jᴴ g, t⟩, and J t as a difference
quotient.

The rules are called as the engine calls them, on raw arrays of both backends; a row's jvp is
derived from its kind
here, independently of the engine's own derivation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import reference_engine
from reference_engine.backends.base import of_array
from reference_engine.func import jvp
from reference_engine.ops.call import function_of
from reference_engine.ops.namespace import raw_namespace
from reference_engine.ops.opdef import OpDef, needs
from reference_engine.ops.table import TABLE
from reference_engine.tensor import from_raw
from tests.reference_engine.op_samples import cotangent, fill_of, inputs, samples

ROWS = [op for op in TABLE.values() if op.rules]
CASES = [(op.name, i) for op in ROWS for i in range(len(samples(op)))]


class Row:
    """A row at one point: its inputs as raw arrays, its outputs, and tangents and cotangents for
    them.
    """

    def __init__(self, op: OpDef, number: int, device: str, kind: str) -> None:
        self.op = op
        sample = samples(op)[number]
        place = reference_engine.device(device)
        self.xp = place.backend
        self.F = raw_namespace(self.xp.array_type)
        given = inputs(op, sample, kind)
        self.numbers = {i for i, a in enumerate(given) if isinstance(a, (int, float))}
        # the engine brings numbers together with the arrays before a rule sees them
        self.inputs = [
            a if a is None else self.xp.asarray(np.asarray(a, kind if i in self.numbers else None))
            for i, a in enumerate(given)
        ]
        self.params = dict(sample[1])
        self.names = [n.lstrip("*") for n in op.inputs]
        self.tangents = [
            self.tangent(x, i) if self.differentiable(i) else self.zero(x)
            for i, x in enumerate(self.inputs)
        ]
        self.outputs = self.forward(self.inputs)
        self.cotangents = [self.like(y, 23 + i) for i, y in enumerate(self.outputs)]

    def name(self, i: int) -> str:
        return self.names[min(i, len(self.names) - 1)]

    def differentiable(self, i: int) -> bool:
        x = self.inputs[i]
        if x is None or i in self.numbers:
            return False
        return self.name(i) in self.op.rules and self.floating(x)

    def floating(self, x: Any) -> bool:
        return bool(self.xp.isdtype(x.dtype, ("real floating", "complex floating")))

    def like(self, x: Any, seed: int) -> Any:
        if not self.floating(x):
            return None
        kind = str(x.dtype).removeprefix("torch.")
        return self.xp.asarray(cotangent(tuple(x.shape), kind, seed))

    def tangent(self, x: Any, i: int) -> Any:
        """A direction in which the input stays what the row takes it for."""
        t = self.like(x, 11 + i)
        if fill_of(self.op, self.name(i)) != "hermitian":
            return t
        return (t + self.xp.conj(self.xp.matrix_transpose(t))) * 0.5

    def zero(self, x: Any) -> Any:
        return x if x is None else x * 0

    def forward(self, xs: Sequence[Any]) -> list[Any]:
        with np.errstate(all="ignore"):
            made = self.xp.kernel(self.op.forward)(*xs, **self.params)
        outs = [made] if self.op.outputs == ("y",) else list(made)
        return [out if hasattr(out, "dtype") else self.xp.wrap(out) for out in outs]

    def call(self, rule: Any, g: Any = None) -> Any:
        """A rule with what its parameters ask for."""
        pool: dict[str, Any] = {**self.op.params, **self.params, "g": g, "v": g}
        for i, name in enumerate(self.names):
            x = self.inputs[i] if i < len(self.inputs) else None
            values = self.inputs if self.op.variadic else x
            shapes = (
                [tuple(v.shape) for v in self.inputs]
                if self.op.variadic
                else tuple(getattr(x, "shape", ()))
            )
            pool |= {name: values, f"{name}_shape": shapes}
            pool[f"t_{name}"] = self.tangents[i] if i < len(self.tangents) else None
            if hasattr(x, "dtype"):
                pool[f"{name}_dtype"] = of_array(x).dtype_of(x)
        for i, name in enumerate(n.lstrip("*") for n in self.op.outputs):
            pool |= {name: self.outputs[i], f"g_{name}": self.cotangents[i]}
        with np.errstate(all="ignore"):
            return rule(self.F, *[pool[n] for n in needs(rule)])

    def jvp(self) -> list[Any]:
        """The directional derivative of each output, as the row's kind says."""
        op = self.op
        if op.kind == "own":
            made = self.call(op.jvp) if op.jvp else self.pushed()
            return [made] if not isinstance(made, tuple) else list(made)
        if op.kind == "elementwise":
            total: Any = self.outputs[0] * 0
            for i, name in enumerate(self.names):
                if self.differentiable(i):
                    rule, t = op.rules[name], self.tangents[i]
                    partial = self.call(rule, t) if callable(rule) else rule
                    total = total + (partial if "v" in needs(rule) else partial * t)
            return [total]
        if op.kind == "bilinear":
            (a, b), (ta, tb) = self.inputs, self.tangents
            return [self.forward([ta, b])[0] + self.forward([a, tb])[0]]
        constants = [
            t if self.differentiable(i) else self.inputs[i] for i, t in enumerate(self.tangents)
        ]
        offset = self.forward(
            [self.zero(x) if self.differentiable(i) else x for i, x in enumerate(self.inputs)]
        )
        return [y - c for y, c in zip(self.forward(constants), offset, strict=True)]

    def pushed(self) -> Any:
        """The tangents that forward mode gives where the row states none."""
        xs, ts = (tuple(map(from_raw, raws)) for raws in (self.inputs, self.tangents))
        made = jvp(lambda *xs: function_of(self.op)(*xs, **self.params), xs, ts)[1]
        return tuple(t._raw for t in made) if isinstance(made, tuple) else made._raw

    def vjps(self) -> list[Any]:
        """The cotangent of each differentiable input."""
        g = (
            self.cotangents[0]
            if len(self.outputs) == 1 and self.op.outputs == ("y",)
            else tuple(self.cotangents)
        )
        if self.op.variadic:
            return list(self.call(self.op.rules[self.names[0]], g))
        found: list[Any] = []
        for i, name in enumerate(self.names[: len(self.inputs)]):
            if not self.differentiable(i):
                found.append(None)
                continue
            rule = self.op.rules[name]
            if self.op.kind != "elementwise" or "v" in needs(rule):
                made = self.call(rule, g)
            else:
                partial = self.call(rule) if callable(rule) else rule
                made = g * (partial if isinstance(partial, (int,
                float)) else np.conj(partial) if isinstance(
                    partial, np.generic) else self.F.conj(partial))  # fmt: skip
            made = made if hasattr(made, "dtype") else self.xp.wrap(made)
            found.append(self.xp.sum_to_size(made, tuple(self.inputs[i].shape)))
        return found

    def numpy(self, x: Any) -> Any:
        return np.asarray(self.xp.to_numpy(x) if type(x) is self.xp.array_type else x)

    def dot(self, a: Any, b: Any) -> float:
        """Re ⟨a, b⟩, the real inner product."""
        return float(np.sum(np.conj(self.numpy(a)) * self.numpy(b)).real)


def kinds(op: OpDef) -> list[str]:
    if "complex" in op.facts.fill.values():
        return ["complex128"]
    return ["float64", "complex128"] if op.facts.complex else ["float64"]


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize(("name", "number"), CASES)
def test_vjp_is_the_adjoint_of_jvp(name: str, number: int, device: str) -> None:
    for kind in kinds(TABLE[name]):
        row = Row(TABLE[name], number, device, kind)
        tracked = [i for i in range(len(row.inputs)) if row.differentiable(i)]
        there = sum(
            row.dot(g, t) for g, t in zip(row.cotangents, row.jvp(), strict=False) if g is not None
        )
        grads = row.vjps()
        back = sum(row.dot(grads[i], row.tangents[i]) for i in tracked)
        assert tracked
        assert there == pytest.approx(back, rel=1e-11, abs=1e-11), kind


@pytest.mark.parametrize(("name", "number"), CASES)
def test_jvp_is_a_difference_quotient(name: str, number: int) -> None:
    for kind in kinds(TABLE[name]):
        row = Row(TABLE[name], number, "cpu", kind)
        step = 1e-6
        ahead, behind = (
            row.forward([
                x + s * t if row.differentiable(i) else x
                for i, (x, t) in enumerate(zip(row.inputs, row.tangents, strict=True))
            ])
            for s in (step, -step)
        )  # fmt: skip
        for y, a, b, t in zip(row.outputs, ahead, behind, row.jvp(), strict=False):
            if row.floating(y):
                quotient = (row.numpy(a) - row.numpy(b)) / (2 * step)
                # truncation is of order step², cancellation of order ε/step
                np.testing.assert_allclose(
                    row.numpy(t), quotient, rtol=2e-8, atol=2e-8, err_msg=kind
                )
