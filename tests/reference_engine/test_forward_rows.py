"""Every row of the table in forward mode: its tangents against torch's, and the tangents of its
gradients against its own second order, on both backends, real and complex.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

import reference_engine
from reference_engine.ops.call import function_of
from reference_engine.ops.opdef import OpDef
from reference_engine.ops.table import TABLE
from tests.reference_engine.op_samples import cases, cotangent, fill_of, inputs, samples
from tests.reference_engine.test_ops import INTERNAL, caller, torch_function

# torch compiles its forward rules with a module that it deprecates
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

_SYMMETRIC = ("positive-definite", "hermitian")
ROUNDED = {"nn.functional.hardsigmoid"}
#: what is held against our own backward, which finite differences bear out: torch can
#: differentiate cdist neither forward nor twice, and gets the tangent of cholesky_inverse wrong
OWN = {"cdist", "cholesky_inverse"}
CASES = [case for case in cases(TABLE) if case[0] not in INTERNAL | ROUNDED]
KINDS = ("float64", "complex128")


class Side:
    """One of the two libraries at one sample of one row."""

    def __init__(self, library: Any, op: OpDef, function: Any, make: Any) -> None:
        self.library, self.op, self.make = library, op, make
        self.function = caller(op, function)
        self.fw = library.autograd.forward_ad

    def tensors(self, arrays: Sequence[Any]) -> tuple[list[Any], list[int]]:
        """The inputs, and the places of those that are differentiated."""
        xs = [self.make(a) if isinstance(a, np.ndarray) else a for a in arrays]
        names = itertools.chain(self.op.inputs, itertools.repeat(self.op.inputs[-1]))
        moving = [
            i
            for i, (name, x) in enumerate(zip(names, xs, strict=False))
            if str(getattr(x, "dtype", "")).split(".")[-1][:5] in ("float", "compl")
            and fill_of(self.op, name.lstrip("*")) != "constant"
        ]
        return xs, moving

    def tangent(self, x: Any, place: int, seed: int = 40) -> Any:
        drawn = cotangent(tuple(x.shape), str(x.dtype).split(".")[-1], seed + place)
        name = self.op.inputs[place % len(self.op.inputs)].lstrip("*")
        if fill_of(self.op, name) in _SYMMETRIC:
            drawn = drawn + drawn.swapaxes(-1, -2).conj()  # there is no derivative off these
        return self.make(drawn)

    def outputs(self, xs: list[Any], params: dict[str, Any]) -> list[Any]:
        outs = self.function(xs, params)
        return list(outs) if isinstance(outs, (tuple, list)) else [outs]

    def pushed(self, arrays: Sequence[Any], params: Any, among: Sequence[int]) -> list[Any]:
        """The tangents of the outputs, by forward mode; None where there is none."""
        xs, _ = self.tensors(arrays)
        with self.fw.dual_level():
            for i in among:
                xs[i] = self.fw.make_dual(xs[i], self.tangent(xs[i], i))
            outs = self.outputs(xs, params)
            return [self.numpy(self.fw.unpack_dual(y).tangent) for y in outs]

    def expected(self, arrays: Sequence[Any], params: Any, among: Sequence[int]) -> list[Any]:
        """The tangents by forward mode if torch has a rule that gives numbers, else by reverse."""
        try:
            found = self.pushed(arrays, params, among)
        except NotImplementedError:
            return self.pulled_twice(arrays, params, among)
        if any(t is not None and np.isnan(t).any() for t in found):
            return self.pulled_twice(arrays, params, among)
        return found

    def pulled_twice(self, arrays: Sequence[Any], params: Any, among: Sequence[int]) -> list[Any]:
        """The same by reverse mode: the jvp is the transpose of the vjp."""
        xs, _ = self.tensors(arrays)
        for i in among:
            xs[i].requires_grad_()
        found = []
        for out in self.outputs(xs, params):
            if not out.requires_grad:
                found.append(None)
                continue
            v = self.make(np.ones(tuple(out.shape), self.numpy(out).dtype)).requires_grad_()
            first = self.library.autograd.grad(
                out, [xs[i] for i in among], v, create_graph=True, allow_unused=True
            )
            parts = [(g, i) for g, i in zip(first, among, strict=True) if g is not None]
            onward = [(g, i) for g, i in parts if g.requires_grad]
            if not onward:
                found.append(np.zeros(tuple(out.shape)))
                continue
            tangents = [self.tangent(xs[i], i) for _, i in onward]
            (made,) = self.library.autograd.grad(
                [g for g, _ in onward], v, tangents, allow_unused=True, materialize_grads=True
            )
            found.append(self.numpy(made))
        return found

    def numpy(self, x: Any) -> Any:
        if x is None:
            return None
        x = x.detach()
        if self.library is torch:
            return np.array(x.resolve_conj().resolve_neg().numpy(force=True))
        return np.array(x.cpu().numpy())


def theirs(name: str) -> Side:
    return Side(torch, TABLE[name], torch_function(name), torch.tensor)


def ours(name: str, device: str) -> Side:
    return Side(
        reference_engine, TABLE[name], function_of(TABLE[name]),
        lambda a: reference_engine.tensor(a, device=device),
    )  # fmt: skip


def points(name: str, number: int) -> list[tuple[list[Any], dict[str, Any]]]:
    op = TABLE[name]
    sample = samples(op)[number]
    kinds = [
        kind
        for kind in KINDS
        if (op.facts.complex or kind == "float64")
        and not (kind == "float64" and "complex" in op.facts.fill.values())
    ]
    return [(inputs(op, sample, kind), sample[1]) for kind in kinds]


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize(("name", "number"), CASES)
def test_tangents_agree_with_torch(name: str, number: int, device: str) -> None:
    mine, his = ours(name, device), theirs(name)
    for arrays, params in points(name, number):
        places = mine.tensors(arrays)[1]
        # all inputs move, or one alone: then the others' tangents are zero
        for among in [places, *([i] for i in places if len(places) > 1)]:
            got = mine.pushed(arrays, params, among)
            oracle = mine.pulled_twice if name in OWN else his.expected
            expected = oracle(arrays, params, among)
            for y, (g, e) in enumerate(zip(got, expected, strict=True)):
                agree(f"output {y}, tangents of {among}", g, e)


def agree(path: str, got: Any, expected: Any) -> None:
    if got is None or expected is None:  # undefined is zero
        assert not np.any(got if expected is None else expected), f"{path}: {got}, {expected}"
        return
    assert got.shape == expected.shape, path
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11, err_msg=path)


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize(("name", "number"), CASES)
def test_forward_over_reverse_is_the_transpose_of_reverse_over_reverse(
    name: str, number: int, device: str
) -> None:
    """⟨w, ∂(vjp)·t⟩ = ⟨∂(vjp)ᵀ·w, t⟩ for random w and t; inner products are of real parts."""
    side = ours(name, device)
    for arrays, params in points(name, number):
        xs, places = side.tensors(arrays)
        leaves = [xs[i].requires_grad_() for i in places]
        if not any(y.requires_grad for y in side.outputs(list(xs), params)):
            continue
        tangents = [side.tangent(xs[i], i) for i in places]
        ws = [side.tangent(xs[i], i, 7) for i in places]
        firsts = _gradients(side, xs, params, leaves, create_graph=True)
        onward = [(g, w) for g, w in zip(firsts, ws, strict=True) if g is not None]
        onward = [(g, w) for g, w in onward if g.requires_grad]
        back: Sequence[Any] = [None] * len(leaves)
        if onward:
            gs, cotangents = zip(*onward, strict=True)
            back = reference_engine.autograd.grad(gs, leaves, cotangents, allow_unused=True)
        with side.fw.dual_level():
            duals = list(xs)
            for i, t in zip(places, tangents, strict=True):
                duals[i] = side.fw.make_dual(xs[i], t)
            found = _gradients(side, duals, params, leaves, create_graph=False)
            pushed = [None if g is None else side.fw.unpack_dual(g).tangent for g in found]
        forward = _inner(side, ws, pushed)
        reverse = _inner(side, back, tangents)
        if np.isnan(forward) and np.isnan(reverse):  # no second derivative: std of equal numbers
            continue
        scale = max(1.0, *(float(np.abs(side.numpy(p)).sum()) for p in pushed if p is not None), 0)
        assert abs(forward - reverse) <= 1e-9 * scale, (forward, reverse)


def _gradients(
    side: Side, xs: list[Any], params: Any, leaves: list[Any], create_graph: bool
) -> Any:
    outs = [y for y in side.outputs(list(xs), params) if y.requires_grad]
    kinds = [str(y.dtype).split(".")[-1] for y in outs]
    vs = [side.make(cotangent(tuple(y.shape), k, 3)) for y, k in zip(outs, kinds, strict=True)]
    grad = reference_engine.autograd.grad
    return grad(outs, leaves, vs, create_graph=create_graph, allow_unused=True)


def _inner(side: Side, ws: Sequence[Any], xs: Sequence[Any]) -> float:
    pairs = [(side.numpy(w), side.numpy(x)) for w, x in zip(ws, xs, strict=True)]
    return float(sum(np.vdot(w, x).real for w, x in pairs if w is not None and x is not None))
