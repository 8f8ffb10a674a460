"""Every row of the table against torch: value, vjp, jvp and second order, on both backends, real
and complex.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

import reference_engine
from reference_engine.ops.call import function_of
from reference_engine.ops.opdef import OpDef
from reference_engine.ops.table import TABLE
from tests.reference_engine.formulations import FORMULATIONS
from tests.reference_engine.more_samples import REAL_ONLY
from tests.reference_engine.op_samples import cases, cotangent, fill_of, inputs, samples

KINDS = ("float64", "complex128")
#: names that only mean something to the reference engine's own rules
INTERNAL = {"zeros_of", "copy", "zero"}
#: torch's sum_to_size and ndtr are compositions
UNNAMED = {"special.ndtr", "sum_to_size"}
CASES = [case for case in cases(TABLE) if case[0] not in INTERNAL]


class Side:
    """One of the two libraries, computing the same things."""

    def __init__(self, library: Any, name: str, function: Any, make: Any) -> None:
        self.library, self.op, self.make = library, TABLE[name], make
        self.function = caller(self.op, function)

    def run(self, arrays: Sequence[Any], params: dict[str, Any]) -> list[dict[str, Any]]:
        """For each differentiable output: its value, gradients, and gradients of those."""
        xs = [self.make(a) if isinstance(a, np.ndarray) else a for a in arrays]
        names = itertools.chain(self.op.inputs, itertools.repeat(self.op.inputs[-1]))
        for name, x in zip(names, xs, strict=False):
            floating = str(getattr(x, "dtype", "")).split(".")[-1][:5] in ("float", "compl")
            if floating and fill_of(self.op, name) != "constant":
                x.requires_grad_()
        outs = self.function(xs, params)
        outs = list(outs) if isinstance(outs, (tuple, list)) else [outs]
        tracked = [x for x in xs if getattr(x, "requires_grad", False)]
        return [self._derivatives(out, tracked, seed) for seed, out in enumerate(outs)]

    def _derivatives(self, out: Any, xs: list[Any], seed: int) -> dict[str, Any]:
        found: dict[str, Any] = {"value": self.numpy(out)}
        if not out.requires_grad:
            return found
        if self.op.name not in UNNAMED and out.grad_fn is not None:  # conj of reals is the leaf
            found["node"] = out.grad_fn.name()
        v = self.make(cotangent(tuple(out.shape), self.numpy(out).dtype, seed)).requires_grad_()
        grad = self.library.autograd.grad
        first = grad(out, xs, v, create_graph=True, allow_unused=True)
        found["vjp"] = [None if g is None else self.numpy(g) for g in first]
        onward = [g for g in first if g is not None and g.requires_grad]
        if onward:
            tangents = [
                self.make(cotangent(tuple(g.shape), self.numpy(g).dtype, 7 + i))
                for i, g in enumerate(onward)
            ]
            try:
                second = grad(onward, [v, *xs], tangents, allow_unused=True, retain_graph=True)
            except NotImplementedError:  # torch has none for cdist; test_forward_rows judges ours
                assert self.library is torch
                return found
            found["jvp"] = None if second[0] is None else self.numpy(second[0])
            found["second"] = [
                np.zeros(x.shape) if g is None else self.numpy(g)
                for g, x in zip(second[1:], xs, strict=True)
            ]
        return found

    def numpy(self, x: Any) -> Any:
        x = x.detach()
        if self.library is torch:
            return np.array(x.resolve_conj().resolve_neg().numpy(force=True))
        return np.array(x.cpu().numpy())


def torch_function(name: str) -> Any:
    if name in ("T", "mT", "H", "mH"):
        return operator.attrgetter(name)
    target: Any = torch.ops.aten if name == "slice" else torch
    for part in name.split("."):
        target = getattr(target, part, None)
    return target if target is not None else getattr(torch.Tensor, name, None)


def theirs(name: str) -> Side:
    # what torch computes wrongly is judged by another formulation
    known = (
        formulation
        for entry, (_, formulation) in FORMULATIONS.items()
        if entry.split(".mvl")[0] == name and name != "linalg.norm"  # that one is for zeros alone
    )
    function = next(known, None) or torch_function(name)
    assert function is not None, f"torch has no {name}"

    return Side(torch, name, function, torch.tensor)


def caller(op: OpDef, function: Any) -> Any:
    """``function(xs, params)``: positional as far as PyTorch's order goes, then by name."""

    def call(xs: list[Any], params: dict[str, Any]) -> Any:
        if op.variadic:
            spread = function in (torch.broadcast_tensors, torch.block_diag, torch.cartesian_prod)
            return function(*xs, **params) if spread else function(xs, **params)
        given = dict(zip(op.inputs, xs, strict=False)) | params
        by_place = {*op.inputs[: len(xs)], "indices_or_sections"}
        last = max(i for i, n in enumerate(op.order) if n in by_place or n[0] == "*")
        positional = [given.pop(n.lstrip("*")) for n in op.order[: last + 1]]
        return function(*positional, **given)

    return call


def ours(name: str, device: str) -> Side:
    return Side(
        reference_engine,
        name,
        function_of(TABLE[name]),
        lambda a: reference_engine.tensor(a, device=device),
    )


def agree(path: str, got: Any, expected: Any) -> None:
    if isinstance(expected, (list, tuple)):
        assert len(got) == len(expected), path
        for i, (g, e) in enumerate(zip(got, expected, strict=True)):
            agree(f"{path}[{i}]", g, e)
    elif expected is None or got is None:
        # an undefined gradient is a gradient of zero
        for side in (got, expected):
            assert side is None or not np.any(side), f"{path}: got {got}, expected {expected}"
    else:
        assert got.shape == expected.shape, f"{path}: shape {got.shape}, expected {expected.shape}"
        if path != "second" and not path.startswith("second"):
            assert got.dtype == expected.dtype, f"{path}: {got.dtype}, expected {expected.dtype}"
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12, err_msg=path)


# torch warns that reduction="mean" of kl_div and padding="same" are not what one may think
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize(("name", "number"), CASES)
def test_row_agrees_with_torch(name: str, number: int, device: str) -> None:
    op = TABLE[name]
    sample = samples(op)[number]
    checked = 0
    for kind in KINDS:
        if kind == "complex128" and (not op.facts.complex or name in REAL_ONLY):
            continue
        if kind == "float64" and "complex" in op.facts.fill.values():
            continue
        arrays = inputs(op, sample, kind)
        mine = ours(name, device).run(arrays, sample[1])
        his = theirs(name).run(arrays, sample[1])
        assert len(mine) == len(his)
        for got, expected in zip(mine, his, strict=True):
            assert got.keys() >= expected.keys() - {"jvp", "second"}, kind
            for key in got.keys() & expected.keys() - {"node"}:
                agree(f"{key}", got[key], expected[key])
                checked += 1
            # a composite's is that of its last part; a formulation's means nothing
            if op.kind != "composite" and "node" in got and name not in FORMULATIONS:
                assert got["node"] == expected["node"]
    assert checked, "no sample was compared"
