"""What operations do beside computing: in place, rounding of integers, singular matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

Scenario = Callable[[Any], Any]
NUMBERS = [-4.0, -1.0, 0.3, 2.0, 7.0]


def agree(engine: Any, scenario: Scenario) -> None:
    """The same numbers, dtypes and kinds of error from torch and the engine."""
    found = []
    for library in (torch, engine):
        try:
            found.append(scenario(library))
        except (RuntimeError, ValueError, TypeError) as error:
            found.append(type(error))
    expected, got = found
    if isinstance(expected, type):
        assert got is expected
        return
    for g, e in zip(got, expected, strict=True):
        if isinstance(e, (str, tuple)):
            assert g == e
        else:
            np.testing.assert_allclose(np.array(g), np.array(e), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((n, ()) for n in (
            "relu relu6 leaky_relu hardtanh hardswish elu celu selu silu mish".split())),
        ("threshold", (0.5, 2.0)), ("leaky_relu", (0.3,)),
    ],
)  # fmt: skip
def test_activations_work_in_place(engine: Any, name: str, settings: tuple[float, ...]) -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor(NUMBERS, dtype=lib.float64, requires_grad=True)
        y = x * 1
        z = getattr(lib.nn.functional, name)(y, *settings, inplace=True)
        assert z is y
        z.sum().backward()
        return z.tolist(), x.grad.tolist()

    agree(engine, scenario)


@pytest.mark.parametrize(
    ("name", "where"),
    [("t", ()), ("transpose", (0, 2)), ("swapaxes", (0, 1)), ("squeeze", ()), ("squeeze", (1,)),
     ("unsqueeze", (0,))],
)  # fmt: skip
@pytest.mark.parametrize("of_view", [False, True])
def test_shapes_change_in_place(engine: Any, name: str, where: Any, of_view: bool) -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor(np.arange(12.0).reshape(2, 1, 6), requires_grad=True)
        whole = (x[:, 0] if name == "t" else x) * 1
        y = whole[..., 1:4] if of_view else whole
        assert getattr(y, name + "_")(*where) is y
        y.mul_(lib.tensor(np.arange(float(y.numel())).reshape(tuple(y.shape))))
        (whole * whole).sum().backward()
        # the stride of a dimension of size 1 means nothing
        strides = tuple(s for s, n in zip(y.stride(), y.shape, strict=True) if n > 1)
        return tuple(y.shape), strides, y.tolist(), whole.tolist(), x.grad.tolist()

    agree(engine, scenario)


def test_a_leaf_does_not_change_its_shape_in_place(engine: Any) -> None:
    agree(engine, lambda lib: lib.ones(2, 3, requires_grad=True).t_())


@pytest.mark.parametrize("mode", [None, "floor", "trunc", "up"])
@pytest.mark.parametrize("kind", ["int64", "int8", "float32"])
def test_division_rounds(engine: Any, mode: str | None, kind: str) -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([7, -7, 5, -6], dtype=getattr(lib, kind))
        parts = [lib.div(x, y, rounding_mode=mode) for y in (x * 0 + 2, x * 0 - 3, 2, -3, 2.5)]
        return [str(p.dtype).rpartition(".")[2] for p in parts] + [p.tolist() for p in parts]

    agree(engine, scenario)


@pytest.mark.parametrize("mode", ["floor", "trunc"])
@pytest.mark.parametrize("kind", ["int64", "float32"])
def test_rounded_division_by_zero(engine: Any, mode: str, kind: str) -> None:
    agree(engine, lambda lib: lib.div(
        lib.tensor([1, -1], dtype=getattr(lib, kind)), 0, rounding_mode=mode).tolist())  # fmt: skip


SINGULAR = {
    "rank 1": [[1.0, 2.0], [2.0, 4.0]],
    "zero row": [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]],
    "rank 1 of 3": [[0.125, 0.25, 0.375], [0.25, 0.5, 0.75], [0.375, 0.75, 1.125]],
    "zero": [[0.0, 0.0], [0.0, 0.0]],
    "regular": [[2.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.2, 0.4, 1.0]],
}


def by_minors(matrix: list[list[float]]) -> Any:
    """The determinant as a polynomial of its elements, to be differentiated by torch."""
    if len(matrix) == 1:
        return matrix[0][0]
    minors = ([row[:j] + row[j + 1 :] for row in matrix[1:]] for j in range(len(matrix)))
    return sum(
        (-1) ** j * x * by_minors(m) for j, (x, m) in enumerate(zip(matrix[0], minors, strict=True))
    )


@pytest.mark.parametrize("case", SINGULAR)
def test_determinants_of_singular_matrices_have_derivatives(engine: Any, case: str) -> None:
    """To third order; torch's own second derivative at 0 is nan (torch-11)."""
    n = len(SINGULAR[case])
    weights = np.random.default_rng(0).uniform(-1, 1, (n, n))

    def scenario(lib: Any) -> Any:
        x = lib.tensor(SINGULAR[case], dtype=lib.float64, requires_grad=True)
        w = lib.tensor(weights)
        apart = [[x[i, j] for j in range(n)] for i in range(n)]
        y = by_minors(apart) if lib is torch else lib.linalg.det(x)
        (first,) = lib.autograd.grad(y, x, create_graph=True)
        (second,) = lib.autograd.grad((first * first * w).sum(), x, create_graph=True)
        (third,) = lib.autograd.grad((second * second * w).sum(), x)
        return [v.tolist() for v in (y, first, second, third)]

    agree(engine, scenario)
