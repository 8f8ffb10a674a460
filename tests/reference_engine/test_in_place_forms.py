"""In-place forms: there wherever PyTorch has one, with its values, refusals and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch as pytorch

from tests.reference_engine.outcome import assert_as_in_torch

#: what the table of operations has, without an in-place form
ABSENT = {
    "as_strided_", "bernoulli_", "float_power_",
}  # fmt: skip
WRITES: dict[str, Any] = {
    **{
        f"{name}_": lambda t, y, name=name: getattr(y, name + "_")(t.tensor([[1.0, 2.0]]))
        for name in ("eq", "ne", "lt", "le", "gt", "ge", "less", "less_equal", "greater",
                     "greater_equal", "not_equal", "copysign")
    },
    "lt_ a number": lambda t, y: y.lt_(2),
    "logical_not_": lambda t, y: y.logical_not_(),
    "logical_xor_": lambda t, y: y.logical_xor_(t.tensor([True, False])),
    "logical_and_": lambda t, y: y.logical_and_(t.tensor([1.0, 0.0])),
    "logical_or_": lambda t, y: y.logical_or_(y.detach()),
    "copysign_ a number": lambda t, y: y.copysign_(-1.0),
    "conj_physical_": lambda t, y: y.conj_physical_(),
    "ldexp_": lambda t, y: y.ldexp_(t.tensor([1, 2])),
    "mvlgamma_": lambda t, y: y.mvlgamma_(2),
    "polygamma_": lambda t, y: y.polygamma_(1),
    "renorm_": lambda t, y: y.renorm_(2, 0, 0.5),
    "addr_": lambda t, y: y.addr_(*[t.tensor([1, 2]).to(y.dtype)] * 2, alpha=2),
    "addbmm_": lambda t, y: y.addbmm_(*[t.ones(3, 2, 2).to(y.dtype)] * 2),
    "scatter_reduce_": lambda t, y: y.scatter_reduce_(
        0, t.tensor([[0, 1]]), t.tensor([[2, 3]]).to(y.dtype), "prod"
    ),
    "masked_scatter_": lambda t, y: y.masked_scatter_(y > 2, y.detach() * 2),
}  # fmt: skip


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_an_in_place_form_writes_what_it_does_in_torch(engine: Any, dtype: str, write: Any) -> None:
    def scenario(lib: Any) -> Any:
        y = lib.tensor([[1.5, 2.0], [3.0, 1.0]]).to(getattr(lib, dtype))
        made = write(lib, y)
        return made, made is y, str(y.dtype).rpartition(".")[2], y._version > 0

    if dtype in ("float64", "float32"):
        assert_as_in_torch(scenario, engine)
        return
    refused = []
    for lib in (pytorch, engine):
        try:
            refused.append(scenario(lib)[0].tolist())
        except RuntimeError as error:  # of which PyTorch has several kinds
            refused.append(isinstance(error, RuntimeError))
    assert refused[0] == refused[1]


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("through", ["itself", "a view"])
def test_gradients_through_an_in_place_form(engine: Any, through: str, name: str) -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([[1.5, 2.0], [3.0, 1.0]], dtype=lib.float64, requires_grad=True)
        y = x * 1
        WRITES[name](lib, y if through == "itself" else y.view(2, 2))
        (y * y).sum().backward()
        return y, x.grad

    if name.startswith("logical"):  # PyTorch keeps the old values' history: torch-70
        assert scenario(engine)[1].tolist() == [[0.0, 0.0]] * 2
    else:
        assert_as_in_torch(scenario, engine)


def test_a_comparison_or_a_sign_in_place_of_a_leaf_is_refused(engine: Any) -> None:
    for name in ("lt_", "copysign_"):
        x = engine.ones(2, requires_grad=True)
        with pytest.raises(RuntimeError):
            getattr(x, name)(engine.ones(2))
        assert x._version == 0


def test_only_named_forms_are_absent(engine: Any) -> None:
    forms = {n for n in dir(pytorch.Tensor) if n.endswith("_") and not n.startswith("_")}
    mine = set(dir(engine.Tensor))
    assert {n for n in forms if n not in mine and n[:-1] in mine} == ABSENT


def test_plus_is_the_tensor_itself(engine: Any) -> None:
    x = engine.tensor([1.0, -2.0], requires_grad=True)
    (+x * 2).sum().backward()
    assert (+x).tolist() == [1.0, -2.0]
    assert x.grad.tolist() == [2.0, 2.0]
