"""gradcheck and gradgradcheck of the reference engine: PyTorch's signature and its verdicts."""

from __future__ import annotations

import inspect
import subprocess
import sys
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
    with pytest.raises(AssertionError, match="nothing to check"):
        gradcheck(engine.sin, normal(2), check_batched_forward_grad=True)


def test_mistakes_about_second_derivatives_are_told_as_in_torch() -> None:
    for library in (engine, torch):
        check = library.autograd.gradgradcheck  # type: ignore[attr-defined]
        x = library.ones(2, dtype=library.float64)  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="at least one input"):
            check(library.sin, (x,))
        with pytest.raises(AssertionError, match="check_rev_over_rev"):
            check(library.sin, (x.requires_grad_(),), check_rev_over_rev=False)


@pytest.mark.parametrize("complex_", [False, True])
def test_batches_are_checked_in_both_modes(complex_: bool) -> None:
    inputs = normal(2, 3, complex_=complex_), normal(3, complex_=complex_)
    assert gradcheck(
        lambda a, b: (a @ b, (a * b).sum(0)), inputs, check_forward_ad=True,
        check_batched_grad=True, check_batched_forward_grad=True,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["backward", "forward"])
def test_a_derivative_that_knows_its_batch_is_found(mode: str) -> None:
    class Sine(engine.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            ctx.calls = 0
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0].cos() * Sine.factor(g)

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return t * ctx.saved_tensors[0].cos() * Sine.factor(t)

        @staticmethod
        def factor(x: Any) -> float:
            return 2.0 if type(x._raw).__name__ == "Batch" else 1.0

    x = normal(3)
    plain: dict[str, Any] = {"check_forward_ad": True}
    assert gradcheck(Sine.apply, x, **plain)
    batched = "check_batched_forward_grad" if mode == "forward" else "check_batched_grad"
    with pytest.raises(GradcheckError, match="a batch of directions"):
        gradcheck(Sine.apply, x, **plain, **{batched: True})


def test_an_output_that_is_not_used_must_count_as_one_with_a_zero_cotangent() -> None:
    class Two(engine.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            if h is None:
                return None if g is None else g * 2
            return h * 3 + (1.0 if g is None else g * 2)

    with pytest.raises(GradcheckError, match=r"undefined cotangents of \[0\] count"):
        gradcheck(Two.apply, normal(3))
    assert gradcheck(Two.apply, normal(3), check_undefined_grad=False)


def test_a_gradient_of_another_dtype_is_found_when_asked_for() -> None:
    class Coarse(engine.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return (g * 2).float()

    def coarse(x: Any) -> Any:
        x.grad_dtype = None  # nobody casts it
        return Coarse.apply(x)

    x = normal(3)
    assert gradcheck(coarse, x, check_undefined_grad=False)
    with pytest.raises(GradcheckError, match="float32; expected"):
        gradcheck(coarse, x, check_undefined_grad=False, check_grad_dtypes=True)


def test_the_module_is_where_torch_has_it() -> None:
    code = (
        "import reference_engine.autograd.gradcheck as found, reference_engine as torch\n"
        "from reference_engine.autograd.gradcheck import gradcheck, gradgradcheck\n"
        "print(found is gradcheck is torch.autograd.gradcheck, torch.autograd.gradcheck)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("True <function gradcheck")
