"""Every row on inputs and cotangents whose elements lie otherwise in memory: gradients must not
depend on it, and neither on where zero-stride cotangents come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import reference_engine
from reference_engine.ops.call import function_of
from reference_engine.ops.table import TABLE
from tests.reference_engine.op_samples import cases, fill_of, inputs, samples
from tests.reference_engine.test_ops import INTERNAL, caller

#: draws, or gives what the memory holds
RANDOM = {"uniform", "normal"}
#: depend on the layout: they refuse one that has no such view, as PyTorch
OF_LAYOUT = {"view", "view_as", "view_as_complex", "as_strided"}
CASES = [case for case in cases(TABLE) if case[0] not in INTERNAL | RANDOM | OF_LAYOUT]


def strided(array: Any) -> Any:
    """The same elements, apart from each other and in reverse order of dimensions."""
    room = np.zeros([2 * n for n in reversed(array.shape)], array.dtype)
    view = room[tuple(slice(0, 2 * n, 2) for n in reversed(array.shape))].T
    view[...] = array
    return view


def backwards(array: Any) -> Any:
    """The same elements at negative strides, which torch's own tensors cannot have."""
    every = (slice(None, None, -1),) * array.ndim
    return array[every].copy()[every]


def made(array: Any, device: str, layout: Callable[[Any], Any] | None) -> Any:
    """A leaf and the tensor to compute with: a view of it where a layout is asked for."""
    if layout is backwards:
        leaf = reference_engine.tensor(backwards(array), device=device)
        return leaf, leaf
    if layout is None or not array.ndim:
        leaf = reference_engine.tensor(array, device=device)
        return leaf, leaf
    base = strided(array).base
    leaf = reference_engine.tensor(np.array(base), device=device)
    index = tuple(slice(0, 2 * n, 2) for n in reversed(array.shape))
    return leaf, lambda x: x[index].permute(*reversed(range(array.ndim)))


def gradients(name: str, number: int, device: str, layout: Any, ones: Any) -> list[Any]:
    """Values and gradients of a row, for cotangents of ones made by ``ones``."""
    op, sample = TABLE[name], samples(TABLE[name])[number]
    kind = "complex128" if "complex" in op.facts.fill.values() else "float64"
    leaves, xs = [], []
    names = [*op.inputs, *[op.inputs[-1]] * 9]
    for at, array in zip(names, inputs(op, sample, kind), strict=False):
        if not isinstance(array, np.ndarray):
            xs.append(array)
            continue
        leaf, view = made(array, device, layout)
        if array.dtype.kind in "fc" and fill_of(op, at) != "constant":
            leaves.append((leaf.requires_grad_(), array.shape))
        xs.append(view(leaf) if callable(view) else view)
    outs = caller(op, function_of(op))(xs, sample[1])
    found = []
    for out in outs if isinstance(outs, (tuple, list)) else (outs,):
        found.append(np.array(out.detach().cpu().numpy()))
        if not out.requires_grad:
            continue
        grads = reference_engine.autograd.grad(
            out, [leaf for leaf, _ in leaves], ones(out), allow_unused=True, retain_graph=True
        )
        for grad, (leaf, shape) in zip(grads, leaves, strict=True):
            grad = np.zeros(tuple(leaf.shape)) if grad is None else grad.cpu().numpy()
            if layout is strided and len(shape):
                grad = grad[tuple(slice(0, 2 * n, 2) for n in reversed(shape))].T
            found.append(np.array(grad))
    return found


def whole(out: Any) -> Any:
    return reference_engine.ones_like(out.detach())


def expanded(out: Any) -> Any:
    """Ones in a single place of memory, as the gradient of a sum has them."""
    return reference_engine.ones((), dtype=out.dtype, device=out.device).expand(out.shape)


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize(("name", "number"), CASES)
def test_layout_does_not_matter(name: str, number: int, device: str) -> None:
    plain = gradients(name, number, device, None, whole)
    for layout, ones in ((strided, expanded), (backwards, whole)):
        got = gradients(name, number, device, layout, ones)
        assert len(got) == len(plain)
        for a, b in zip(got, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13, err_msg=layout.__name__)


REFUSED: dict[str, Callable[[Any, Any], Any]] = {
    "view": lambda lib, x: x.view(6),
    "view_as_complex": lambda lib, x: lib.view_as_complex(x),
}


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_layouts_without_such_a_view_are_refused(case: str, device: str) -> None:
    for lib, where in ((torch, "cpu"), (reference_engine, device)):
        with pytest.raises(RuntimeError):
            REFUSED[case](lib, lib.ones(2, 3, dtype=lib.float64, device=where).t())
