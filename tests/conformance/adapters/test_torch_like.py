"""Modules with PyTorch's names: what they lack is no capability, what they have is found."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from conformance.adapters.load import load_engine
from conformance.adapters.torch_like import TorchLikeEngine
from conformance.catalogue import OPERATIONS
from conformance.errors import Unsupported
from conformance.program import VERBS


class Plain:
    """A tensor without gradients."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def twice(self) -> Plain:
        return Plain(2 * self.data)

    def zero_(self) -> None:
        self.data[...] = 0


@pytest.fixture
def small() -> ModuleType:
    module = ModuleType("small")
    module.Tensor = Plain  # type: ignore[attr-defined]
    module.tensor = lambda array, requires_grad=False: Plain(array.copy())  # type: ignore[attr-defined]
    module.sin = lambda x: Plain(np.sin(x.data))  # type: ignore[attr-defined]
    module.no_grad = lambda: None  # type: ignore[attr-defined]
    return module


def test_torch_has_every_capability_that_a_verb_needs() -> None:
    needed = {need for verb in VERBS.values() for need in verb.needs}
    found = load_engine("torch").capabilities
    assert needed <= found
    assert {"backward_many", "backward.inputs", "grad_of.allow_unused", "accumulates"} <= found
    assert {"frees_graph", "dtype:bfloat16", "dtype:complex64"} <= found


def test_what_a_module_lacks_is_no_capability(small: ModuleType) -> None:
    found = {name for name in TorchLikeEngine(small).capabilities if not name.startswith("dtype:")}
    assert found == {"no_grad", "apply_", "accumulates", "frees_graph", "threads"}


def test_functions_come_before_methods_and_types_are_no_operations(small: ModuleType) -> None:
    small.Size = int  # type: ignore[attr-defined]
    small.twice = 3  # type: ignore[attr-defined]
    engine = TorchLikeEngine(small, name="other", version="9", dtypes=["float32"])
    x = engine.tensor(np.array([1.0, 2.0]))
    assert engine.apply("twice", x).data.tolist() == [2.0, 4.0]
    assert engine.apply("sin", x).data.tolist() == np.sin([1.0, 2.0]).tolist()
    engine.apply_("zero", x)
    assert x.data.tolist() == [0.0, 0.0]
    assert engine.operations == {"tensor", "sin", "no_grad", "twice", "zero"}
    assert (engine.name, engine.version, engine.dtypes) == ("other", "9", ("float32",))
    for missing in ("Size", "cos", "nn.functional.relu", "linalg.inv"):
        with pytest.raises(Unsupported, match=f"other has no operation {missing}"):
            engine.apply(missing, x)
    with pytest.raises(Unsupported, match="other has no operation exp_"):
        engine.apply_("exp", x)


def test_operations_are_found_under_their_paths() -> None:
    engine = load_engine("torch")
    assert engine.operations is not None
    assert {"sin", "view", "nn.functional.relu", "linalg.inv", "zero", "copy"} <= engine.operations
    x = engine.tensor(np.eye(2) * 2)
    assert engine.numpy(engine.apply("linalg.inv", x)).tolist() == [[0.5, 0.0], [0.0, 0.5]]
    assert engine.numpy(engine.apply("view", x, size=(4,))).shape == (4,)


def test_a_device_is_passed_to_everything_that_makes_tensors() -> None:
    engine = TorchLikeEngine(torch, device="meta")
    x = engine.tensor(np.ones(2))
    assert x.device.type == "meta"
    assert engine.apply("ones", size=(2,)).device.type == "meta"
    assert engine.apply("sin", x).device.type == "meta"


def test_preludes_name_the_module_torch() -> None:
    assert load_engine("torch").prelude == "import torch"  # type: ignore[attr-defined]
    assert TorchLikeEngine(torch, device="meta").prelude.startswith("import torch as torch")


def test_conjugates_and_inference_tensors_cross() -> None:
    engine = load_engine("torch")
    z = engine.tensor(np.array([1 + 2j]), requires_grad=True)
    assert engine.numpy(engine.apply("conj", z)).tolist() == [1 - 2j]
    with torch.inference_mode():
        y = engine.apply("sin", engine.tensor(np.array([0.0])))
    assert engine.numpy(y).tolist() == [0.0]


def test_the_operations_do_not_depend_on_what_was_imported_before() -> None:
    code = (
        "from conformance.adapters.load import load_engine\n"
        "first = load_engine('reference').operations\n"
        "import reference_engine.nn.functional\n"
        "assert load_engine('reference').operations == first\n"
        "assert 'nn.functional.softplus' in first\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_reference_engine_lists_what_it_makes_on_demand() -> None:
    listed = load_engine("reference").operations
    assert listed is not None
    assert listed >= frozenset(OPERATIONS)


@pytest.mark.parametrize("name", ["torch", "reference"])
def test_functions_that_a_module_makes_on_demand_are_listed_too(name: str) -> None:
    listed = load_engine(name).operations
    assert listed is not None
    known = {"sin", "add", "mul", "exp", "sum", "linalg.inv", "nn.functional.softplus", "zero"}
    assert known <= listed
    assert len(listed) > 400


def test_what_pytorch_has_removed_counts_as_absent() -> None:
    """`torch.symeig` is still there, and raises RuntimeError."""
    engine = load_engine("torch")
    assert callable(torch.symeig)  # type: ignore[attr-defined]
    assert engine.operations is not None
    assert "symeig" not in engine.operations
    with pytest.raises(Unsupported, match="has removed symeig"):
        engine.apply("symeig", engine.tensor(np.eye(2)))
