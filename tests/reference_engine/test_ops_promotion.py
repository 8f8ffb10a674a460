"""Type promotion of every operation that combines tensors: the dtype of its result and of each
gradient wherever PyTorch gives a result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

import reference_engine
from reference_engine.backends import dtypes
from reference_engine.ops.call import function_of
from reference_engine.ops.opdef import REQUIRED, OpDef
from reference_engine.ops.table import TABLE
from tests.reference_engine.test_ops import INTERNAL, torch_function

KINDS = ("bool", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128")
#: with dimensions, without, and a Python number
FORMS = ("tt", "t0", "0t", "ts", "st")
NUMBERS = {"bool": True, "int64": 2, "float64": 2.0, "complex128": 2j}


def promotes(op: OpDef) -> bool:
    """Whether an op brings the dtypes of several inputs together, and needs nothing else."""
    return (
        not op.name.split(".")[-1].startswith("_")
        and op.name not in INTERNAL
        and op.kind != "composite"
        and op.promotion != "keep"
        and len(op.inputs) > 1
        and not op.variadic
        and REQUIRED not in op.params.values()
    )


#: the engine has neither powers of bools nor bounds of them
APART = {
    ("pow", "ts", "bool", "bool"),
    ("a reversed power", "st", "bool", "bool"),
    *(("clamp", form, "bool", "bool") for form in FORMS),
    *(("clamp with numbers", form, "bool", "bool") for form in FORMS),
}
#: complex powers of halves pass through torch's complex32, which the engine does not have
HALVED = {"pow", "float_power", "a reversed power"}
#: what takes a mask, or reals of one dtype alone
ELSEWHERE = {"where", "masked_fill", "complex", "polar"}
ROWS = [name for name, op in TABLE.items() if promotes(op) and name not in ELSEWHERE]
#: called otherwise than with one tensor after the other
CALLED: dict[str, Callable[..., Any]] = {
    "where": lambda lib, a, b: lib.where(lib.tensor([True, False]), a, b),
    **{
        name: lambda lib, a, b, name=name: getattr(lib, name)([a, b])
        for name in ("cat", "stack", "hstack", "vstack", "dstack", "column_stack")
    },
    "float_power": lambda lib, a, b: lib.float_power(a, b),
    "copysign": lambda lib, a, b: lib.copysign(a, b),
    "true_divide": lambda lib, a, b: lib.true_divide(a, b),
    "kron": lambda lib, a, b: lib.kron(a, b),
    "outer": lambda lib, a, b: lib.outer(a, b),
    "a product": lambda lib, a, b: a * b,
    "a reversed power": lambda lib, a, b: b**a,
    **{
        name: lambda lib, a, b, name=name: getattr(lib.nn.functional, name)(a, b)
        for name in ("mse_loss", "smooth_l1_loss", "l1_loss", "binary_cross_entropy_with_logits")
    },
    "ldexp": lambda lib, a, b: lib.ldexp(a, b),
    "block_diag": lambda lib, a, b: lib.block_diag(a, b),
    "lerp with a number": lambda lib, a, b: lib.lerp(a, b, 0.5),
    "clamp with numbers": lambda lib, a, b: lib.clamp(a, b, b),
}  # fmt: skip


def operand(lib: Any, form: str, kind: str) -> Any:
    if form == "s":
        return NUMBERS.get(kind)
    x = lib.full((2,) if form == "t" else (), 1, dtype=lib.float64).to(getattr(lib, kind))
    return x.requires_grad_() if dtypes.by_name(kind).differentiable else x


def kinds_of(lib: Any, function: Any, operands: list[Any]) -> list[str] | None:
    """The dtypes of the result and of the operands' gradients; None where there is an error."""
    try:
        y = function(*operands)
        found = [y]
        if y.requires_grad:
            y.backward(lib.ones_like(y.detach()))
            found += [x.grad for x in operands if hasattr(x, "grad")]
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return None
    return [str(x.dtype).split(".")[1] if x is not None else "" for x in found]


def check(name: str, engine: Any, theirs: Any, ours: Any, count: int = 2) -> None:
    checked = 0
    for form, a, b in itertools.product(FORMS, KINDS, KINDS):
        halved = {a, b} & {"float16", "bfloat16"} and {a, b} & {"complex64", "complex128"}
        if (name, form, a, b) in APART or (name in HALVED and halved):
            continue
        both = []
        for lib, function in ((torch, theirs), (engine, ours)):
            rest = [operand(lib, "t", b) for _ in range(count - 2)]
            operands = [operand(lib, form[0], a), operand(lib, form[1], b), *rest]
            none = any(x is None for x in operands)
            both.append(None if none else kinds_of(lib, function, operands))
        expected, got = both
        # the engine has no complex32: halves go to complex64
        if expected is not None and "complex32" not in expected:
            assert got == expected, (name, form, a, b, got, expected)
            checked += 1
    assert checked > len(KINDS), "torch gives no result to compare with"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ROWS)
def test_a_row_promotes_as_in_torch(name: str, engine: Any) -> None:
    op = TABLE[name]
    count = len(op.inputs) - (name == "clamp")  # one bound and both
    check(name, engine, torch_function(name), function_of(op), count)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CALLED)
def test_what_combines_tensors_promotes_as_in_torch(name: str, engine: Any) -> None:
    call = CALLED[name]
    check(
        name,
        engine,
        lambda a, b: call(torch, a, b),
        lambda a, b: call(reference_engine, a, b),
    )
