"""gradcheck and gradgradcheck of the reference engine: PyTorch's signature and its verdicts."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

import reference_engine as engine
from reference_engine.autograd import GradcheckError, gradcheck, gradgradcheck


def normal(*shape: int, complex_: bool = False) -> Any:
    random = np.random.default_rng(0)
    values = random.standard_normal(shape)
    if complex_:
        values = values + 1j * random.standard_normal(shape)
    return engine.tensor(values, requires_grad=True)


@pytest.mark.parametrize("name", ["gradcheck", "gradgradcheck"])
def test_the_signatures_are_those_of_torch(name: str) -> None:
    ours = inspect.signature(getattr(engine.autograd, name)).parameters
    theirs = inspect.signature(getattr(torch.autograd, name)).parameters
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [
        (p.name, p.default, p.kind) for p in theirs.values()
    ]


@pytest.mark.parametrize("fast", [False, True])
def test_right_functions_pass_in_both_orders(fast: bool) -> None:
    inputs = normal(3, 2), normal(2, 4)
    assert gradcheck(lambda a, b: engine.tanh(a @ b), inputs, fast_mode=fast)
    assert gradgradcheck(lambda a, b: engine.tanh(a @ b), inputs, fast_mode=fast)


def test_complex_functions_pass() -> None:
    assert gradcheck(lambda z: z * z.conj() * z, normal(3, complex_=True))


def test_several_outputs_and_strided_cotangents() -> None:
    assert gradgradcheck(lambda a: (a.sin(), a.exp()), normal(3), gen_non_contig_grad_outputs=True)


@pytest.mark.parametrize("fast", [False, True])
def test_what_backward_cannot_see_fails(fast: bool) -> None:
    x = normal(3)
    with pytest.raises(GradcheckError, match="by differences"):
        gradcheck(lambda a: a * a.detach(), x, fast_mode=fast)
    assert not gradcheck(lambda a: a * a.detach(), x, fast_mode=fast, raise_exception=False)


def test_tight_tolerances_are_met() -> None:
    assert gradcheck(engine.sin, normal(4), atol=0.0, rtol=1e-10)


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="requires grad"):
        gradcheck(engine.sin, engine.tensor([1.0]))
    with pytest.raises(NotImplementedError, match="not checked here"):
        gradcheck(engine.sin, normal(2), check_forward_ad=True, check_batched_forward_grad=True)
