"""Errors of array libraries come as PyTorch's: of the same type on every backend."""

from __future__ import annotations

from typing import Any

import pytest

CASES: dict[str, Any] = {
    # raw torch raises the second of an array's amax
    "maximum of nothing": ((RuntimeError, IndexError), lambda t: t.zeros(0).max()),
    "maximum along nothing": (IndexError, lambda t: t.zeros(0, 3).max(0)),
    "place of a maximum of nothing": (IndexError, lambda t: t.zeros(0).argmax()),
    "no such dimension": (IndexError, lambda t: t.ones(2, 2).roll(1, 3)),
    "products that do not fit": (RuntimeError, lambda t: t.addmm(t.ones(3), *[t.ones(2, 2)] * 2)),
    "choices that do not fit": (RuntimeError, lambda t: t.where(t.ones(3) > 0, *[t.ones(2)] * 2)),
    "a matrix that is not square": (RuntimeError, lambda t: t.linalg.matrix_exp(t.ones(2, 3))),
    "bits of floats": (NotImplementedError, lambda t: t.ones(2) & t.ones(2)),
    "floor of complex numbers": (NotImplementedError, lambda t: t.tensor([1j]).floor()),
    "a gamma function of complex numbers": (
        NotImplementedError, lambda t: t.lgamma(t.tensor([1j])),
    ),
    "a loss of unknown reduction": (
        ValueError, lambda t: t.nn.functional.mse_loss(*[t.ones(2)] * 2, reduction="no"),
    ),
}  # fmt: skip
SINGULAR: dict[str, Any] = {
    "inverse": lambda t: t.linalg.inv(t.zeros(2, 2)),
    "solution": lambda t: t.linalg.solve(t.zeros(2, 2), t.ones(2)),
    "Cholesky factor": lambda t: t.linalg.cholesky(-t.ones(2, 2)),
    "singular values": lambda t: t.linalg.svd(t.full((2, 2), float("nan"))),
    "negative power": lambda t: t.linalg.matrix_power(t.zeros(2, 2), -1),
}


@pytest.mark.parametrize("case", CASES)
def test_an_error_has_the_type_that_it_has_in_torch(engine: Any, case: str) -> None:
    import torch as pytorch

    kind, call = CASES[case]
    for lib in (pytorch, engine):
        with pytest.raises(kind):
            call(lib)


@pytest.mark.parametrize("case", SINGULAR)
def test_linear_algebra_has_an_error_of_its_own(engine: Any, case: str) -> None:
    import torch as pytorch

    for lib in (pytorch, engine):
        with pytest.raises(lib.linalg.LinAlgError) as caught:
            SINGULAR[case](lib)
        assert isinstance(caught.value, RuntimeError)
