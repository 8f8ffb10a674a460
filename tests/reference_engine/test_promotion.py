"""Type promotion: dtypes and values of mixed operands as in PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch as pytorch

from reference_engine.backends import dtypes
from reference_engine.dispatch import operator
from reference_engine.ops.table import TABLE
from tests.reference_engine.outcome import outcome, same

NAMES = [d.name for d in dtypes.ALL]
OPERANDS: dict[str, Any] = {
    **{n: lambda lib, n=n: lib.tensor([1, 2]).to(getattr(lib, n)) for n in NAMES},
    **{f"{n}, 0-d": lambda lib, n=n: lib.tensor(1).to(getattr(lib, n)) for n in NAMES},
    "True": lambda lib: True,
    "2": lambda lib: 2,
    "2.5": lambda lib: 2.5,
    "2j": lambda lib: 2j,
}
OPERATIONS: dict[str, Any] = {
    "add": lambda lib, a, b: a + b,
    "mul": lambda lib, a, b: a * b,
    "div": lambda lib, a, b: a / b,
}


@pytest.mark.parametrize("a", NAMES)
@pytest.mark.parametrize("b", NAMES)
def test_promote_types(a: str, b: str) -> None:
    expected = pytorch.promote_types(getattr(pytorch, a), getattr(pytorch, b))
    assert f"torch.{dtypes.promote_types(dtypes.by_name(a), dtypes.by_name(b)).name}" == str(
        expected
    )


@pytest.mark.parametrize("a", OPERANDS)
def test_operands_promote_as_in_torch(engine: Any, a: str) -> None:
    for b, make in OPERANDS.items():
        for name, operation in OPERATIONS.items():

            def scenario(lib: Any, make: Any = make, operation: Any = operation) -> Any:
                left, right = OPERANDS[a](lib), make(lib)
                if not (hasattr(left, "dtype") or hasattr(right, "dtype")):
                    return None
                result = operation(lib, left, right)
                return str(result.dtype).rpartition(".")[2], result.to(lib.complex128)

            expected, got = outcome(scenario, pytorch), outcome(scenario, engine)
            halved = expected.value is not None and expected.value[0] == "complex32"
            if halved or "ComplexHalf" in expected.message:
                # the engine has no complex32: halves go to complex64
                assert got.value[0] == "complex64"
                continue
            assert (got.raised, same(expected.value, got.value)) == (expected.raised, True), (
                name, a, b, expected, got,
            )  # fmt: skip


def test_the_default_dtype_is_what_floats_take(engine: Any) -> None:
    assert engine.tensor([1.5]).dtype is engine.float32
    engine.set_default_dtype(engine.float64)
    try:
        assert engine.tensor([1.5]).dtype is engine.float64
        assert (engine.tensor([1]) * 1.5).dtype is engine.float64
        assert engine.tensor([1j]).dtype is engine.complex128
    finally:
        engine.set_default_dtype(engine.float32)
    with pytest.raises(TypeError, match="floating"):
        engine.set_default_dtype(engine.int64)


@pytest.mark.parametrize("name", NAMES)
def test_a_dtype_pickles_to_itself(name: str) -> None:
    import pickle

    kind = dtypes.by_name(name)
    assert pickle.loads(pickle.dumps(kind)) is kind


def test_lists_of_every_length_leave_nothing_behind(engine: Any) -> None:
    x = engine.tensor([1.0])
    assert engine.cat([x] * 10_000).shape == (10_000,)
    assert all(len(key) < 1_000 for key in operator(TABLE["cat"]).common)
